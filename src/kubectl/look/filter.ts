/*
 * Which ApiTokens `list` shows. Several filters must all hold.
 */
import { matchesGlob } from "../../token/policy.ts";
import { type ApiTokenView, isReady } from "../client/api-token.ts";

export interface Filter {
  /** The owner, or a glob of it. */
  readonly owner?: string | undefined;
  /** The names under which the user may own ApiTokens, or have asked for them. */
  readonly mine?: readonly string[] | undefined;
  readonly expiringMs?: number | undefined;
  readonly unusedMs?: number | undefined;
  readonly isNotReadyOnly?: boolean;
}

/** Whether an ApiToken passes the filter. */
export function passes(filter: Filter, token: ApiTokenView, now: Date): boolean {
  const { owner, mine, expiringMs, unusedMs, isNotReadyOnly = false } = filter;
  return (
    (owner === undefined || matchesGlob(owner, token.owner, token.namespace)) &&
    (mine === undefined || mine.includes(token.owner) || mine.includes(token.requestedBy ?? "")) &&
    (expiringMs === undefined || isEnding(token, expiringMs, now)) &&
    (unusedMs === undefined || isUnused(token, unusedMs, now)) &&
    !(isNotReadyOnly && isReady(token))
  );
}

/** A renewal that is this late does not come soon. */
const OVERDUE_MS = 5 * 60_000;

/** Whether a live token ends within this time, and no next one comes before. */
export function isEnding(
  { expiresAt, renewAt }: Pick<ApiTokenView, "expiresAt" | "renewAt">,
  withinMs: number,
  now: Date,
): boolean {
  if (expiresAt === undefined || Date.parse(expiresAt) <= now.getTime()) return false;
  if (Date.parse(expiresAt) > now.getTime() + withinMs) return false;
  if (renewAt === undefined || Date.parse(renewAt) >= Date.parse(expiresAt)) return true;
  return Date.parse(renewAt) <= now.getTime() - OVERDUE_MS;
}

/** Whether the ApiToken has a token that nobody has used for this long, and that is as old itself. */
export function isUnused(
  { tokenId, lastUsedAt, issuedAt, createdAt }: ApiTokenView,
  forMs: number,
  now: Date,
): boolean {
  const since = lastUsedAt ?? createdAt ?? issuedAt;
  return tokenId !== undefined && since !== undefined && Date.parse(since) <= now.getTime() - forMs;
}
