/*
 * The controller as one object that can be started and stopped, without a process around it: main.ts runs one, the
 * tests run several in one process.
 */
import { type HealthServer, startHealthServer } from "../runtime/health-server.ts";
import { unlessAborted, whenAborted, whenEnded } from "../runtime/signals.ts";
import type { Keyring } from "../token/keyring.ts";
import type { ControllerConfig } from "./config.ts";
import { exportCleanupMetrics } from "./metrics/cleanup.ts";
import { createLeaderFigures } from "./metrics/leader-figures.ts";
import { type ControllerMetrics, createMetrics } from "./metrics/metrics.ts";
import { type ControllerParts, createSession, type Session } from "./session.ts";
import { findGround } from "./startup.ts";

/** The time limit of a graceful stop. Unfinished work is left to the next leader. */
const STOP_MS = 8_000;

/** A running controller. */
export interface Controller {
  /** Where /healthz, /readyz and /metrics are served. */
  readonly port: number;
  /** Resolves after a stop; rejects with what no retry fixes. */
  readonly finished: Promise<void>;
  /** Releases the Lease and ends within ten seconds. */
  stop(): Promise<void>;
}

/** Starts a controller. The caller closes transport and database, after `finished`. */
export async function startController(parts: ControllerParts): Promise<Controller> {
  const stopping = new AbortController();
  const fatal = Promise.withResolvers<never>();
  let session: Session | undefined;
  const readFigures = createLeaderFigures(parts.db);
  const metrics = createMetrics({
    queueDepth: () => session?.leader.inbox?.depth ?? 0,
    busyWorkers: () => session?.leader.inbox?.busy ?? 0,
    databaseConnections: () => parts.db.usage,
    caches: () => session?.caches,
    async leaderFigures() {
      const fence = session?.leader.fence;
      return fence && readFigures(fence);
    },
  });
  exportCleanupMetrics(metrics.registry, parts.db, (err) =>
    parts.log.debug({ err }, "cannot read the cleanup's figures"),
  );
  const server = await serveHealth(parts.config, metrics, () => session?.isSynced ?? false);

  const work = async () => {
    const { transport, db, log, config } = parts;
    const stop = stopping.signal;
    const ground = await unlessAborted(findGround(transport, db, config.keyringPlace, log, stop), stop);
    let keyring: Keyring | undefined = ground.keyring;
    while (keyring !== undefined) {
      session = createSession({ ...parts, ...ground, keyring, metrics, stop, onFatal: fatal.reject });
      keyring = await session.run();
      if (keyring !== undefined) log.info("the keyring has changed; restarting with the new one");
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
 * Resolves after a stop, or rejects with the error that ended the work before one. In both cases the work has ended and
 * the Lease is released, or the time limit has passed, so the caller may close what the work used.
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
    port: config.httpPort,
    isHealthy: () => undefined,
    isReady: () => (isSynced() ? undefined : "the caches are not filled yet"),
    metrics: metrics.registry,
  });
}
