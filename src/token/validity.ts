/*
 * What it means that a token is live, in grace, accepted or current: the same four words as in migrations/0001_schema.sql,
 * for decisions that cannot ask Postgres. test/integration/postgres/validity.test.ts compares the two definitions.
 */
import type { TokenRow } from "./model.ts";

/** The latest time that a Date can hold; it stands for Postgres' infinity. */
const LATEST_MS = 8.64e15;

type Ends = Pick<TokenRow, "expiresAt" | "revokedAt">;
type GracedEnds = Pick<TokenRow, "expiresAt" | "revokedAt" | "grace">;

/** When a token stops being live: at its expiry, or at an earlier revocation, which may be in the future. All in ms since 1970. */
export function liveUntilMs(expiresMs: number, revokedMs: number | undefined): number {
  return revokedMs !== undefined && revokedMs < expiresMs ? revokedMs : expiresMs;
}

/** When a token stops being accepted: at the end of the grace after its expiry, or at an earlier revocation. */
export function acceptedUntilMs(expiresMs: number, revokedMs: number | undefined, graceMs: number): number {
  return liveUntilMs(Math.min(expiresMs + graceMs, LATEST_MS), revokedMs);
}

/** `liveUntilMs` of a row. */
export function liveUntil({ expiresAt, revokedAt }: Ends): Date {
  return new Date(liveUntilMs(expiresAt.getTime(), revokedAt?.getTime()));
}

/** `acceptedUntilMs` of a row. */
export function acceptedUntil({ expiresAt, revokedAt, grace }: GracedEnds): Date {
  return new Date(acceptedUntilMs(expiresAt.getTime(), revokedAt?.getTime(), grace?.periodMs ?? 0));
}

/** Live: neither expired nor revoked at `now`. */
export function isLive(token: Ends, now: Date): boolean {
  return now < liveUntil(token);
}

/** In grace: expired at `now`, but not revoked, and within the grace that its policy allows. */
export function isInGrace(token: GracedEnds, now: Date): boolean {
  return token.expiresAt <= now && isAccepted(token, now);
}

/** Accepted: live or in grace at `now`. */
export function isAccepted(token: GracedEnds, now: Date): boolean {
  return now < acceptedUntil(token);
}

/**
 * Current: live at `now`, and no end has been set, as a rotation would. An ApiToken has one current token, or two while a
 * rotation has issued the next token and not yet set the end of the last; then the newest is the current one.
 */
export function isCurrent(token: Ends, now: Date): boolean {
  return token.revokedAt === undefined && isLive(token, now);
}
