/*
 * What a token may do follows the spec and the policy for as long as the token is accepted.
 */
import type { AppliedPolicy, DesiredToken, TokenMetadata, TokenRow } from "../model.ts";
import { combineRateLimits, isSameRateLimit } from "../rate-limit.ts";
import type { Action } from "./action.ts";
import type { Situation } from "./situation.ts";

/** Gives the row what the spec and the policy say, and this expiry if it is given, unless it has that already. */
export function grant({ desired, applied }: Situation, token: TokenRow, expiresAt?: Date): Action[] {
  if (applied === undefined) return [];
  const isMoved = expiresAt !== undefined && token.expiresAt.getTime() !== expiresAt.getTime();
  if (!isMoved && isAsDesired(token, desired, applied)) return [];
  return [{ kind: "updateToken", tokenId: token.id, ...(isMoved ? { expiresAt } : {}) }];
}

function isAsDesired(token: TokenRow, desired: DesiredToken, { grace, rateLimit }: AppliedPolicy): boolean {
  return (
    token.owner === desired.owner &&
    token.description === desired.description &&
    isSameMetadata(token.metadata, desired.metadata) &&
    !token.isMetadataStale &&
    isSameList(token.scopes, desired.scopes) &&
    isSameList(token.allowedCidrs, desired.allowedCidrs) &&
    token.grace?.periodMs === grace?.periodMs &&
    isSameList(token.grace?.scopes ?? [], grace?.scopes ?? []) &&
    isSameRateLimit(token.rateLimit, combineRateLimits(desired.rateLimit, rateLimit))
  );
}

/** Metadata that cannot be read is never the same. */
function isSameMetadata(left: TokenMetadata | undefined, right: TokenMetadata): boolean {
  if (left === undefined) return false;
  const keys = Object.keys(right);
  return keys.length === Object.keys(left).length && keys.every((key) => left[key] === right[key]);
}

function isSameList(left: readonly string[], right: readonly string[]): boolean {
  return left.length === right.length && left.every((value, index) => value === right[index]);
}
