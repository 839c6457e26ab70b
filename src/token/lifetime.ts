import type { LifetimeLimits, RequestedLifetime } from "./model.ts";

/** When a token issued at `issuedAt` ends, and whether that is earlier than was asked for. */
export interface Lifetime {
  readonly expiresAt: Date;
  readonly isClamped: boolean;
}

/** A life has a length, even where the wanted end lies before the beginning. */
const SHORTEST_MS = 1_000;

/**
 * The end of a token's life under the limits: after `issuedAt`, and never later than `issuedAt` plus the maximum. In
 * whole seconds, the precision of metav1.Time, so that row, status and annotation say the same.
 */
export function resolveLifetime(requested: RequestedLifetime, limits: LifetimeLimits, issuedAt: Date): Lifetime {
  const earliestMs = issuedAt.getTime() + SHORTEST_MS;
  const latestMs = issuedAt.getTime() + limits.maxMs;
  const wantedMs = wantedEnd(requested, limits, issuedAt);
  const endMs = Math.max(earliestMs, Math.min(wantedMs, latestMs));
  return { expiresAt: floorToSecond(new Date(endMs)), isClamped: wantedMs > latestMs };
}

/** The last whole second that is not after `at`. */
export function floorToSecond(at: Date): Date {
  return new Date(Math.floor(at.getTime() / 1_000) * 1_000);
}

function wantedEnd(requested: RequestedLifetime, limits: LifetimeLimits, issuedAt: Date): number {
  switch (requested.kind) {
    case "default":
      return issuedAt.getTime() + limits.defaultMs;
    case "duration":
      return issuedAt.getTime() + requested.durationMs;
    case "fixed":
      return requested.expiresAt.getTime();
  }
}
