/*
 * The arithmetic behind the token gauges, kept pure so that it can be tested with plain statuses and a fixed time. With
 * tens of thousands of ApiTokens in the cache it must get by with a single pass.
 */
import type { ApiToken } from "../../kube/resources/api-token.ts";
import { REASONS, type Reason } from "../../token/reasons.ts";
import { findCondition } from "../../token/status.ts";

/** A status can be edited by hand, but a metric's label must have few values: any other reason counts as `OTHER`. */
const KNOWN_REASONS: ReadonlySet<string> = new Set(REASONS);

/** Reasons that somebody intended or that last: an ApiToken that is not Ready for one of these is not waiting. */
const MEANT: readonly string[] = [
  "Expired",
  "Inactive",
  "RevokedBySpec",
  "OwnerBlocked",
  "Superseded",
  "PolicyDenied",
  "NamespaceTerminating",
  "Suspended",
] satisfies Reason[];

/** For ApiTokens that have no status yet. */
const PENDING = "Pending";
const OTHER = "Other";

const HOUR_MS = 3_600_000;

/** How soon a token must expire to be counted, by the value of label `within`. */
export const EXPIRING_WITHIN = { "24h": 24 * HOUR_MS, "7d": 7 * 24 * HOUR_MS } as const;

type Within = keyof typeof EXPIRING_WITHIN;
const WITHIN = Object.keys(EXPIRING_WITHIN) as Within[];

export interface TokenSummary {
  readonly states: readonly { readonly isReady: boolean; readonly reason: string; readonly count: number }[];
  /** The earliest expiry among tokens that Secrets hold. */
  readonly nextExpiryAt: Date | undefined;
  /** How many tokens that Secrets hold expire within each period. */
  readonly expiring: Readonly<Record<Within, number>>;
  /** Those among them that will not be renewed. */
  readonly notRenewed: readonly { readonly within: Within; readonly reason: string; readonly count: number }[];
  /** Tokens that Secrets hold and whose rotation is due. */
  readonly due: {
    readonly count: number;
    /** When the most overdue rotation became due. */
    readonly sinceAt: Date | undefined;
    readonly nextExpiryAt: Date | undefined;
  };
  /** How long the longest-waiting ApiToken has not been Ready; 0 if none is waiting. */
  readonly oldestUnreadyMs: number;
}

/** Summarizes ApiTokens by their statuses. */
export function summarizeTokens(apiTokens: Iterable<ApiToken>, now: Date): TokenSummary {
  const nowMs = now.getTime();
  const states = new Map<string, number>();
  const notRenewed = new Map<string, number>();
  const expiring = { "24h": 0, "7d": 0 };
  let nextExpiryMs = Number.POSITIVE_INFINITY;
  let oldestUnreadyMs = 0;
  const due = { count: 0, sinceMs: Number.POSITIVE_INFINITY, nextExpiryMs: Number.POSITIVE_INFINITY };
  for (const { metadata, status = {} } of apiTokens) {
    const ready = findCondition(status, "Ready");
    const isReady = ready?.status === "True";
    const reason = ready === undefined ? PENDING : KNOWN_REASONS.has(ready.reason) ? ready.reason : OTHER;
    increase(states, `${isReady} ${reason}`);
    const endMs = isReady ? Date.parse(status.expiresAt ?? "") : Number.NaN;
    const renewMs = isReady ? Date.parse(status.renewAt ?? "") : Number.NaN;
    nextExpiryMs = earlier(nextExpiryMs, endMs);
    for (const within of WITHIN) {
      if (!(endMs - nowMs <= EXPIRING_WITHIN[within])) continue;
      expiring[within] += 1;
      if (Number.isNaN(renewMs)) increase(notRenewed, `${within} ${reason}`);
    }
    if (renewMs <= nowMs) {
      due.count += 1;
      due.sinceMs = earlier(due.sinceMs, renewMs);
      due.nextExpiryMs = earlier(due.nextExpiryMs, endMs);
    }
    if (!isReady && !MEANT.includes(reason)) {
      const waitsMs = nowMs - Date.parse(ready?.lastTransitionTime ?? metadata.creationTimestamp ?? "");
      if (waitsMs > oldestUnreadyMs) oldestUnreadyMs = waitsMs;
    }
  }
  return {
    states: [...states].map(([state, count]) => {
      const [isReady, reason = OTHER] = state.split(" ");
      return { isReady: isReady === "true", reason, count };
    }),
    nextExpiryAt: toDate(nextExpiryMs),
    expiring,
    notRenewed: [...notRenewed].map(([key, count]) => {
      const [within, reason = OTHER] = key.split(" ");
      return { within: within as Within, reason, count };
    }),
    due: { count: due.count, sinceAt: toDate(due.sinceMs), nextExpiryAt: toDate(due.nextExpiryMs) },
    oldestUnreadyMs,
  };
}

function increase(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** The earlier of two times; NaN counts as no time. */
function earlier(bestMs: number, timeMs: number): number {
  return timeMs < bestMs ? timeMs : bestMs;
}

function toDate(timeMs: number): Date | undefined {
  return Number.isFinite(timeMs) ? new Date(timeMs) : undefined;
}
