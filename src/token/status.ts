import { formatDuration } from "./duration.ts";
import type {
  ApiTokenStatus,
  Condition,
  ConditionType,
  Observed,
  ObservedResource,
  Reason,
  TokenRow,
} from "./model.ts";

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

/** The status of an ApiToken whose newest token is `token`; without one, what was said of the last is kept. */
export function buildStatus(
  observed: Observed & { resource: NonNullable<Observed["resource"]> },
  claims: readonly ConditionClaim[],
  token: TokenRow | undefined,
  secretName: string | undefined,
): ApiTokenStatus {
  const { status: previous, generation } = observed.resource;
  return {
    observedGeneration: generation,
    conditions: buildConditions(claims, previous, generation, observed.now),
    ...(token ? describeToken(token) : keepToken(previous)),
    ...(secretName === undefined ? {} : { secretName }),
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

/**
 * The status of an ApiToken that could not be looked at because the database is not available: undefined when it is to
 * stay as it is. What was Ready is not called broken for it, or an outage of the database would rewrite every ApiToken.
 */
export function statusOfOutage(resource: ObservedResource, now: Date): ApiTokenStatus | undefined {
  const ready = findCondition(resource.status, "Ready");
  if (!resource.isDeleting && ready?.status === "True") return undefined;
  const claim: ConditionClaim = {
    type: "Ready",
    status: "False",
    reason: "DatabaseUnavailable",
    message: resource.isDeleting
      ? "The database is not available: deletion waits until the token can be revoked, and goes on by itself."
      : "The database is not available: no token can be issued. This goes on by itself once it is back.",
  };
  const others = (resource.status.conditions ?? []).filter((condition) => condition.type !== "Ready");
  return {
    ...resource.status,
    conditions: [...buildConditions([claim], resource.status, resource.generation, now), ...others],
  };
}
