import { formatDuration } from "./duration.ts";
import { endOf, floorToSecond, isLive, resolveLifetime } from "./lifetime.ts";
import type {
  Action,
  DesiredToken,
  IssueCause,
  LifetimeLimits,
  Observed,
  ObservedResource,
  Plan,
  RevocationReason,
  TokenRow,
} from "./model.ts";
import { buildStatus, type ConditionClaim, formatTime } from "./status.ts";

/** A Secret that is not ours is looked at again after this long: its deletion cannot be watched. */
const CONFLICT_RECHECK_MS = 15_000;

/** What a spec came to when it was read: a wish, or why it is none. */
export type ParsedSpec =
  | { readonly desired: DesiredToken; readonly problem?: undefined }
  | { readonly desired?: undefined; readonly problem: string };

interface Situation {
  readonly desired: DesiredToken;
  readonly observed: Observed & { readonly resource: ObservedResource };
  readonly limits: LifetimeLimits;
  /** Rows of this very resource that are live, oldest first. */
  readonly live: readonly TokenRow[];
  /** Its row of the highest revision, dead or live. */
  readonly newest: TokenRow | undefined;
  /** The live row that the Secret holds. */
  readonly held: TokenRow | undefined;
}

/**
 * What one pass over an ApiToken is to do: the first rule that has an answer gives it. Pure: the same input gives the
 * same plan, and a plan that was carried out, wholly or up to any point, leads to a plan that does the rest.
 */
export function plan(spec: ParsedSpec, observed: Observed, limits: LifetimeLimits): Plan {
  const { resource, now } = observed;
  const live = observed.tokens.filter((token) => isLive(token, now));
  if (resource === undefined) {
    return { actions: revoke(live, "ResourceDeleted"), status: undefined, requeueAt: undefined };
  }
  if (resource.isDeleting) return planDeletion(resource, observed, live);

  const formerActions = revoke(
    live.filter((token) => token.resourceUid !== resource.uid),
    "ResourceDeleted",
  );
  const own = observed.tokens.filter((token) => token.resourceUid === resource.uid);
  const ownLive = live.filter((token) => token.resourceUid === resource.uid);
  const here = { ...observed, resource };
  const { secret } = observed;
  const held = secret.state === "ours" ? ownLive.find((token) => token.id === secret.holds) : undefined;

  const rest =
    spec.desired === undefined
      ? planInvalid(spec.problem, here, held)
      : planLife({ desired: spec.desired, observed: here, limits, live: ownLive, newest: own.at(-1), held });
  return { ...rest, actions: [...formerActions, ...rest.actions] };
}

function planLife(situation: Situation): Plan {
  return (
    planRevocation(situation) ??
    planSuspension(situation) ??
    planConflict(situation) ??
    planUpkeep(situation) ??
    planExpiry(situation) ??
    planIssue(situation)
  );
}

/** Rows first, so that the token is dead before anything that says so is gone. */
function planDeletion(resource: ObservedResource, observed: Observed, live: readonly TokenRow[]): Plan {
  return {
    actions: [
      ...revoke(live, "ResourceDeleted"),
      ...deleteSecrets(observed),
      ...(resource.hasFinalizer ? [{ kind: "removeFinalizer" } as const] : []),
    ],
    status: undefined,
    requeueAt: undefined,
  };
}

/** A spec that cannot be read asks for nothing: what lives, lives on. */
function planInvalid(problem: string, observed: Situation["observed"], held: TokenRow | undefined): Plan {
  const claim = { type: "Ready", status: "False", reason: "InvalidSpec", message: problem } as const;
  return {
    actions: [],
    status: buildStatus(observed, [claim], held, observed.resource.status.secretName),
    requeueAt: undefined,
  };
}

function planRevocation({ desired, observed, live, newest }: Situation): Plan | undefined {
  if (!desired.isRevoked) return undefined;
  const message = `Revoked by spec.revoked${desired.revocationReason ? `: ${desired.revocationReason}` : ""}. This is final.`;
  const claims: ConditionClaim[] = [
    { type: "Ready", status: "False", reason: "RevokedBySpec", message },
    { type: "Revoked", status: "True", reason: "RevokedBySpec", message },
  ];
  return {
    actions: [...revoke(live, "RevokedBySpec", desired.revocationReason), ...deleteSecrets(observed)],
    status: buildStatus(observed, claims, newest, undefined),
    requeueAt: undefined,
  };
}

function planSuspension({ desired, observed, held }: Situation): Plan | undefined {
  if (!desired.isSuspended) return undefined;
  const claim = {
    type: "Ready",
    status: held ? "True" : "False",
    reason: "Suspended",
    message: held
      ? "Suspended by spec.suspend; the token works on until it expires."
      : "Suspended by spec.suspend, and the Secret holds no token that works.",
  } as const;
  return {
    actions: [],
    status: buildStatus(observed, [claim], held, observed.resource.status.secretName),
    requeueAt: held && endOf(held),
  };
}

/** Nothing may be written to a Secret that is not ours; a row that no Secret of ours holds is of no use to anybody. */
function planConflict({ desired, observed, live }: Situation): Plan | undefined {
  if (observed.secret.state !== "foreign") return undefined;
  const kept = new Set(observed.straySecrets.map((stray) => stray.holds));
  const claim = {
    type: "Ready",
    status: "False",
    reason: "SecretConflict",
    message:
      `Secret "${desired.secret.name}" exists and does not belong to this ApiToken, so it is left as it is. ` +
      "Delete it, or choose another spec.secret.name.",
  } as const;
  return {
    actions: revoke(
      live.filter((token) => !kept.has(token.id)),
      "Orphaned",
    ),
    status: buildStatus(observed, [claim], undefined, undefined),
    requeueAt: new Date(observed.now.getTime() + CONFLICT_RECHECK_MS),
  };
}

/** The Secret holds a live token: keep it, and make everything around it as the spec says. */
function planUpkeep(situation: Situation): Plan | undefined {
  const { desired, observed, limits, live, held } = situation;
  if (held === undefined || observed.secret.state !== "ours") return undefined;
  const lifetime = resolveLifetime(desired.lifetime, limits, held.issuedAt);
  const superseded = live.filter((token) => token.revision < held.revision);
  const orphaned = live.filter((token) => token.revision > held.revision);
  const actions: Action[] = [
    ...ensureFinalizer(observed.resource),
    ...(isAsDesired(held, desired, lifetime.expiresAt)
      ? []
      : [{ kind: "updateToken", tokenId: held.id, expiresAt: lifetime.expiresAt } as const]),
    ...(observed.secret.isDecorated ? [] : [{ kind: "decorateSecret" } as const]),
    ...revoke(superseded, "Superseded"),
    ...revoke(orphaned, "Orphaned"),
    ...deleteStrays(observed),
  ];
  const claims: ConditionClaim[] = [
    {
      type: "Ready",
      status: "True",
      reason: held.revision === 1 ? "Issued" : "Rotated",
      message: `Secret "${desired.secret.name}" holds a live token.`,
    },
  ];
  if (lifetime.isClamped) claims.push(claimClamped(limits, lifetime.expiresAt));
  return {
    actions,
    status: buildStatus(observed, claims, held, desired.secret.name),
    requeueAt: endOf(held),
  };
}

function claimClamped(limits: LifetimeLimits, expiresAt: Date): ConditionClaim {
  const maximum = formatDuration(limits.maxMs);
  return {
    type: "LifetimeClamped",
    status: "True",
    reason: "OverMaximum",
    message: `The maximum lifetime is ${maximum}: the token expires at ${formatTime(expiresAt)}, earlier than the spec asks for.`,
  };
}

/** A lifetime that has been lived is over: a token of the same spec would be just as dead, and no other one lives on. */
function planExpiry({ desired, observed, limits, live, newest }: Situation): Plan | undefined {
  const { now, resource } = observed;
  const issuedAt = newest?.issuedAt ?? parseTime(resource.status.issuedAt) ?? floorToSecond(now);
  const { expiresAt } = resolveLifetime(desired.lifetime, limits, issuedAt);
  const isPast = desired.lifetime.kind === "fixed" && desired.lifetime.expiresAt <= now;
  if (expiresAt > now && !isPast) return undefined;
  const isSpent = issuedAt.getTime() + limits.maxMs <= now.getTime();
  const longer =
    desired.lifetime.kind === "fixed" ? "set spec.expiresAt to a later time" : "set spec.duration to a longer one";
  const remedy = isSpent ? "apply another ApiToken" : `${longer}, or apply another ApiToken`;
  const claim = {
    type: "Ready",
    status: "False",
    reason: "Expired",
    message: `The lifetime asked for ended at ${formatTime(isPast ? desired.lifetime.expiresAt : expiresAt)}. For a new token ${remedy}.`,
  } as const;
  return {
    actions: [...revoke(live, "Orphaned"), ...deleteStrays(observed)],
    status: buildStatus(observed, [claim], newest, observed.secret.state === "ours" ? desired.secret.name : undefined),
    requeueAt: undefined,
  };
}

/** A new token: in the place of the newest row if that one's plaintext never reached anybody, else as the next revision. */
function planIssue({ desired, observed, limits, live, newest }: Situation): Plan {
  const { resource, now } = observed;
  const issuedAt = floorToSecond(now);
  const { expiresAt } = resolveLifetime(desired.lifetime, limits, issuedAt);
  const lost = findLostToken(observed, live, newest);
  const issue: Action = lost
    ? { kind: "replaceToken", tokenId: lost.id, issuedAt, expiresAt }
    : {
        kind: "issueToken",
        revision: Math.max(newest?.revision ?? 0, resource.status.revision ?? 0) + 1,
        issuedAt,
        expiresAt,
        cause: findCause(observed, live, newest),
      };
  return {
    actions: [...ensureFinalizer(resource), issue, { kind: "writeSecret", expiresAt }],
    status: undefined,
    requeueAt: undefined,
  };
}

/** The newest row, if it is live but neither a Secret nor the status has ever shown it: a crash came in between. */
function findLostToken(
  { resource, straySecrets }: Situation["observed"],
  live: readonly TokenRow[],
  newest: TokenRow | undefined,
): TokenRow | undefined {
  if (newest === undefined || !live.includes(newest)) return undefined;
  const isPublished = resource.status.tokenId === newest.id || straySecrets.some(({ holds }) => holds === newest.id);
  return isPublished ? undefined : newest;
}

function findCause(
  { resource, secret }: Situation["observed"],
  live: readonly TokenRow[],
  newest: TokenRow | undefined,
): IssueCause {
  const lastId = resource.status.tokenId ?? newest?.id;
  if (lastId === undefined) return "FirstToken";
  if (!live.some((token) => token.id === lastId)) return "TokenEnded";
  return secret.state === "ours" ? "SecretEdited" : "SecretMissing";
}

function isAsDesired(token: TokenRow, desired: DesiredToken, expiresAt: Date): boolean {
  return (
    token.expiresAt.getTime() === expiresAt.getTime() &&
    token.owner === desired.owner &&
    token.description === desired.description &&
    token.scopes.length === desired.scopes.length &&
    token.scopes.every((scope, index) => scope === desired.scopes[index])
  );
}

function ensureFinalizer(resource: ObservedResource): Action[] {
  return resource.hasFinalizer ? [] : [{ kind: "addFinalizer" }];
}

function revoke(tokens: readonly TokenRow[], reason: RevocationReason, note?: string): Action[] {
  if (tokens.length === 0) return [];
  return [{ kind: "revokeTokens", tokenIds: tokens.map((token) => token.id), reason, ...(note ? { note } : {}) }];
}

function deleteSecrets(observed: Observed): Action[] {
  const { secret } = observed;
  return [
    ...(secret.state === "ours" ? [{ kind: "deleteSecret", name: secret.name } as const] : []),
    ...deleteStrays(observed),
  ];
}

function deleteStrays({ straySecrets }: Observed): Action[] {
  return straySecrets.map(({ name }) => ({ kind: "deleteSecret", name }));
}

function parseTime(text: string | undefined): Date | undefined {
  return text === undefined ? undefined : new Date(text);
}

/**
 * Whether an action replaces or ends something. Such a plan must rest on a live, consistent read: the cache alone
 * never kills, for it may be behind, or an empty list may have emptied it.
 */
export function isDestructive(action: Action): boolean {
  switch (action.kind) {
    case "addFinalizer":
    case "writeSecret":
    case "decorateSecret":
      return false;
    case "issueToken":
      return action.cause !== "FirstToken";
    case "replaceToken":
    case "updateToken": // a shorter lifetime may be over already
    case "revokeTokens":
    case "deleteSecret":
    case "removeFinalizer":
      return true;
  }
}
