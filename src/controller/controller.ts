import { runLeaderElection } from "../kube/lease.ts";
import type { KubeTransport } from "../kube/transport.ts";
import { listenForChanges } from "../postgres/changes.ts";
import type { Database } from "../postgres/database.ts";
import { type HealthServer, startHealthServer } from "../runtime/http.ts";
import type { Logger } from "../runtime/log.ts";
import { unlessAborted, whenAborted, whenEnded } from "../runtime/signals.ts";
import type { ControllerConfig } from "./config.ts";
import { createLeader, type Leader } from "./leader.ts";
import { type ControllerMetrics, createMetrics } from "./metrics.ts";
import { type Caches, createCaches, keyOf } from "./observe.ts";
import { type Identity, identify } from "./startup.ts";
import { startWatches } from "./watches.ts";

/** A graceful stop takes no longer; what is under way then is left to the next leader. */
const STOP_MS = 8_000;

export interface ControllerParts {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  /** Unique among the replicas. */
  readonly identity: string;
  readonly log: Logger;
}

/** A controller at work. */
export interface Controller {
  /** Where /healthz, /readyz and /metrics are served. */
  readonly port: number;
  /** Resolves after a stop; rejects with what no retry mends. */
  readonly finished: Promise<void>;
  /** Gives the lease back and ends within ten seconds. */
  stop(): Promise<void>;
}

/** What the parts of one controller share. */
interface Running extends ControllerParts {
  readonly caches: Caches;
  readonly metrics: ControllerMetrics;
  readonly signal: AbortSignal;
}

/** Starts a controller. Transport and database stay the caller's to close. */
export async function startController(parts: ControllerParts): Promise<Controller> {
  const stopping = new AbortController();
  const fatal = Promise.withResolvers<never>();
  const caches = createCaches();
  const state: { leader?: Leader; isSynced: boolean } = { isSynced: false };
  const metrics = createMetrics({
    queueDepth: () => state.leader?.queue.depth ?? 0,
    busyWorkers: () => state.leader?.queue.busy ?? 0,
    apiTokens: () => caches.apiTokens.size,
    databaseConnections: () => parts.db.usage,
  });
  const server = await serveHealth(parts.config, metrics, () => state.isSynced);
  const running: Running = { ...parts, caches, metrics, signal: stopping.signal };

  const work = async () => {
    const place = { namespace: parts.config.APITOKEN_NAMESPACE, name: parts.config.APITOKEN_KEYRING_SECRET };
    const identifying = identify(parts.transport, parts.db, place, parts.log, stopping.signal);
    const identified = await unlessAborted(identifying, stopping.signal);
    const concurrency = parts.config.APITOKEN_CONCURRENCY;
    const namespaces = parts.config.APITOKEN_WATCH_NAMESPACES;
    const leader = createLeader({ ...running, ...identified, concurrency, namespaces, onFatal: fatal.reject });
    state.leader = leader;
    const reflectors = startWatches({
      ...running,
      keyring: identified.keyring,
      namespaces,
      leader,
      onRestart: (resource, reason) => metrics.watchRestarts.inc({ resource, reason }),
    });
    try {
      await unlessAborted(Promise.all(reflectors.map(({ synced }) => synced)), stopping.signal);
      state.isSynced = true;
      parts.log.info({ apiTokens: caches.apiTokens.size, clusterId: identified.clusterId }, "caches filled");
      await Promise.all([listen(running, identified, leader), elect(running, leader)]);
    } finally {
      await Promise.all(reflectors.map((reflector) => reflector.stop()));
    }
  };
  const finished = untilStopped(work(), fatal.promise, stopping).finally(() => server.close());

  return {
    port: server.port,
    finished,
    async stop() {
      stopping.abort();
      await finished.catch(() => {});
    },
  };
}

/**
 * Resolves after a stop, and rejects with what ends the work before one. In both cases the work has ended by then, the
 * lease included, or its time is over: whoever closes what it uses disturbs nothing.
 */
async function untilStopped(work: Promise<void>, fatal: Promise<never>, stopping: AbortController): Promise<void> {
  try {
    await Promise.race([work, fatal, whenAborted(stopping.signal)]);
  } catch (error) {
    if (!stopping.signal.aborted) throw error;
  } finally {
    stopping.abort();
    await whenEnded(work, STOP_MS);
  }
}

function serveHealth(
  config: ControllerConfig,
  metrics: ControllerMetrics,
  isSynced: () => boolean,
): Promise<HealthServer> {
  return startHealthServer({
    port: config.APITOKEN_HTTP_PORT,
    isHealthy: () => undefined,
    isReady: () => (isSynced() ? undefined : "the caches are not filled yet"),
    metrics: metrics.registry,
  });
}

/** Rows that others change, and the database's return after an outage. */
function listen({ db, metrics, log, signal }: Running, { clusterId }: Identity, leader: Leader): Promise<void> {
  return listenForChanges(
    db,
    {
      onChange: (change) => {
        if (change.clusterId === clusterId) leader.nudge(keyOf(change));
        leader.enqueueWaiting(change.owner);
      },
      onConnected: () => {
        metrics.isDatabaseAvailable.set(1);
        log.info("listening for changes in the database");
        leader.onDatabaseBack();
      },
      onLost: (error) => {
        metrics.isDatabaseAvailable.set(0);
        log.warn({ err: error }, "connection to the database lost");
      },
    },
    signal,
  );
}

function elect({ config, transport, identity, log, signal }: Running, { serve }: Leader): Promise<void> {
  return runLeaderElection({
    transport,
    namespace: config.APITOKEN_NAMESPACE,
    name: config.APITOKEN_LEASE_NAME,
    identity,
    leaseDurationMs: config.APITOKEN_LEASE_DURATION,
    renewDeadlineMs: config.APITOKEN_LEASE_RENEW_DEADLINE,
    retryPeriodMs: config.APITOKEN_LEASE_RETRY_PERIOD,
    signal,
    onTerm: serve,
    log,
  });
}
