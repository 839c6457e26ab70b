/*
 * So many a second, and not more: what is left over is kept for a burst (a token bucket).
 */

export interface AllowanceLimits {
  readonly perSecond: number;
  /** How many may be taken at once after a pause. */
  readonly atOnce: number;
}

/** What may be done only so often. */
export interface Allowance {
  /** Takes one; false if none is left. */
  take(): boolean;
}

/** Begins with the full burst. Times are those of `performance.now()`. */
export function createAllowance({ perSecond, atOnce }: AllowanceLimits, now = () => performance.now()): Allowance {
  let left = atOnce;
  let countedAtMs = now();
  return {
    take() {
      const nowMs = now();
      left = Math.min(atOnce, left + ((nowMs - countedAtMs) * perSecond) / 1_000);
      countedAtMs = nowMs;
      if (left < 1) return false;
      left -= 1;
      return true;
    },
  };
}
