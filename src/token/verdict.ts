/*
 * Whether a token is good for a request, as a pure function of its row and the time: whoever verifies tokens can ask it
 * again about a row that was read earlier, which a decision made in SQL would not allow.
 */
import { BlockList, isIP } from "node:net";
import type { TokenRow } from "./model.ts";
import { acceptedUntil, isAccepted, isLive } from "./validity.ts";

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

export type TokenVerdict =
  /** `scopes` are those that the token has now: in grace only the policy's grace scopes are left of them. */
  | { readonly kind: "active"; readonly scopes: readonly string[]; readonly isInGrace: boolean }
  | { readonly kind: "inactive"; readonly why: InactiveReason };

/** Whether the token of a row is good for a request. `now` should be the database's time. */
export function judgeToken(
  token: JudgedToken,
  { now, isOwnerBlocked }: TokenCircumstances,
  { address, scopes: wanted = [] }: TokenRequest,
): TokenVerdict {
  if (isOwnerBlocked) return { kind: "inactive", why: "OwnerBlocked" };
  if (!isAccepted(token, now)) return { kind: "inactive", why: isRevocationItsEnd(token) ? "Revoked" : "Expired" };
  if (address !== undefined && !isAllowedFrom(address, token.allowedCidrs)) {
    return { kind: "inactive", why: "AddressNotAllowed" };
  }
  const isInGrace = !isLive(token, now);
  const scopes = isInGrace ? token.scopes.filter((scope) => token.grace?.scopes.includes(scope)) : token.scopes;
  if (!wanted.every((scope) => scopes.includes(scope))) return { kind: "inactive", why: "ScopeMissing" };
  return { kind: "active", scopes, isInGrace };
}

function isRevocationItsEnd(token: JudgedToken): boolean {
  return token.revokedAt !== undefined && token.revokedAt <= acceptedUntil(token);
}

/** Everything is allowed without a CIDR. An IPv4 address is also found in its IPv6 form, ::ffff:10.0.0.1. */
function isAllowedFrom(address: string, cidrs: readonly string[]): boolean {
  if (cidrs.length === 0) return true;
  const family = familyOf(address);
  return family !== undefined && cidrs.some((cidr) => toBlockList(cidr)?.check(address, family));
}

/** Undefined for what is not a CIDR: the CRD refuses it, but a row may have been written with SQL. */
function toBlockList(cidr: string): BlockList | undefined {
  const [, network = "", bits = ""] = /^([^/]+)\/(\d{1,3})$/.exec(cidr) ?? [];
  const family = familyOf(network);
  if (family === undefined || Number(bits) > (family === "ipv4" ? 32 : 128)) return undefined;
  const list = new BlockList();
  list.addSubnet(network, Number(bits), family);
  return list;
}

function familyOf(address: string): "ipv4" | "ipv6" | undefined {
  const version = isIP(address);
  return version === 0 ? undefined : version === 4 ? "ipv4" : "ipv6";
}
