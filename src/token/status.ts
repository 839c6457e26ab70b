import { formatDuration } from "./duration.ts";
import type {
  ApiTokenStatus,
  Condition,
  ConditionType,
  Observed,
  ObservedResource,
  PreviousToken,
  TokenRow,
} from "./model.ts";
import type { Reason } from "./reasons.ts";
import { liveUntil } from "./validity.ts";

/** A condition before it is known since when it holds. */
export interface ConditionClaim {
  readonly type: ConditionType;
  readonly status: Condition["status"];
  readonly reason: Reason;
  readonly message: string;
}

/** RFC 3339 in UTC with whole seconds, as metav1.Time is written. */
export function formatTime(at: Date): string {
  return at.toISOString().replace(/\.\d+Z$/, "Z");
}

/** The conditions of a status, each with the time since when its `status` holds (KEP-1623). */
export function buildConditions(
  claims: readonly ConditionClaim[],
  previous: ApiTokenStatus,
  generation: number,
  now: Date,
): Condition[] {
  return claims.map((claim) => {
    const before = previous.conditions?.find((condition) => condition.type === claim.type);
    const lastTransitionTime = before?.status === claim.status ? before.lastTransitionTime : formatTime(now);
    return { ...claim, observedGeneration: generation, lastTransitionTime };
  });
}

/** What a status tells besides its conditions. */
export interface StatusParts {
  /** The newest token; without one, what was said of the last is kept. */
  readonly token?: TokenRow | undefined;
  readonly previous?: TokenRow;
  readonly secretName?: string;
  readonly policy?: string;
  readonly renewAt?: Date;
}

/** The status of an ApiToken. */
export function buildStatus(
  observed: Observed & { resource: ObservedResource },
  claims: readonly ConditionClaim[],
  { token, previous, secretName, policy, renewAt }: StatusParts,
): ApiTokenStatus {
  const { status: before, generation, rotateRequestedAt } = observed.resource;
  const lastUsedAt = tellUse(before.lastUsedAt, latest(token?.lastUsedAt, previous?.lastUsedAt), USE_TOLD_EVERY_MS);
  const handled = observed.secret.state === "ours" ? observed.secret.handledRotateAt : undefined;
  // What was handled stays so, whatever somebody does to the Secret.
  const isTold = rotateRequestedAt !== undefined && rotateRequestedAt === before.lastHandledRotateAt;
  const lastHandledRotateAt = isTold ? rotateRequestedAt : (handled ?? before.lastHandledRotateAt);
  return {
    observedGeneration: generation,
    conditions: buildConditions(claims, before, generation, observed.now),
    ...(token ? describeToken(token) : keepToken(before)),
    ...(secretName === undefined ? {} : { secretName }),
    ...(policy === undefined ? {} : { policy }),
    ...(renewAt === undefined ? {} : { renewAt: formatTime(renewAt) }),
    ...(lastUsedAt === undefined ? {} : { lastUsedAt }),
    ...(previous === undefined ? {} : { previous: describePrevious(previous, before.previous) }),
    ...(lastHandledRotateAt === undefined ? {} : { lastHandledRotateAt }),
  };
}

/** Tokens are used all the time: a status that told of each use would be written all the time. */
const USE_TOLD_EVERY_MS = 3_600_000;

/** In its overlap it matters more whether somebody still uses the previous token. */
const PREVIOUS_USE_TOLD_EVERY_MS = 5 * 60_000;

function tellUse(told: string | undefined, usedAt: Date | undefined, everyMs: number): string | undefined {
  const isNews = usedAt !== undefined && (told === undefined || usedAt.getTime() >= Date.parse(told) + everyMs);
  return isNews ? formatTime(usedAt) : told;
}

function latest(...times: (Date | undefined)[]): Date | undefined {
  return times.reduce(
    (best, time) => (time !== undefined && (best === undefined || time > best) ? time : best),
    undefined,
  );
}

function describePrevious(token: TokenRow, told: PreviousToken | undefined): PreviousToken {
  const toldUse = told?.tokenId === token.id ? told.lastUsedAt : undefined;
  const lastUsedAt = tellUse(toldUse, token.lastUsedAt, PREVIOUS_USE_TOLD_EVERY_MS);
  return {
    tokenId: token.id,
    validUntil: formatTime(liveUntil(token)),
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

/** The condition of that type, if the status has it. */
export function findCondition(status: ApiTokenStatus, type: ConditionType): Condition | undefined {
  return status.conditions?.find((condition) => condition.type === type);
}
