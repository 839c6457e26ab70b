/*
 * Most tokens of a company have the same few scopes, networks and graces, and thousands have the same owner: what rows have in common
 * is kept once.
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
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

/** So many different ones are shared; beyond that, sharing begins again. */
const MOST_SHARED = 20_000;

const shared = new Map<string, TokenTerms>();

/** The terms of a row, as an object that rows share. */
export function shareTerms(row: VerifiableToken): TokenTerms {
  const { scopes, allowedCidrs, grace, rateLimit, hashAlgorithm, keyId } = row;
  const key = JSON.stringify([scopes, allowedCidrs, grace, rateLimit, hashAlgorithm, keyId]);
  const known = shared.get(key);
  if (known !== undefined) return known;
  const terms = {
    ...prepareTerms({ scopes, allowedCidrs, grace }),
    allowedCidrs,
    grace,
    rateLimit,
    hashAlgorithm,
    keyId,
  };
  if (shared.size >= MOST_SHARED) shared.clear();
  shared.set(key, terms);
  return terms;
}
