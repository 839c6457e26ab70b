/*
 * Everything that only the holder of the Lease does. A term gets fresh queues and a fresh epoch, and both end with it,
 * so that nothing a former leader has queued can run later. Only the caches outlive a term, to make a takeover fast.
 */
import type { LeaseTerm } from "../../kube/lease.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Database } from "../../postgres/database.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import type { Logger } from "../../runtime/log.ts";
import { whenAborted } from "../../runtime/signals.ts";
import type { TokenHasher } from "../../runtime/token-hash.ts";
import type { Keyring } from "../../token/keyring.ts";
import { findCondition } from "../../token/status.ts";
import type { ControllerConfig } from "../config.ts";
import type { ControllerMetrics } from "../metrics/metrics.ts";
import { APITOKENS_BY_OWNER, BLOCKS_BY_OWNER, type Caches, keyOf, namespaceOf, ownerOf } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import { classifyFailure } from "../pass/failures.ts";
import { reconcile } from "../pass/reconcile.ts";
import { reconcileBlock } from "../pass/reconcile-block.ts";
import { createQueue, type Queue, type Turn } from "../queue.ts";
import { isEnd } from "./ends.ts";
import { watchExpiries } from "./expiry-watch.ts";
import { type Housekeeping, keepHouse } from "./housekeeping.ts";
import { findOverLimit, isReady } from "./over-limit.ts";
import { createTerm } from "./term.ts";

export interface LeaderOptions {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly hasher: TokenHasher;
  readonly clusterId: string;
  readonly identity: string;
  readonly metrics: ControllerMetrics;
  readonly log: Logger;
  /** Called with a condition that no retry fixes. */
  readonly onFatal: (error: unknown) => void;
}

export interface Leader {
  /** Where passes are requested; undefined while this replica does not lead. */
  readonly inbox: Inbox | undefined;
  /** This leader's epoch; undefined while this replica does not lead or has not reached the database yet. */
  readonly fence: Fence | undefined;
  /** Leads for one term. Resolves when all work of the term has ended. */
  serve(lease: LeaseTerm): Promise<void>;
}

/** Turns what the watches and the database report during one term into passes. */
export interface Inbox {
  /** Requests a pass over an ApiToken, by its key "namespace/name". */
  enqueue(key: string): void;
  /** Like `enqueue`, for reports from the database: a key that is failing keeps its delay. */
  nudge(key: string): void;
  /** Requests a pass over an OwnerBlock, by its name. */
  enqueueBlock(name: string): void;
  /** Requests passes over the OwnerBlocks of an owner, soon: they count the owner's ApiTokens, which change in bursts. */
  enqueueBlocksOf(owner: string): void;
  /** Requests passes over everything that has this owner, because a block on the owner has changed, in whatever cluster. */
  enqueueOwner(owner: string): void;
  /** Requests passes over the ApiTokens of an owner that wait because of the owner's limit. */
  enqueueWaiting(owner: string): void;
  /** Requests passes over everything, because changes may have been missed while the database was unavailable. */
  onDatabaseBack(): void;
  /** How many keys wait for a worker. */
  readonly depth: number;
  /** How many keys are being handled. */
  readonly busy: number;
}

interface Queues {
  readonly tokens: Queue;
  readonly blocks: Queue;
  /** Owners who have one more ApiToken with a token, so that others may be over the limit of their own policy. */
  readonly owners: Queue;
}

/** OwnerBlocks are few, and each gives up its place after a short turn. */
const BLOCKS_AT_ONCE = 2;

const RECOUNT_MS = 1_000;

/** One look at an owner covers all tokens that were issued for them in this time. */
const OWNER_LOOK_MS = 1_000;

export function createLeader(options: LeaderOptions): Leader {
  const { config, log, metrics } = options;
  let inbox: Inbox | undefined;
  let fence: Fence | undefined;

  return {
    get inbox() {
      return inbox;
    },
    get fence() {
      return fence;
    },
    async serve(lease) {
      const { context, confirmFence } = createTerm(
        {
          ...options,
          onEpoch(raised) {
            if (!lease.signal.aborted) fence = raised;
          },
          onActions: (actions) => metrics.countActions(actions),
          onEventDropped: () => metrics.eventsDropped.inc(),
        },
        lease,
      );
      const queues = createQueues(options, context);
      watchExpiries(context, log, lease.signal);
      enqueueAll(options.caches, queues);
      const housekeeping = keepHouse(
        { context, confirmFence, log, namespaces: config.watchedNamespaces, ...queues },
        lease.signal,
      );
      inbox = createInbox(options.caches, queues, housekeeping);
      metrics.isLeading.set(1);
      await whenAborted(lease.signal);
      metrics.isLeading.set(0);
      fence = undefined;
      await Promise.all([queues.tokens.stop(), queues.blocks.stop(), queues.owners.stop()]);
      inbox = undefined;
      await context.events.flush();
      log.info("term ended");
    },
  };
}

function createInbox(caches: Caches, { tokens, blocks }: Omit<Queues, "owners">, housekeeping: Housekeeping): Inbox {
  return {
    enqueue: (key) => tokens.add(key),
    nudge: (key) => tokens.nudge(key),
    enqueueBlock: (name) => blocks.add(name),
    enqueueBlocksOf(owner) {
      for (const { metadata } of caches.ownerBlocks.byIndex(BLOCKS_BY_OWNER, owner)) {
        blocks.addAfter(metadata.name, RECOUNT_MS);
      }
    },
    enqueueOwner(owner) {
      for (const { metadata } of caches.ownerBlocks.byIndex(BLOCKS_BY_OWNER, owner)) blocks.add(metadata.name);
      enqueueOwner(caches, tokens, owner);
    },
    enqueueWaiting(owner) {
      for (const { metadata, status = {} } of caches.apiTokens.byIndex(APITOKENS_BY_OWNER, owner)) {
        if (findCondition(status, "Ready")?.reason === "OwnerLimitExceeded") tokens.add(keyOf(metadata));
      }
    },
    onDatabaseBack() {
      enqueueAll(caches, { tokens, blocks });
      housekeeping.hurry();
    },
    get depth() {
      return tokens.depth + blocks.depth;
    },
    get busy() {
      return tokens.busy + blocks.busy;
    },
  };
}

/** Blocks come first, so that no token is renewed only to be revoked. */
function enqueueAll(caches: Caches, { tokens, blocks }: Omit<Queues, "owners">): void {
  for (const { metadata } of caches.ownerBlocks.values()) blocks.add(metadata.name);
  for (const { metadata } of caches.apiTokens.values()) tokens.add(keyOf(metadata));
}

function enqueueOwner(caches: Caches, tokens: Queue, owner: string): void {
  for (const { metadata } of caches.apiTokens.byIndex(APITOKENS_BY_OWNER, owner)) tokens.add(keyOf(metadata));
}

function createQueues(options: LeaderOptions, context: PassContext): Queues {
  const onFailure = (key: string, error: unknown, retryAfterMs: number) =>
    reportFailure(options, key, error, retryAfterMs);
  const tokens = createQueue({
    concurrency: options.config.concurrency,
    handle: (key, turn) => handleToken(options, context, { tokens, owners }, key, turn),
    onFailure,
    isEnd: (key) => isEnd(options.caches, key),
    groupOf: namespaceOf,
  });
  const owners = createQueue({
    concurrency: 1,
    async handle(owner) {
      for (const key of findOverLimit(options.caches, owner)) tokens.add(key);
    },
    onFailure,
  });
  const blocks = createQueue({
    concurrency: BLOCKS_AT_ONCE,
    async handle(name, { failures }) {
      const onRevoked = (tokens: number) => options.metrics.countRevocations("OwnerBlocked", tokens);
      const result = await reconcileBlock(context, name, { failures, onRevoked });
      if (result.requeueAfterMs !== undefined) blocks.addAfter(name, result.requeueAfterMs + 1);
      if (result.changedOwners.length > 0) options.log.info({ block: name }, "owner block applied");
      for (const owner of result.changedOwners) enqueueOwner(options.caches, tokens, owner);
    },
    onFailure,
  });
  return { tokens, blocks, owners };
}

async function handleToken(
  { metrics, log }: LeaderOptions,
  context: PassContext,
  { tokens, owners }: Pick<Queues, "tokens" | "owners">,
  key: string,
  turn: Turn,
): Promise<void> {
  const before = context.caches.apiTokens.get(key);
  const endTimer = metrics.reconcileSeconds.startTimer();
  const { isChanged, requeueAfterMs, mustRecheck } = await reconcile(context, key, turn).finally(endTimer);
  metrics.reconciles.inc({ result: isChanged ? "changed" : "converged" });
  const after = context.caches.apiTokens.get(key);
  metrics.countTransition(before?.status, after?.status);
  if (isChanged) log.info({ key }, "reconciled");
  if (requeueAfterMs !== undefined) tokens.addAfter(key, Math.max(requeueAfterMs, 0) + 1);
  if (mustRecheck) tokens.recheck(key);
  if (after === undefined || !isReady(after) || (before !== undefined && isReady(before))) return;
  const owner = ownerOf(after);
  if (owner !== undefined) owners.addAfter(owner, OWNER_LOOK_MS);
}

function reportFailure({ metrics, log }: LeaderOptions, key: string, error: unknown, retryAfterMs: number): void {
  const result = classifyFailure(error);
  metrics.reconciles.inc({ result });
  metrics.failures.inc({ reason: result });
  const fields = { key, result, retryAfterMs: Math.round(retryAfterMs), err: error };
  if (result === "conflict" || result === "not_leading") log.debug(fields, "reconcile will be repeated");
  else log.warn(fields, "reconcile failed; retrying");
}
