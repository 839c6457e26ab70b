import type { LeaseTerm } from "../../kube/lease.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Database } from "../../postgres/database.ts";
import type { Fence } from "../../postgres/leader-epoch.ts";
import type { Logger } from "../../runtime/log.ts";
import { whenAborted } from "../../runtime/signals.ts";
import type { HashMethod } from "../../runtime/token-hash.ts";
import type { Keyring } from "../../token/keyring.ts";
import { findCondition } from "../../token/status.ts";
import type { KeyringPlace } from "../config.ts";
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
  readonly transport: KubeTransport;
  readonly db: Database;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly keyringPlace: KeyringPlace;
  readonly clusterId: string;
  readonly identity: string;
  readonly concurrency: number;
  readonly hashMethod: HashMethod;
  /** The namespaces that are looked at; all, if empty. */
  readonly namespaces: readonly string[];
  readonly metrics: ControllerMetrics;
  readonly log: Logger;
  /** Told of a condition that no retry mends. */
  readonly onFatal: (error: unknown) => void;
}

/** The work of the replica that leads. Between terms there is none. */
export interface Leader {
  /** Has an ApiToken looked at, if this replica leads. */
  enqueue(key: string): void;
  /** As `enqueue`, for what the database tells: a key that fails keeps its delay. */
  nudge(key: string): void;
  /** Has an OwnerBlock looked at, by its name. */
  enqueueBlock(name: string): void;
  /** Has those ApiTokens of an owner looked at that wait for another one's end. */
  enqueueWaiting(owner: string): void;
  /** Has all that waited for the database looked at, and everything else too, for changes may have been missed. */
  onDatabaseBack(): void;
  /** Leads for one term. */
  serve(term: LeaseTerm): Promise<void>;
  readonly queue: Pick<Queue, "depth" | "busy">;
  /** The epoch that this replica leads in; undefined while it does not lead, or has not reached the database yet. */
  readonly fence: Fence | undefined;
}

const IDLE = { depth: 0, busy: 0 };

/** OwnerBlocks are few, and each is one statement. */
const BLOCKS_AT_ONCE = 2;

export function createLeader(options: LeaderOptions): Leader {
  const { caches, log, metrics } = options;
  let queues: { tokens: Queue; blocks: Queue } | undefined;
  let housekeeping: Housekeeping | undefined;
  let fence: Fence | undefined;

  const enqueueAll = () => {
    for (const { metadata } of caches.ownerBlocks.values()) queues?.blocks.add(metadata.name);
    for (const { metadata } of caches.apiTokens.values()) queues?.tokens.add(keyOf(metadata));
  };

  return {
    enqueue: (key) => queues?.tokens.add(key),
    nudge: (key) => queues?.tokens.nudge(key),
    enqueueBlock: (name) => queues?.blocks.add(name),
    enqueueWaiting(owner) {
      for (const { metadata, status = {} } of caches.apiTokens.byIndex(APITOKENS_BY_OWNER, owner)) {
        const isWaiting = findCondition(status, "Ready")?.reason === "OwnerLimitExceeded";
        if (isWaiting) queues?.tokens.add(keyOf(metadata));
      }
    },
    onDatabaseBack() {
      enqueueAll();
      housekeeping?.hurry();
    },
    get queue() {
      if (queues === undefined) return IDLE;
      const { tokens, blocks } = queues;
      return { depth: tokens.depth + blocks.depth, busy: tokens.busy + blocks.busy };
    },
    get fence() {
      return fence;
    },
    async serve(term) {
      const { context, confirmFence } = createTerm(
        {
          ...options,
          onEpoch(raised) {
            if (!term.signal.aborted) fence = raised;
          },
          onActions: (actions) => metrics.countActions(actions),
          onEventDropped: () => metrics.eventsDropped.inc(),
        },
        term,
      );
      const termQueues = createQueues(options, context);
      queues = termQueues;
      metrics.isLeading.set(1);
      enqueueAll();
      housekeeping = keepHouse(
        { context, confirmFence, log, namespaces: options.namespaces, ...termQueues },
        term.signal,
      );
      await whenAborted(term.signal);
      metrics.isLeading.set(0);
      fence = undefined;
      await Promise.all([termQueues.tokens.stop(), termQueues.blocks.stop()]);
      queues = undefined;
      housekeeping = undefined;
      await context.events.flush();
      log.info("term ended");
    },
  };
}

function createQueues(options: LeaderOptions, context: PassContext): { tokens: Queue; blocks: Queue } {
  const onFailure = (key: string, error: unknown, retryAfterMs: number) =>
    reportFailure(options, key, error, retryAfterMs);
  const tokens = createQueue({
    concurrency: options.concurrency,
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
