/*
 * What a status reports after a failed pass. A failure that is not the ApiToken's own must neither rewrite thousands of
 * statuses nor claim that a working token is broken.
 */
import type { ApiTokenStatus, Observed, ObservedResource } from "./model.ts";
import type { Reason } from "./reasons.ts";
import { buildConditions, type ConditionClaim, findCondition } from "./status.ts";
import { isLive } from "./validity.ts";

/** Why a pass over an ApiToken failed, as its status reports it. */
export interface Failure {
  readonly reason: Reason;
  readonly message: string;
}

/** Whether the wanted Secret was observed to hold a live token. */
export function isTokenHeld({ secret, tokens, now }: Observed): boolean {
  return secret.state === "ours" && tokens.some((token) => token.id === secret.holds && isLive(token, now));
}

/**
 * The status of an ApiToken whose pass failed; undefined if it should stay as it is. An ApiToken that is Ready and has no
 * pending change keeps its status while the database is unavailable, or an outage would rewrite every ApiToken. `isHeld`
 * is undefined if the rows could not be read: what was Ready then stays Ready, unless it is being deleted.
 */
export function statusOfFailure(
  resource: ObservedResource,
  { reason, message }: Failure,
  { failures, isHeld, now }: { failures: number; isHeld: boolean | undefined; now: Date },
): ApiTokenStatus | undefined {
  const { status, generation, isDeleting } = resource;
  const wasReady = findCondition(status, "Ready")?.status === "True";
  const isReady = !isDeleting && (isHeld ?? wasReady);
  if (reason === "DatabaseUnavailable" && isReady && status.observedGeneration === generation) return undefined;
  const claim: ConditionClaim = {
    type: "Ready",
    status: isReady ? "True" : "False",
    // The existing token keeps working; what failed is the next one, or a repair.
    reason: isReady && reason === "SecretRefused" ? "Renewing" : reason,
    message: isDeleting
      ? `${message} Deletion is on hold until then, because the token could not be revoked.`
      : message,
  };
  const others = (status.conditions ?? []).filter((condition) => condition.type !== "Ready");
  return {
    ...status,
    conditions: [...buildConditions([claim], status, generation, now), ...others],
    failedAttempts: roundDown(failures),
  };
}

/** To a power of two: a status that counted every attempt would cost one more write for each. */
function roundDown(failures: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, failures)));
}
