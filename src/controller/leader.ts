import { setTimeout as delay } from "node:timers/promises";
import { KubeApiError, KubeUnreachableError } from "../kube/api-error.ts";
import { createEventRecorder } from "../kube/event-recorder.ts";
import type { LeaseTerm } from "../kube/lease.ts";
import type { KubeTransport } from "../kube/transport.ts";
import type { Database } from "../postgres/database.ts";
import { DatabaseUnavailableError, FencedError } from "../postgres/errors.ts";
import { createEventPartitions } from "../postgres/event-partitions.ts";
import { raiseEpoch } from "../postgres/leader-epoch.ts";
import { requireSchema, SchemaMismatchError } from "../postgres/migrations.ts";
import { type Fence, findKeyIds, findLiveResources } from "../postgres/tokens.ts";
import type { Logger } from "../runtime/log.ts";
import { whenAborted } from "../runtime/signals.ts";
import type { Keyring } from "../token/keyring.ts";
import type { LifetimeLimits } from "../token/model.ts";
import { KeyringError, requirePeppers } from "./keyring-secret.ts";
import type { ControllerMetrics } from "./metrics.ts";
import { type Caches, keyOf } from "./observe.ts";
import { createQueue, type Queue } from "./queue.ts";
import { type ReconcileContext, reconcile } from "./reconcile.ts";

/** A write was about to be made by a replica whose lease may have run out. Nothing was sent. */
export class NotLeadingError extends Error {
  override readonly name = "NotLeadingError";
}

export interface LeaderOptions {
  readonly transport: KubeTransport;
  readonly db: Database;
  readonly caches: Caches;
  readonly keyring: Keyring;
  readonly clusterId: string;
  readonly identity: string;
  readonly concurrency: number;
  readonly limits: LifetimeLimits;
  readonly metrics: ControllerMetrics;
  readonly log: Logger;
  /** Told of a condition that no retry mends. */
  readonly onFatal: (error: unknown) => void;
}

/** The work of the replica that leads. Between terms there is none. */
export interface Leader {
  /** Has an ApiToken looked at, if this replica leads. */
  enqueue(key: string): void;
  /** Has all that waited for the database looked at, and everything else too, for changes may have been missed. */
  onDatabaseBack(): void;
  /** Leads for one term. */
  serve(term: LeaseTerm): Promise<void>;
  readonly queue: Pick<Queue, "depth" | "busy">;
}

const IDLE = { depth: 0, busy: 0 };

const HOUSEKEEPING_MS = 3_600_000;
const HOUSEKEEPING_RETRY_MS = 5_000;
const EVENT_MONTHS_AHEAD = 3;

export function createLeader(options: LeaderOptions): Leader {
  const { caches, log, metrics } = options;
  let queue: Queue | undefined;

  const enqueueAll = () => {
    for (const { metadata } of caches.apiTokens.values()) queue?.add(keyOf(metadata));
  };

  return {
    enqueue: (key) => queue?.add(key),
    onDatabaseBack: enqueueAll,
    get queue() {
      return queue ?? IDLE;
    },
    async serve(term) {
      const context = createTermContext(options, term);
      const termQueue = createQueue({
        concurrency: options.concurrency,
        handle: (key) => handle(options, context, termQueue, key),
        onFailure: (key, error, retryAfterMs) => reportFailure(options, key, error, retryAfterMs),
      });
      queue = termQueue;
      metrics.isLeading.set(1);
      enqueueAll();
      void keepHouse(options, context, termQueue, term.signal);
      await whenAborted(term.signal);
      metrics.isLeading.set(0);
      await termQueue.stop();
      queue = undefined;
      await context.events.flush();
      log.info("term ended");
    },
  };
}

function createTermContext(options: LeaderOptions, term: LeaseTerm): ReconcileContext {
  const { caches, db, keyring, clusterId, limits, log, metrics, identity } = options;
  const transport = guardWrites(options.transport, term);
  let fence: Promise<Fence> | undefined;
  return {
    transport,
    caches,
    db,
    keyring,
    clusterId,
    limits,
    events: createEventRecorder({
      transport,
      controller: "apitoken.dev/controller",
      instance: identity,
      log,
      onDropped: () => metrics.eventsDropped.inc(),
    }),
    onActions: (kinds) => {
      for (const action of kinds) metrics.actions.inc({ action });
    },
    // Raised once a term, when the database is first there to be written to.
    getFence() {
      if (!term.isHeld()) throw new NotLeadingError("the lease may have run out");
      fence ??= startEpoch(options).catch((error: unknown) => {
        fence = undefined;
        throw error;
      });
      return fence;
    },
  };
}

/** Begins to write to the database, once it is sure that schema and rows are such as this program can work with. */
async function startEpoch({ db, clusterId, identity, keyring, onFatal }: LeaderOptions): Promise<Fence> {
  try {
    await requireSchema(db);
    requirePeppers(keyring, await findKeyIds(db, clusterId));
  } catch (error) {
    if (error instanceof SchemaMismatchError || error instanceof KeyringError) onFatal(error);
    throw error;
  }
  return raiseEpoch(db, clusterId, identity);
}

/** Lets no write through once the lease may have run out; reads are harmless. */
function guardWrites(transport: KubeTransport, term: LeaseTerm): KubeTransport {
  return {
    ...transport,
    request(method, path, options) {
      if (method !== "GET" && !term.isHeld()) {
        return Promise.reject(new NotLeadingError(`${method} ${path} was held back: the lease may have run out`));
      }
      return transport.request(method, path, options);
    },
  };
}

/** What needs no event to be done, at the beginning of a term and then now and then. */
async function keepHouse(options: LeaderOptions, context: ReconcileContext, queue: Queue, signal: AbortSignal) {
  while (!signal.aborted) {
    const isDone = await tidy(options, context, queue).then(
      () => true,
      (error: unknown) => {
        options.log.warn({ err: error }, "housekeeping failed; trying again");
        return false;
      },
    );
    await delay(isDone ? HOUSEKEEPING_MS : HOUSEKEEPING_RETRY_MS, undefined, { signal }).catch(() => {});
  }
}

/**
 * Makes the audit trail's partitions ahead of time (without one nothing could be issued), and finds ApiTokens that were
 * deleted while no controller saw it: they have live rows, but are in no cache.
 */
async function tidy({ db, clusterId, caches, log }: LeaderOptions, context: ReconcileContext, queue: Queue) {
  await context.getFence();
  const partitions = await createEventPartitions(db, EVENT_MONTHS_AHEAD);
  if (partitions.length > 0) log.info({ partitions }, "audit partitions made");
  for (const resource of await findLiveResources(db, clusterId)) {
    const key = keyOf(resource);
    if (caches.apiTokens.get(key) === undefined) queue.add(key);
  }
}

async function handle(
  { metrics, log }: LeaderOptions,
  context: ReconcileContext,
  queue: Queue,
  key: string,
): Promise<void> {
  const endTimer = metrics.reconcileSeconds.startTimer();
  const { isChanged, requeueAfterMs } = await reconcile(context, key).finally(endTimer);
  metrics.reconciles.inc({ result: isChanged ? "changed" : "converged" });
  if (isChanged) log.info({ key }, "reconciled");
  if (requeueAfterMs !== undefined) queue.addAfter(key, Math.max(requeueAfterMs, 0) + 1);
}

function reportFailure({ metrics, log }: LeaderOptions, key: string, error: unknown, retryAfterMs: number): void {
  const result = classifyFailure(error);
  metrics.reconciles.inc({ result });
  const fields = { key, result, retryAfterMs: Math.round(retryAfterMs), err: error };
  if (result === "conflict" || result === "not_leading") log.debug(fields, "reconcile to be repeated");
  else log.warn(fields, "reconcile failed; trying again");
}

function classifyFailure(error: unknown): string {
  if (error instanceof DatabaseUnavailableError) return "database_unavailable";
  if (error instanceof NotLeadingError) return "not_leading";
  // With a lease in hand this says that another controller of this cluster goes by another Lease.
  if (error instanceof FencedError) return "fenced";
  if (error instanceof KubeUnreachableError) return "api_unreachable";
  if (error instanceof KubeApiError) return error.code === 409 ? "conflict" : "api_error";
  return "failed";
}
