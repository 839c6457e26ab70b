import { createHash } from "node:crypto";
import { floorToSecond } from "./lifetime.ts";
import type { DesiredRotation } from "./model.ts";

/** A lead of more would have a token spend most of its life being followed. */
const LONGEST_LEAD_SHARE = 0.5;

/** Tokens that were issued together are renewed over this share of their lead, and so do not fall due together. */
const JITTER_SHARE = 0.1;

/**
 * When the next token is due: before the end by the lead asked for (at most half of the lifetime), and later than that
 * by up to a tenth of the lead, always the same for the same ApiToken. In whole seconds, as status tells it.
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

/** A number from 0 to 1 that looks random and is the same for the same text. */
function fractionOf(text: string): number {
  return createHash("sha256").update(text).digest().readUInt32BE(0) / 2 ** 32;
}
