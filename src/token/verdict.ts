/*
 * Whether a token is good for a request, as a pure function of its row and the time: whoever verifies tokens can ask it
 * again about a row that was read earlier, which a decision made in SQL would not allow.
 */
import type { BlockList } from "node:net";
import type { TokenRow } from "./model.ts";
import { isWithin, toBlockList } from "./network.ts";
import { acceptedUntilMs, liveUntilMs } from "./validity.ts";

/** What somebody wants to use a token for. What is left out is not checked. */
export interface TokenRequest {
  /** The IPv4 or IPv6 address that the request comes from. */
  readonly address?: string | undefined;
  /** The scopes that the request needs, all of them; `*` has no special meaning. */
  readonly scopes?: readonly string[] | undefined;
}

/** What else decides, beyond the row: a block counts from the moment it is in effect, before it has ended each token. */
export interface TokenCircumstances {
  readonly now: Date;
  readonly isOwnerBlocked: boolean;
}

/** The row's part in the decision. */
export type JudgedToken = Pick<TokenRow, "scopes" | "allowedCidrs" | "grace" | "expiresAt" | "revokedAt">;

/** Why a token is not good for a request. */
export type InactiveReason = "OwnerBlocked" | "Revoked" | "Expired" | "AddressNotAllowed" | "ScopeMissing";

/** The reasons for which verifiers record a failure; the schema allows no other. The first: somebody knows only the token's id. */
export const FAILURE_REASONS: readonly ("WrongSecret" | InactiveReason)[] = [
  "WrongSecret",
  "OwnerBlocked",
  "Revoked",
  "Expired",
  "AddressNotAllowed",
  "ScopeMissing",
];

/** How uses beyond a token's rate limit are counted. The token is good, so the audit trail records no failure. */
export const RATE_LIMITED = "RateLimited";

/** Whether verifiers record a failure for this reason. */
export function isFailureReason(why: string): boolean {
  return (FAILURE_REASONS as readonly string[]).includes(why);
}

export type TokenVerdict =
  /** `scopes` are those that the token has now: in grace only the policy's grace scopes are left of them. */
  | { readonly kind: "active"; readonly scopes: readonly string[]; readonly isInGrace: boolean }
  | { readonly kind: "inactive"; readonly why: InactiveReason };

/** What many tokens have in common, worked out once, so that a verdict costs a few comparisons. */
export interface PreparedTerms {
  readonly scopes: readonly string[];
  readonly graceScopes: readonly string[];
  readonly graceMs: number;
  /** The networks that a token may be used from; undefined: any. */
  readonly networks: BlockList | undefined;
}

/** A token, ready to be judged. Times are in ms since 1970. */
export interface PreparedToken {
  readonly terms: PreparedTerms;
  readonly liveUntilMs: number;
  readonly acceptedUntilMs: number;
  /** Why it will not be accepted any more. */
  readonly end: "Revoked" | "Expired";
}

/** Prepares what a row allows. */
export function prepareTerms({
  scopes,
  allowedCidrs,
  grace,
}: Omit<JudgedToken, "expiresAt" | "revokedAt">): PreparedTerms {
  return {
    scopes,
    graceScopes: grace === undefined ? NOTHING : scopes.filter((scope) => grace.scopes.includes(scope)),
    graceMs: grace?.periodMs ?? 0,
    networks: allowedCidrs.length === 0 ? undefined : toBlockList(allowedCidrs),
  };
}

/** Why a token will not be accepted any more. Times are in ms since 1970. */
export function reasonOfEnd(revokedMs: number | undefined, acceptedUntil: number): PreparedToken["end"] {
  return revokedMs !== undefined && revokedMs <= acceptedUntil ? "Revoked" : "Expired";
}

/** Whether a token is good for a request at `nowMs`, which should be the database's time. */
export function judgePrepared(
  token: PreparedToken,
  nowMs: number,
  isOwnerBlocked: boolean,
  { address, scopes: wanted = NOTHING }: TokenRequest,
): TokenVerdict {
  if (isOwnerBlocked) return { kind: "inactive", why: "OwnerBlocked" };
  if (nowMs >= token.acceptedUntilMs) return { kind: "inactive", why: token.end };
  const { terms } = token;
  if (address !== undefined && terms.networks !== undefined && !isWithin(address, terms.networks)) {
    return { kind: "inactive", why: "AddressNotAllowed" };
  }
  const isInGrace = nowMs >= token.liveUntilMs;
  const scopes = isInGrace ? terms.graceScopes : terms.scopes;
  if (!wanted.every((scope) => scopes.includes(scope))) return { kind: "inactive", why: "ScopeMissing" };
  return { kind: "active", scopes, isInGrace };
}

const NOTHING: readonly string[] = [];

/** Whether the token of a row is good for a request. `now` should be the database's time. */
export function judgeToken(
  token: JudgedToken,
  { now, isOwnerBlocked }: TokenCircumstances,
  request: TokenRequest,
): TokenVerdict {
  const terms = prepareTerms(token);
  const expiresMs = token.expiresAt.getTime();
  const revokedMs = token.revokedAt?.getTime();
  const acceptedUntil = acceptedUntilMs(expiresMs, revokedMs, terms.graceMs);
  const prepared = {
    terms,
    liveUntilMs: liveUntilMs(expiresMs, revokedMs),
    acceptedUntilMs: acceptedUntil,
    end: reasonOfEnd(revokedMs, acceptedUntil),
  };
  return judgePrepared(prepared, now.getTime(), isOwnerBlocked, request);
}
