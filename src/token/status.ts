/*
 * How a status is written. It is rewritten only if something in it has changed, so uses are reported at intervals and times
 * keep their value while the condition does.
 */

import type { Claim, Condition, ConditionType, DatedClaim } from "./condition.ts";
import { formatDuration } from "./duration.ts";
import { claimProgress, meaningOfReady } from "./kstatus.ts";
import type { ApiTokenStatus, Observed, ObservedResource, PreviousToken, TokenRow } from "./model.ts";
import type { Reason } from "./reasons.ts";
import { acceptedUntil } from "./validity.ts";

/** A condition of an ApiToken without its times. */
export type ConditionClaim = Claim<ConditionType, Reason>;

/** The last second that RFC 3339 can write; it stands for a row that never expires. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. What is before 1970, as only SQL could write it, becomes 1970. */
export function formatTime(at: Date): string {
  return new Date(Math.max(Math.min(at.getTime(), LAST_MS), 0)).toISOString().replace(/\.\d+Z$/, "Z");
}

/** The conditions of any resource's status, each with the time of the last change of its `status` (KEP-1623). */
export function buildConditions<Type extends string, Why extends string>(
  claims: readonly Claim<Type, Why>[],
  previous: { readonly conditions?: readonly DatedClaim<Type, Why>[] },
  generation: number,
  now: Date,
): DatedClaim<Type, Why>[] {
  return claims.map((claim) => {
    const before = previous.conditions?.find((condition) => condition.type === claim.type);
    const lastTransitionTime = before?.status === claim.status ? before.lastTransitionTime : formatTime(now);
    return { ...claim, observedGeneration: generation, lastTransitionTime };
  });
}

/** What a status reports in addition to its conditions. */
export interface StatusParts {
  /** The newest token; if there is none, the status keeps what it says about the last one. */
  readonly token?: TokenRow | undefined;
  readonly previous?: TokenRow;
  readonly secretName?: string;
  readonly policy?: string;
  readonly renewAt?: Date;
}

/** The status after a pass; what it does not report again is taken from the status before. */
export function buildStatus(
  observed: Observed & { resource: ObservedResource },
  claims: readonly ConditionClaim[],
  { token, previous, secretName, policy, renewAt }: StatusParts,
): ApiTokenStatus {
  const { status: before, generation, rotateRequestedAt } = observed.resource;
  const lastUsedAt = reportUse(
    before.lastUsedAt,
    latest(token?.lastUsedAt, previous?.lastUsedAt),
    USE_REPORTED_EVERY_MS,
  );
  const handled = observed.secret.state === "ours" ? observed.secret.handledRotateAt : undefined;
  // A handled request stays handled, whatever somebody does to the Secret.
  const isRecorded = rotateRequestedAt !== undefined && rotateRequestedAt === before.lastHandledRotateAt;
  const lastHandledRotateAt = isRecorded ? rotateRequestedAt : (handled ?? before.lastHandledRotateAt);
  return {
    observedGeneration: generation,
    conditions: buildConditions(withProgress(claims), before, generation, observed.now),
    ...(token ? describeToken(token) : keepToken(before)),
    ...(secretName === undefined ? {} : { secretName }),
    ...(policy === undefined ? {} : { policy }),
    ...(renewAt === undefined ? {} : { renewAt: formatTime(renewAt) }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
    ...(previous === undefined ? {} : { previous: describePrevious(previous, before.previous) }),
    ...(lastHandledRotateAt === undefined ? {} : { lastHandledRotateAt }),
  };
}

/** The claims, and what Ready means to tools that wait for it. */
function withProgress(claims: readonly ConditionClaim[]): ConditionClaim[] {
  return claims.flatMap((claim) => [
    claim,
    ...(claim.type === "Ready" ? claimProgress(meaningOfReady(claim), claim) : []),
  ]);
}

/** Tokens are used all the time: a status that reported every use would be written all the time. */
const USE_REPORTED_EVERY_MS = 3_600_000;

/** During the overlap it matters more whether somebody still uses the previous token. */
const PREVIOUS_USE_REPORTED_EVERY_MS = 5 * 60_000;

function reportUse(reported: string | undefined, usedAt: Date | undefined, everyMs: number): string | undefined {
  const isNews = usedAt !== undefined && (reported === undefined || usedAt.getTime() >= Date.parse(reported) + everyMs);
  return isNews ? formatTime(usedAt) : reported;
}

function latest(...times: (Date | undefined)[]): Date | undefined {
  return times.reduce(
    (best, time) => (time !== undefined && (best === undefined || time > best) ? time : best),
    undefined,
  );
}

function describePrevious(token: TokenRow, before: PreviousToken | undefined): PreviousToken {
  const reported = before?.tokenId === token.id ? before.lastUsedAt : undefined;
  const lastUsedAt = reportUse(reported, token.lastUsedAt, PREVIOUS_USE_REPORTED_EVERY_MS);
  return {
    tokenId: token.id,
    validUntil: formatTime(acceptedUntil(token)),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
  };
}

function describeToken(token: TokenRow): ApiTokenStatus {
  return {
    tokenId: token.id,
    revision: token.revision,
    issuedAt: formatTime(token.issuedAt),
    expiresAt: formatTime(token.expiresAt),
    effective: {
      duration: formatDuration(token.expiresAt.getTime() - token.issuedAt.getTime()),
      scopes: token.scopes,
    },
  };
}

function keepToken({ tokenId, revision, issuedAt, expiresAt, effective }: ApiTokenStatus): ApiTokenStatus {
  return {
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(revision === undefined ? {} : { revision }),
    ...(issuedAt === undefined ? {} : { issuedAt }),
    ...(expiresAt === undefined ? {} : { expiresAt }),
    ...(effective === undefined ? {} : { effective }),
  };
}

/** Whether a status says that the Secret holds a token that works. */
export function isReady(status: ApiTokenStatus = {}): boolean {
  return findCondition(status, "Ready")?.status === "True";
}

/** The condition of this type, if the status has one. */
export function findCondition(status: ApiTokenStatus, type: ConditionType): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === type);
}
