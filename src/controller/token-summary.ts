import type { ApiToken } from "../kube/resources/api-token.ts";
import { REASONS, type Reason } from "../token/model.ts";
import { findCondition } from "../token/status.ts";

/** A status can be edited by hand, and a metric's labels must stay few. */
const KNOWN_REASONS: ReadonlySet<string> = new Set(REASONS);

/** Not Ready for these is what somebody asked for, or what lasts: nobody waits for it to pass. */
const MEANT: readonly string[] = [
  "Expired",
  "Inactive",
  "RevokedBySpec",
  "OwnerBlocked",
  "Superseded",
  "PolicyDenied",
  "Suspended",
] satisfies Reason[];

/** Of ApiTokens that have no status yet. */
const PENDING = "Pending";
const OTHER = "Other";

const HOUR_MS = 3_600_000;

/** How soon a token is said to be expiring, by the name of it. */
export const EXPIRING_WITHIN = { "24h": 24 * HOUR_MS, "7d": 7 * 24 * HOUR_MS } as const;

/** ApiTokens in numbers. */
export interface TokenSummary {
  readonly states: readonly { readonly isReady: boolean; readonly reason: string; readonly count: number }[];
  /** The earliest end of a token that a Secret holds. */
  readonly nextExpiryAt: Date | undefined;
  /** How many tokens that Secrets hold end so soon. */
  readonly expiring: Readonly<Record<keyof typeof EXPIRING_WITHIN, number>>;
  /** How long the one has been waiting that waits the longest to become Ready; 0 when none does. */
  readonly oldestUnreadyMs: number;
}

/** Counts ApiTokens by what their statuses say. Pure; one pass. */
export function summarizeTokens(apiTokens: Iterable<ApiToken>, now: Date): TokenSummary {
  const counts = new Map<string, number>();
  const expiring = { "24h": 0, "7d": 0 };
  let nextExpiryMs = Number.POSITIVE_INFINITY;
  let oldestUnreadyMs = 0;
  for (const { metadata, status = {} } of apiTokens) {
    const ready = findCondition(status, "Ready");
    const isReady = ready?.status === "True";
    const reason = ready === undefined ? PENDING : KNOWN_REASONS.has(ready.reason) ? ready.reason : OTHER;
    const state = `${isReady} ${reason}`;
    counts.set(state, (counts.get(state) ?? 0) + 1);
    const endMs = isReady ? Date.parse(status.expiresAt ?? "") : Number.NaN;
    if (endMs < nextExpiryMs) nextExpiryMs = endMs;
    for (const within of ["24h", "7d"] as const) {
      if (endMs - now.getTime() <= EXPIRING_WITHIN[within]) expiring[within] += 1;
    }
    if (!isReady && !MEANT.includes(reason)) {
      const waitsMs = now.getTime() - Date.parse(ready?.lastTransitionTime ?? metadata.creationTimestamp ?? "");
      if (waitsMs > oldestUnreadyMs) oldestUnreadyMs = waitsMs;
    }
  }
  return {
    states: [...counts].map(([state, count]) => {
      const [isReady, reason = OTHER] = state.split(" ");
      return { isReady: isReady === "true", reason, count };
    }),
    nextExpiryAt: Number.isFinite(nextExpiryMs) ? new Date(nextExpiryMs) : undefined,
    expiring,
    oldestUnreadyMs,
  };
}
