/*
 * Whether a token is good for a request, as a pure function of its row and the time: whoever verifies tokens can ask it
 * again about a row that was read earlier, which a decision made in SQL would not allow.
 */
import type { BlockList } from "node:net";
import type { TokenRow } from "./model.ts";
import { isWithin, toBlockList } from "./network.ts";
import { acceptedUntil, liveUntil } from "./validity.ts";

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

/** Whether verifiers record a failure for this reason. */
export function isFailureReason(why: string): boolean {
  return (FAILURE_REASONS as readonly string[]).includes(why);
}

export type TokenVerdict =
  /** `scopes` are those that the token has now: in grace only the policy's grace scopes are left of them. */
  | { readonly kind: "active"; readonly scopes: readonly string[]; readonly isInGrace: boolean }
  | { readonly kind: "inactive"; readonly why: InactiveReason };

/** What a token is worth, worked out once from its row, so that a verdict costs a few comparisons. Times are in ms since 1970. */
export interface PreparedToken {
  readonly scopes: readonly string[];
  readonly graceScopes: readonly string[];
  readonly liveUntilMs: number;
  readonly acceptedUntilMs: number;
  /** Why it will not be accepted any more. */
  readonly end: "Revoked" | "Expired";
  /** The networks that it may be used from; undefined: any. */
  readonly networks: BlockList | undefined;
}

/** Prepares the verdicts on the token of a row. */
export function prepareToken(token: JudgedToken): PreparedToken {
  return {
    scopes: token.scopes,
    graceScopes:
      token.grace === undefined ? NOTHING : token.scopes.filter((scope) => token.grace?.scopes.includes(scope)),
    liveUntilMs: liveUntil(token).getTime(),
    acceptedUntilMs: acceptedUntil(token).getTime(),
    end: isRevocationItsEnd(token) ? "Revoked" : "Expired",
    networks: token.allowedCidrs.length === 0 ? undefined : toBlockList(token.allowedCidrs),
  };
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
  if (address !== undefined && token.networks !== undefined && !isWithin(address, token.networks)) {
    return { kind: "inactive", why: "AddressNotAllowed" };
  }
  const isInGrace = nowMs >= token.liveUntilMs;
  const scopes = isInGrace ? token.graceScopes : token.scopes;
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
  return judgePrepared(prepareToken(token), now.getTime(), isOwnerBlocked, request);
}

function isRevocationItsEnd(token: JudgedToken): boolean {
  return token.revokedAt !== undefined && token.revokedAt <= acceptedUntil(token);
}
