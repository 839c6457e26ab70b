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
import { createThrottle } from "../../runtime/throttle.ts";
import type { TokenHasher } from "../../runtime/token-hash.ts";
import type { Keyring } from "../../token/keyring.ts";
import { findCondition } from "../../token/status.ts";
import type { ControllerConfig } from "../config.ts";
import type { ControllerMetrics } from "../metrics/metrics.ts";
import { APITOKENS_BY_OWNER, BLOCKS_BY_OWNER, type Caches, keyOf } from "../pass/caches.ts";
import { watchExpiries } from "./expiry-watch.ts";
import { type Housekeeping, keepHouse } from "./housekeeping.ts";
import { createPolicyReports, type PolicyReports } from "./policy-reports.ts";
import { countFailure, createQueues, enqueueAll, enqueueOwner, type Queues } from "./queues.ts";
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
  /** Has the statuses of ApiTokenPolicies looked at; see `PolicyReports.wake`. */
  reportPolicies(when?: "soon"): void;
  /** Requests passes over the ApiTokens of an owner that wait because of the owner's limit. */
  enqueueWaiting(owner: string): void;
  /** Requests passes over everything: more has changed than was reported one by one. What is failing keeps its delay. */
  onManyChanges(): void;
  /** Requests passes over everything, because changes may have been missed while the database was unavailable. */
  onDatabaseBack(): void;
  /** How many keys wait for a worker. */
  readonly depth: number;
  /** How many keys are being handled. */
  readonly busy: number;
}

const RECOUNT_MS = 1_000;

/** Housekeeping reads all accepted tokens. */
const HURRY_MS = 30_000;

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
          onOwnerFree: (key) => queues.tokens.add(key),
          onActions: (actions) => metrics.countActions(actions),
          onEventDropped: () => metrics.eventsDropped.inc(),
        },
        lease,
      );
      const queues = createQueues(options, context);
      const expiriesWatched = watchExpiries(context, log, lease.signal);
      enqueueAll(options.caches, queues);
      const housekeeping = keepHouse(
        { context, confirmFence, log, namespaces: config.watchedNamespaces, ...queues },
        lease.signal,
      );
      const reports = createPolicyReports({
        context,
        namespaces: config.watchedNamespaces,
        onFailure: (name, error, retryAfterMs) => countFailure(options, name, error, retryAfterMs, true),
      });
      inbox = createInbox(options.caches, queues, reports, housekeeping, lease.signal);
      metrics.isLeading.set(1);
      await whenAborted(lease.signal);
      metrics.isLeading.set(0);
      fence = undefined;
      await Promise.all([queues.tokens.stop(), queues.blocks.stop(), queues.owners.stop(), reports.stop()]);
      await Promise.all([housekeeping.ended, expiriesWatched]);
      inbox = undefined;
      await context.events.flush();
      log.info("term ended");
    },
  };
}

function createInbox(
  caches: Caches,
  { tokens, blocks }: Pick<Queues, "tokens" | "blocks">,
  reports: PolicyReports,
  housekeeping: Housekeeping,
  signal: AbortSignal,
): Inbox {
  const hurried = createThrottle(() => housekeeping.hurry(), HURRY_MS);
  signal.addEventListener("abort", hurried.close, { once: true });
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
      enqueueOwner(caches, tokens, owner, "nudge");
    },
    reportPolicies: (when) => reports.wake(when),
    enqueueWaiting(owner) {
      for (const { metadata, status = {} } of caches.apiTokens.byIndex(APITOKENS_BY_OWNER, owner)) {
        if (findCondition(status, "Ready")?.reason === "OwnerLimitExceeded") tokens.nudge(keyOf(metadata));
      }
    },
    onManyChanges() {
      enqueueAll(caches, { tokens, blocks }, "nudge");
      hurried.ask("");
    },
    onDatabaseBack() {
      enqueueAll(caches, { tokens, blocks });
      housekeeping.hurry();
    },
    get depth() {
      return tokens.depth + blocks.depth + reports.depth;
    },
    get busy() {
      return tokens.busy + blocks.busy + reports.busy;
    },
  };
}
