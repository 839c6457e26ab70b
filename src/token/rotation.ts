/*
 * When a token is followed by the next one. Thousands of tokens may have been issued in the same minute, and must not all be
 * renewed in one.
 */
import { createHash } from "node:crypto";
import { floorToSecond } from "./lifetime.ts";
import type { DesiredRotation } from "./model.ts";

/** With a longer lead, a token would be due for rotation during most of its life. */
const LONGEST_LEAD_SHARE = 0.5;

/** Tokens that were issued together spread their renewals over this share of the lead, so that not all are due at once. */
const JITTER_SHARE = 0.1;

/**
 * When the next token is due: the requested lead (at most half of the lifetime) before the expiry, delayed by up to a tenth
 * of the lead. The delay is always the same for the same ApiToken. In whole seconds, as in the status.
 */
export function renewalTime(
  { renewBefore }: DesiredRotation,
  token: { readonly issuedAt: Date; readonly expiresAt: Date },
  resourceUid: string,
): Date {
  const lifetimeMs = token.expiresAt.getTime() - token.issuedAt.getTime();
  const wantedMs = "ms" in renewBefore ? renewBefore.ms : (lifetimeMs * renewBefore.percentage) / 100;
  const leadMs = Math.min(wantedMs, lifetimeMs * LONGEST_LEAD_SHARE);
  return floorToSecond(new Date(token.expiresAt.getTime() - leadMs * (1 - JITTER_SHARE * fractionOf(resourceUid))));
}

/** A number from 0 to 1 that looks random but depends on the text alone. */
function fractionOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
}
