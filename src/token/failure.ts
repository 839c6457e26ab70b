/*
 * What a status reports after a failed pass. A failure that is not the ApiToken's own must neither rewrite thousands of
 * statuses nor claim that a working token is broken; and no failure may leave a status that calls a dead token Ready.
 */
import { claimProgress, isProgress, type Meaning, meaningOfReady } from "./kstatus.ts";
import type { ApiTokenStatus, ObservedResource, TokenRow } from "./model.ts";
import type { Reason } from "./reasons.ts";
import { buildConditions, type ConditionClaim, findCondition, formatTime, isReady } from "./status.ts";

/** Why a pass over an ApiToken failed, as its status reports it. */
export interface Failure {
  readonly reason: Reason;
  readonly message: string;
}

/** Whether a status says Ready of a token that, by the same status, has expired. */
export function isReadyPastExpiry(status: ApiTokenStatus, now: Date): boolean {
  return isPastExpiry(status, now) && isReady(status);
}

function isPastExpiry({ expiresAt }: ApiTokenStatus, now: Date): boolean {
  return expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime();
}

/**
 * The status of an ApiToken whose pass failed; undefined if it should stay as it is. An ApiToken that is Ready and has no
 * pending change keeps its status while the database is unavailable, or an outage would rewrite every ApiToken. Without
 * `seen`, because the rows could not be read, what was Ready stays Ready until the expiry that the status names, unless it
 * is being deleted.
 */
export function statusOfFailure(
  resource: ObservedResource,
  { reason, message }: Failure,
  { failures, seen, now }: { failures: number; seen: { held: TokenRow | undefined } | undefined; now: Date },
): ApiTokenStatus | undefined {
  const { status, generation, isDeleting } = resource;
  const staysReady = !isDeleting && (seen ? seen.held !== undefined : isReady(status) && !isPastExpiry(status, now));
  if (reason === "DatabaseUnavailable" && staysReady && status.observedGeneration === generation) return undefined;
  const claim: ConditionClaim = {
    type: "Ready",
    status: staysReady ? "True" : "False",
    // The existing token keeps working; what failed is the next one, or a repair.
    reason: staysReady && reason === "SecretRefused" ? "Renewing" : reason,
    message: isDeleting
      ? `${message} ${describeHold(reason)}`
      : staysReady
        ? message
        : withExpiry(status, message, now),
  };
  return {
    ...replaceReady(resource, claim, { failures, now }),
    // The pass may have failed between the Secret and the status, which then names the expiry of the token before.
    ...(staysReady && seen?.held ? { expiresAt: formatTime(seen.held.expiresAt) } : {}),
    failedAttempts: roundDown(failures),
  };
}

function describeHold(reason: Reason): string {
  const isDatabase = reason === "DatabaseUnavailable" || reason === "DatabaseRefused";
  return `Deletion is on hold until then${isDatabase ? ", because the token could not be revoked" : ""}.`;
}

/**
 * The status of an ApiToken that its status still calls Ready although the token has expired, because no pass has got that
 * far: it failed, or has not had its turn. `failure` is what is known to stand in the way.
 */
export function statusOfExpiry(resource: ObservedResource, failure: Failure | undefined, now: Date): ApiTokenStatus {
  const { status } = resource;
  const told = findCondition(status, "Ready");
  const isToldFailure = told !== undefined && told.reason !== "Issued" && told.reason !== "Rotated";
  const { reason, message } = failure ?? (isToldFailure ? told : NOT_YET);
  const claim: ConditionClaim = {
    type: "Ready",
    status: "False",
    reason: reason === "Renewing" ? "SecretRefused" : reason,
    message: withExpiry(status, message, now),
  };
  // What is only late comes automatically, unlike what has expired and is not followed by another.
  const meaning = failure === undefined && !isToldFailure ? "Reconciling" : meaningOfReady(claim);
  return replaceReady(resource, claim, { failures: status.failedAttempts ?? 0, now, meaning });
}

const NOT_YET: Failure = {
  reason: "Expired",
  message: "The controller has not yet been able to look at it again, and will do so automatically.",
};

/** For people who look at a consumer that is refused, that the token has expired is the first thing to know. */
function withExpiry(status: ApiTokenStatus, message: string, now: Date): string {
  return isPastExpiry(status, now) ? `The token expired at ${status.expiresAt}. ${message}` : message;
}

/** The status with another claim Ready, and what that means to tools; everything else in it stays. */
function replaceReady(
  { status, generation }: ObservedResource,
  claim: ConditionClaim,
  { failures, now, meaning = meaningOfReady(claim) }: { failures: number; now: Date; meaning?: Meaning },
): ApiTokenStatus {
  const progress = claimProgress(meaning, claim, failures);
  const others = (status.conditions ?? []).filter((condition) => condition.type !== "Ready" && !isProgress(condition));
  const conditions = [...buildConditions([claim, ...progress], status, generation, now), ...others];
  // Tools would wait for a spec that the status does not call observed, whatever else it says.
  const isStalled = progress.some(({ type }) => type === "Stalled");
  return { ...status, ...(isStalled ? { observedGeneration: generation } : {}), conditions };
}

/** To a power of two: a status that counted every attempt would cost one more write for each. */
function roundDown(failures: number): number {
  return 2 ** Math.floor(Math.log2(Math.max(1, failures)));
}
