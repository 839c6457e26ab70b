import type { ApiTokenStatus, Observed, ObservedResource } from "./model.ts";
import type { Reason } from "./reasons.ts";
import { buildConditions, type ConditionClaim, findCondition } from "./status.ts";
import { isLive } from "./validity.ts";

/** Why an ApiToken could not be brought in line, as its status tells it. */
export interface Failure {
  readonly reason: Reason;
  readonly message: string;
}

/** Whether the Secret of the wanted name was seen to hold a live token. */
export function isTokenHeld({ secret, tokens, now }: Observed): boolean {
  return secret.state === "ours" && tokens.some((token) => token.id === secret.holds && isLive(token, now));
}

/**
 * The status of an ApiToken that could not be brought in line; undefined when it is to stay as it is. What is Ready, and
 * asks for nothing new, is not called broken because the database is away, or an outage would rewrite every ApiToken.
 * `isHeld` is undefined when the rows could not be seen: then what was Ready is still called so, unless it is to go.
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
    // The token that is there works on; what fails is the next one, or a mend.
    reason: isReady && reason === "SecretRefused" ? "Renewing" : reason,
    message: isDeleting ? `${message} Until then the deletion waits, for the token could not be revoked.` : message,
  };
  const others = (status.conditions ?? []).filter((condition) => condition.type !== "Ready");
  return {
    ...status,
    conditions: [...buildConditions([claim], status, generation, now), ...others],
    failedAttempts: roundDown(failures),
  };
}

/** To a power of two: a status that counted every attempt would be one more write for each. */
function roundDown(failures: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, failures)));
}
