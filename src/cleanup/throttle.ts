import { setTimeout as delay } from "node:timers/promises";
import { type Pressure, readPressure } from "../postgres/cleanup-pressure.ts";
import type { Queryable } from "../postgres/database.ts";
import type { Logger } from "../runtime/log.ts";

/** Beyond these the run pauses; undefined: no limit. */
export interface PressureLimits {
  readonly replicaLagMs: number | undefined;
  readonly waiters: number | undefined;
  readonly walBytesPerSecond: number | undefined;
}

export interface PressureSample extends Pressure {
  readonly atMs: number;
}

export type PauseReason = "replica lag" | "waiting sessions" | "WAL rate";

/** Why the run should pause, from two readings one after the other; undefined when all is well. */
export function findPauseReason(
  before: PressureSample | undefined,
  now: PressureSample,
  limits: PressureLimits,
): PauseReason | undefined {
  const { replicaLagMs = Number.POSITIVE_INFINITY, waiters = Number.POSITIVE_INFINITY, walBytesPerSecond } = limits;
  if (now.waiters > waiters) return "waiting sessions";
  if ((now.replicaLagMs ?? 0) > replicaLagMs) return "replica lag";
  if (walBytesPerSecond === undefined || before === undefined) return undefined;
  const rate = (now.walBytes - before.walBytes) / Math.max((now.atMs - before.atMs) / 1_000, 0.001);
  return rate > walBytesPerSecond ? "WAL rate" : undefined;
}

/** Watches the server while batches run on other connections. */
export interface Throttle {
  /** Resolves at once when all is well, else when it is again, or when the run is to stop. Says whether it waited. */
  waitUntilCalm(stop: AbortSignal): Promise<boolean>;
  /** How long the run has paused so far, by reason. */
  readonly pausedMs: Readonly<Partial<Record<PauseReason, number>>>;
  end(): Promise<void>;
}

/** Often enough to see a session that waits, seldom enough to be no burden. */
const INTERVAL_MS = 250;

/** Reads the pressure on a connection of its own until `end`; when it cannot be read, the run pauses for nothing. */
export function startThrottle(db: Queryable, pids: readonly number[], limits: PressureLimits, log: Logger): Throttle {
  const ended = new AbortController();
  const pausedMs: Partial<Record<PauseReason, number>> = {};
  let reason: PauseReason | undefined;
  let hasFailed = false;

  const watch = async () => {
    let before: PressureSample | undefined;
    while (!ended.signal.aborted) {
      try {
        const now = { ...(await readPressure(db, pids)), atMs: performance.now() };
        reason = findPauseReason(before, now, limits);
        before = now;
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
    pausedMs,
    async waitUntilCalm(stop) {
      if (reason === undefined) return false;
      const since = performance.now();
      const why = reason;
      log.info({ reason: why }, "pausing");
      while (reason !== undefined && !stop.aborted) {
        await delay(INTERVAL_MS, undefined, { signal: stop }).catch(() => {});
      }
      pausedMs[why] = (pausedMs[why] ?? 0) + performance.now() - since;
      return true;
    },
    async end() {
      ended.abort();
      await watching;
    },
  };
}
