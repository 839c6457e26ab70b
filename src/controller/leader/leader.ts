/*
 * What the replica that holds the Lease does: queues of passes for one term, fed by watches, by the database and by
 * housekeeping. The caches outlive terms; nothing here does.
 */
import type { LeaseTerm } from "../../kube/lease.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Database } from "../../postgres/database.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import type { Logger } from "../../runtime/log.ts";
import { whenAborted } from "../../runtime/signals.ts";
import type { Keyring } from "../../token/keyring.ts";
import { findCondition } from "../../token/status.ts";
import type { ControllerConfig } from "../config.ts";
import type { ControllerMetrics } from "../metrics/metrics.ts";
import { APITOKENS_BY_OWNER, type Caches, keyOf } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import { classifyFailure } from "../pass/failures.ts";
import { reconcile } from "../pass/reconcile.ts";
import { reconcileBlock } from "../pass/reconcile-block.ts";
import { createQueue, type Queue, type Turn } from "../queue.ts";
import { type Housekeeping, keepHouse } from "./housekeeping.ts";
import { createTerm } from "./term.ts";

export interface LeaderOptions {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly clusterId: string;
  readonly identity: string;
  readonly metrics: ControllerMetrics;
  readonly log: Logger;
  /** Called with a condition that no retry fixes. */
  readonly onFatal: (error: unknown) => void;
}

/** This replica's part when it holds the Lease. */
export interface Leader {
  /** Where passes are asked for; undefined while this replica does not lead, and so makes none. */
  readonly inbox: Inbox | undefined;
  /** The epoch that this replica leads in; undefined while it does not lead, or has not reached the database yet. */
  readonly fence: Fence | undefined;
  /** Leads for one term. */
  serve(lease: LeaseTerm): Promise<void>;
}

/** Takes what watches and database report during one term, and turns it into passes. */
export interface Inbox {
  /** Asks for a pass over an ApiToken. */
  enqueue(key: string): void;
  /** As `enqueue`, for what the database reports: a key that fails keeps its delay. */
  nudge(key: string): void;
  /** Asks for a pass over an OwnerBlock, by its name. */
  enqueueBlock(name: string): void;
  /** Asks for passes over the ApiTokens of an owner that wait for another one's end. */
  enqueueWaiting(owner: string): void;
  /** Asks for passes over everything, because changes may have been missed while the database was away. */
  onDatabaseBack(): void;
  /** Keys that wait for a worker. */
  readonly depth: number;
  /** Keys that workers have now. */
  readonly busy: number;
}

interface Queues {
  readonly tokens: Queue;
  readonly blocks: Queue;
}

/** OwnerBlocks are few, and each is one statement. */
const BLOCKS_AT_ONCE = 2;

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
      await Promise.all([queues.tokens.stop(), queues.blocks.stop()]);
      inbox = undefined;
      await context.events.flush();
      log.info("term ended");
    },
  };
}

function createInbox(caches: Caches, { tokens, blocks }: Queues, housekeeping: Housekeeping): Inbox {
  return {
    enqueue: (key) => tokens.add(key),
    nudge: (key) => tokens.nudge(key),
    enqueueBlock: (name) => blocks.add(name),
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

/** Blocks first: a token that is to end should not be renewed before. */
function enqueueAll(caches: Caches, { tokens, blocks }: Queues): void {
  for (const { metadata } of caches.ownerBlocks.values()) blocks.add(metadata.name);
  for (const { metadata } of caches.apiTokens.values()) tokens.add(keyOf(metadata));
}

function createQueues(options: LeaderOptions, context: PassContext): Queues {
  const onFailure = (key: string, error: unknown, retryAfterMs: number) =>
    reportFailure(options, key, error, retryAfterMs);
  const tokens = createQueue({
    concurrency: options.config.concurrency,
    handle: (key, turn) => handleToken(options, context, tokens, key, turn),
    onFailure,
  });
  const blocks = createQueue({
    concurrency: BLOCKS_AT_ONCE,
    async handle(name) {
      const onRevoked = (tokens: number) => options.metrics.countRevocations("OwnerBlocked", tokens);
      const { changedOwner, requeueAfterMs } = await reconcileBlock(context, name, onRevoked);
      if (requeueAfterMs !== undefined) blocks.addAfter(name, requeueAfterMs + 1);
      if (changedOwner === undefined) return;
      options.log.info({ block: name }, "owner block carried out");
      for (const { metadata } of options.caches.apiTokens.byIndex(APITOKENS_BY_OWNER, changedOwner)) {
        tokens.add(keyOf(metadata));
      }
    },
    onFailure,
  });
  return { tokens, blocks };
}

async function handleToken(
  { metrics, log }: LeaderOptions,
  context: PassContext,
  queue: Queue,
  key: string,
  turn: Turn,
): Promise<void> {
  const statusBefore = context.caches.apiTokens.get(key)?.status;
  const endTimer = metrics.reconcileSeconds.startTimer();
  const { isChanged, requeueAfterMs } = await reconcile(context, key, turn).finally(endTimer);
  metrics.reconciles.inc({ result: isChanged ? "changed" : "converged" });
  metrics.countTransition(statusBefore, context.caches.apiTokens.get(key)?.status);
  if (isChanged) log.info({ key }, "reconciled");
  if (requeueAfterMs !== undefined) queue.addAfter(key, Math.max(requeueAfterMs, 0) + 1);
}

function reportFailure({ metrics, log }: LeaderOptions, key: string, error: unknown, retryAfterMs: number): void {
  const result = classifyFailure(error);
  metrics.reconciles.inc({ result });
  metrics.failures.inc({ reason: result });
  const fields = { key, result, retryAfterMs: Math.round(retryAfterMs), err: error };
  if (result === "conflict" || result === "not_leading") log.debug(fields, "reconcile to be repeated");
  else log.warn(fields, "reconcile failed; trying again");
}
