/*
 * The limits that a run keeps to for the sake of others: the lag of replicas, sessions that wait for its locks, and the
 * server's WAL. It watches them while batches run, because a batch cannot look around.
 */
import { setTimeout as delay } from "node:timers/promises";
import { type Pressure, readPressure, readWalBytes } from "../../postgres/cleanup/pressure.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { Logger } from "../../runtime/log.ts";
import type { Courtesy } from "./courtesy.ts";

/** Above these limits the run pauses; undefined: no limit. */
export interface PressureLimits {
  readonly replicaLagMs: number | undefined;
  readonly waiters: number | undefined;
  readonly walBytesPerSecond: number | undefined;
}

/** How much WAL the server had written at a point in time. */
export interface WalSample {
  readonly walBytes: number;
  readonly atMs: number;
}

export type PauseReason = "replica lag" | "waiting sessions" | "WAL rate" | "others write";

/**
 * How long ago the server had written more than the slowest replica has applied by now, according to our own readings
 * (oldest first). The server's own figure does not grow while a replica applies nothing at all.
 */
export function findStallMs(written: readonly WalSample[], appliedBytes: number | undefined, nowMs: number): number {
  if (appliedBytes === undefined) return 0;
  const missing = written.find(({ walBytes }) => walBytes > appliedBytes);
  return missing === undefined ? 0 : nowMs - missing.atMs;
}

/** Why the run should pause; undefined if it need not. */
export function findPauseReason(
  now: Pick<Pressure, "replicaLagMs" | "waiters">,
  limits: PressureLimits,
): "replica lag" | "waiting sessions" | undefined {
  const { replicaLagMs = Number.POSITIVE_INFINITY, waiters = Number.POSITIVE_INFINITY } = limits;
  if (now.waiters > waiters) return "waiting sessions";
  return (now.replicaLagMs ?? 0) > replicaLagMs ? "replica lag" : undefined;
}

/** How long to pause so that what the server wrote between two readings stays within the limit. */
export function findWalPauseMs(before: WalSample, now: WalSample, bytesPerSecond: number): number {
  const neededMs = ((now.walBytes - before.walBytes) / bytesPerSecond) * 1_000;
  return Math.max(0, neededMs - (now.atMs - before.atMs));
}

/** Watches the server while batches run on other connections. */
export interface Throttle {
  /** Resolves when no limit is exceeded (at once, if none is), or when `stop` is aborted. */
  waitUntilCalm(stop: AbortSignal): Promise<void>;
  readonly courtesy: Courtesy;
  /** How long the run has paused so far, by reason. */
  readonly pausedMs: Readonly<Partial<Record<PauseReason, number>>>;
  end(): Promise<void>;
}

/** Often enough to notice a waiting session, and rare enough not to be a load. */
const INTERVAL_MS = 250;

/** Reads the pressure on a connection of its own until `end`. If it cannot be read, the run does not pause for it. */
export function startThrottle(
  db: Queryable,
  pids: readonly number[],
  limits: PressureLimits,
  courtesy: Courtesy,
  log: Logger,
): Throttle {
  const ended = new AbortController();
  const pausedMs: Partial<Record<PauseReason, number>> = {};
  let reason: PauseReason | undefined;
  let hasFailed = false;
  let before: WalSample | undefined;
  let written: WalSample[] = [];

  const watch = async () => {
    while (!ended.signal.aborted) {
      try {
        const pressure = await readPressure(db, pids);
        const nowMs = performance.now();
        written = written.filter(({ walBytes }) => walBytes > (pressure.appliedBytes ?? Number.POSITIVE_INFINITY));
        const stallMs = findStallMs(written, pressure.appliedBytes, nowMs);
        if (pressure.walBytes > (written.at(-1)?.walBytes ?? 0))
          written.push({ walBytes: pressure.walBytes, atMs: nowMs });
        const replicaLagMs = Math.max(pressure.replicaLagMs ?? 0, stallMs);
        reason = findPauseReason({ ...pressure, replicaLagMs }, limits);
        courtesy.observe({ nextXid: pressure.nextXid, atMs: nowMs });
      } catch (error) {
        if (!hasFailed && !ended.signal.aborted) log.warn({ err: error }, "cannot read the server's load");
        hasFailed = true;
        reason = undefined;
      }
      await delay(INTERVAL_MS, undefined, { signal: ended.signal }).catch(() => {});
    }
  };
  const watching = watch();

  return {
    courtesy,
    pausedMs,
    async waitUntilCalm(stop) {
      const pause = async (why: PauseReason, leftMs: () => number) => {
        const since = performance.now();
        if (why !== "others write") log.info({ reason: why }, "pausing");
        for (let left = leftMs(); left > 0 && !stop.aborted; left = leftMs()) {
          await delay(Math.min(Math.ceil(left), INTERVAL_MS), undefined, { signal: stop }).catch(() => {});
        }
        pausedMs[why] = (pausedMs[why] ?? 0) + performance.now() - since;
      };
      const pauseFor = async (why: PauseReason, ms: number) => {
        const endsAtMs = performance.now() + ms;
        if (ms > 0) await pause(why, () => endsAtMs - performance.now());
      };
      if (reason !== undefined) await pause(reason, () => (reason === undefined ? 0 : INTERVAL_MS));
      await pauseFor("others write", courtesy.restMs());
      if (limits.walBytesPerSecond === undefined) return;
      const now = await readWal(db);
      const pauseMs = before === undefined ? 0 : findWalPauseMs(before, now, limits.walBytesPerSecond);
      await pauseFor("WAL rate", pauseMs);
      before = pauseMs > 0 ? await readWal(db) : now;
    },
    async end() {
      ended.abort();
      await watching;
    },
  };
}

async function readWal(db: Queryable): Promise<WalSample> {
  return { walBytes: await readWalBytes(db), atMs: performance.now() };
}
