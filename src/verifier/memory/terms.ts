/*
 * Most tokens of a company have the same few scopes, networks and graces, and thousands have the same owner: what rows have in common
 * is kept once.
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
import { createShared } from "../../runtime/sharing.ts";
import type { Grace } from "../../token/model.ts";
import type { RateLimit } from "../../token/rate-limit.ts";
import { type PreparedTerms, prepareTerms } from "../../token/verdict.ts";

/** What a row allows, and how its hash was made. */
export interface TokenTerms extends PreparedTerms {
  readonly allowedCidrs: readonly string[];
  readonly grace: Grace | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly hashAlgorithm: VerifiableToken["hashAlgorithm"];
  readonly keyId: string;
}

const allTerms = createShared<TokenTerms>();

/** The terms of a row, as an object that rows share. */
export function shareTerms(row: VerifiableToken): TokenTerms {
  const { scopes, allowedCidrs, grace, rateLimit, hashAlgorithm, keyId } = row;
  return allTerms(JSON.stringify([scopes, allowedCidrs, grace, rateLimit, hashAlgorithm, keyId]), () => ({
    ...prepareTerms({ scopes, allowedCidrs, grace }),
    allowedCidrs,
    grace,
    rateLimit,
    hashAlgorithm,
    keyId,
  }));
}
