/*
 * The cached HMACs of Secrets depend on the keyring, so caches, watches and the candidacy for the Lease live exactly as
 * long as one keyring. A new keyring starts a new session, which spares a restart of the pod.
 */
import { runLeaderElection } from "../kube/lease.ts";
import type { KubeTransport } from "../kube/transport.ts";
import { listenForChanges } from "../postgres/changes.ts";
import type { Database } from "../postgres/database.ts";
import { SessionLostError } from "../postgres/session.ts";
import type { Logger } from "../runtime/log.ts";
import { giveBackMemory } from "../runtime/memory.ts";
import { unlessAborted } from "../runtime/signals.ts";
import { createThrottle } from "../runtime/throttle.ts";
import type { TokenHasher } from "../runtime/token-hash.ts";
import type { Keyring } from "../token/keyring.ts";
import type { ControllerConfig } from "./config.ts";
import { waitForNewKeyring } from "./keyring/watch.ts";
import { createLeader, type Leader } from "./leader/leader.ts";
import type { ControllerMetrics } from "./metrics/metrics.ts";
import { type Caches, createCaches, keyOf } from "./pass/caches.ts";
import type { Ground } from "./startup.ts";
import { startWatches } from "./watches.ts";

/** What a controller is made of. */
export interface ControllerParts {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly db: Database;
  readonly hasher: TokenHasher;
  /** Unique among the replicas. */
  readonly identity: string;
  readonly log: Logger;
}

export interface SessionOptions extends ControllerParts, Ground {
  readonly metrics: ControllerMetrics;
  /** Ends the session because the controller stops. */
  readonly stop: AbortSignal;
  /** Called with a condition that no retry fixes. */
  readonly onFatal: (error: unknown) => void;
}

/** A controller's work with one keyring. */
export interface Session {
  readonly caches: Caches;
  readonly leader: Leader;
  /** Whether the caches are filled. */
  readonly isSynced: boolean;
  /**
   * Works until the keyring's Secret holds a different keyring, which it resolves with, or until the stop. Has released
   * the Lease by then.
   */
  run(): Promise<Keyring | undefined>;
}

export function createSession(options: SessionOptions): Session {
  const caches = createCaches();
  const leader = createLeader({ ...options, caches });
  let isSynced = false;
  return {
    caches,
    leader,
    get isSynced() {
      return isSynced;
    },
    run: () =>
      runSession(options, caches, leader, () => {
        isSynced = true;
      }),
  };
}

async function runSession(
  options: SessionOptions,
  caches: Caches,
  leader: Leader,
  onSynced: () => void,
): Promise<Keyring | undefined> {
  const { config, log, metrics, keyring, clusterId, stop } = options;
  const ending = new AbortController();
  const signal = AbortSignal.any([stop, ending.signal]);
  const reflectors = startWatches({
    ...options,
    caches,
    leader,
    namespaces: config.watchedNamespaces,
    onRestart: (resource, reason) => metrics.watchRestarts.inc({ resource, reason }),
  });
  try {
    await unlessAborted(Promise.all(reflectors.map(({ synced }) => synced)), signal);
    onSynced();
    giveBackMemory();
    log.info({ apiTokens: caches.apiTokens.size, clusterId }, "caches filled");
    const watch = {
      ...options,
      place: config.keyringPlace,
      known: keyring,
      intervalMs: config.keyringReloadMs,
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

/** Turns changes made with SQL, and the end of a database outage, into passes. */
function listen(
  { db, metrics, log, clusterId, onFatal }: SessionOptions,
  leader: Leader,
  signal: AbortSignal,
): Promise<void> {
  // Every login may notify, and an owner may have thousands of ApiTokens.
  const blocked = createThrottle((owner) => leader.inbox?.enqueueOwner(owner));
  const freed = createThrottle((owner) => leader.inbox?.enqueueWaiting(owner));
  for (const { close } of [blocked, freed]) signal.addEventListener("abort", close, { once: true });
  return listenForChanges(
    db,
    {
      onChange: (change) => {
        if (change.clusterId === clusterId) leader.inbox?.nudge(keyOf(change));
        freed.ask(change.owner);
      },
      onBlockChange: blocked.ask,
      onEverything: () => {
        log.debug("many changes in the database: looking at everything");
        leader.inbox?.onManyChanges();
      },
      onConnected: () => {
        metrics.isDatabaseAvailable.set(1);
        log.info("listening for changes in the database");
        leader.inbox?.onDatabaseBack();
      },
      onQueueFull: (suspects) => {
        log.warn(
          { suspects },
          "the database server's queue of notifications is more than half full: changes are looked for once a second instead. " +
            "It is emptied once each session that listens has ended its transaction; the suspects have had one open for a second",
        );
      },
      onLost: (error) => {
        metrics.isDatabaseAvailable.set(0);
        if (error instanceof SessionLostError) onFatal(error);
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
    ...config.lease,
    transport,
    identity,
    signal,
    onTerm: serve,
    log,
  });
}
