/*
 * How long a token lives: what the spec asks for, within what the policy allows.
 */
import type { LifetimeLimits, RequestedLifetime } from "./model.ts";

/** When a token expires, and whether that is earlier than the spec asks for. */
export interface Lifetime {
  readonly expiresAt: Date;
  readonly isClamped: boolean;
}

/** A row must expire after its issue, even if the requested expiry is before it. */
const SHORTEST_MS = 1_000;

/**
 * The expiry of a token that was issued at `issuedAt`: after that time, and at most the policy's maximum later. In whole
 * seconds, the precision of metav1.Time, so that row, status and annotation show the same time.
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
