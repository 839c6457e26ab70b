import { runLeaderElection } from "../kube/lease.ts";
import type { KubeTransport } from "../kube/transport.ts";
import { listenForChanges } from "../postgres/changes.ts";
import type { Database } from "../postgres/database.ts";
import type { Logger } from "../runtime/log.ts";
import { unlessAborted } from "../runtime/signals.ts";
import type { Keyring } from "../token/keyring.ts";
import { type ControllerConfig, keyringPlace, pickTermSettings } from "./config.ts";
import { waitForNewKeyring } from "./keyring/watch.ts";
import { createLeader, type Leader } from "./leader/leader.ts";
import type { ControllerMetrics } from "./metrics/metrics.ts";
import { type Caches, createCaches, keyOf } from "./pass/caches.ts";
import type { Identity } from "./startup.ts";
import { startWatches } from "./watches.ts";

/** What a controller is made of. */
export interface ControllerParts {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  /** Unique among the replicas. */
  readonly identity: string;
  readonly log: Logger;
}

export interface SessionOptions extends ControllerParts, Identity {
  readonly metrics: ControllerMetrics;
  /** Ends the session, and the controller with it. */
  readonly stop: AbortSignal;
  /** Told of a condition that no retry mends. */
  readonly onFatal: (error: unknown) => void;
  /** Told of the session's parts as soon as there are any. */
  readonly onBegun: (session: Session) => void;
}

/** The time in which a controller works with one keyring. */
export interface Session {
  readonly caches: Caches;
  readonly leader: Leader;
  /** Whether the caches are filled. */
  isSynced: boolean;
}

/**
 * Works with one keyring until its Secret holds another one, which is returned, or until the stop. What is cached of
 * Secrets was made under the keys: nothing of it outlives them. The lease is given back in between.
 */
export async function runSession(options: SessionOptions): Promise<Keyring | undefined> {
  const { config, log, metrics, keyring, clusterId, stop, onFatal } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([stop, ending.signal]);
  const caches = createCaches();
  const leader = createLeader({ ...options, ...pickSettings(config), caches, onFatal });
  const session: Session = { caches, leader, isSynced: false };
  options.onBegun(session);
  const reflectors = startWatches({
    ...options,
    caches,
    leader,
    namespaces: config.APITOKEN_WATCH_NAMESPACES,
    onRestart: (resource, reason) => metrics.watchRestarts.inc({ resource, reason }),
  });
  try {
    await unlessAborted(Promise.all(reflectors.map(({ synced }) => synced)), signal);
    session.isSynced = true;
    log.info({ apiTokens: caches.apiTokens.size, clusterId }, "caches filled");
    const watch = {
      ...options,
      place: keyringPlace(config),
      known: keyring,
      intervalMs: config.APITOKEN_KEYRING_RELOAD,
    };
    const [next] = await Promise.all([
      waitForNewKeyring(watch, signal).finally(() => ending.abort()),
      listen(options, leader, signal),
      elect(options, leader, signal),
    ]);
    return next;
  } finally {
    ending.abort();
    await Promise.all(reflectors.map((reflector) => reflector.stop()));
  }
}

function pickSettings(config: ControllerConfig) {
  return {
    concurrency: config.APITOKEN_CONCURRENCY,
    namespaces: config.APITOKEN_WATCH_NAMESPACES,
    ...pickTermSettings(config),
  };
}

/** Rows that others change, and the database's return after an outage. */
function listen({ db, metrics, log, clusterId }: SessionOptions, leader: Leader, signal: AbortSignal): Promise<void> {
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

function elect(
  { config, transport, identity, log }: SessionOptions,
  { serve }: Leader,
  signal: AbortSignal,
): Promise<void> {
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
