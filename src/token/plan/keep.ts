/*
 * What is done for a token that stays, and when it no longer does: the next token is due, or nothing changes until `nextLook`.
 */
import { formatDuration } from "../duration.ts";
import { floorToSecond, resolveLifetime } from "../lifetime.ts";
import type { AppliedPolicy, LifetimeLimits, TokenRow } from "../model.ts";
import { renewalTime } from "../rotation.ts";
import { buildStatus, type ConditionClaim, findCondition, formatTime } from "../status.ts";
import { acceptedUntil, isLive, liveUntil } from "../validity.ts";
import type { Action, Plan } from "./action.ts";
import { grant } from "./grant.ts";
import {
  findPrevious,
  findRotationRequest,
  inactivityLimit,
  isOutdated,
  isRotating,
  lastActivity,
  postponedUntil,
  type Situation,
} from "./situation.ts";
import { deleteStrays, ensureFinalizer, revoke, takeOver } from "./steps.ts";
import { planExpiry } from "./wait.ts";

/** How often a pass looks whether the previous token is still in use. */
const OVERLAP_RECHECK_MS = 5 * 60_000;

/** Used if no policy applies. */
const DEFAULT_WARN_BEFORE_MS = 7 * 24 * 3_600_000;

/** The Secret holds a live token: keep it, bring row and Secret in line with the spec, and end the tokens before it. */
export function planUpkeep(situation: Situation, held: TokenRow): Plan {
  const { desired, observed, applied, accepted } = situation;
  const { expiresAt } = applied ? resolveLifetime(desired.lifetime, applied.lifetime, held.issuedAt) : held;
  const previous = findPrevious(accepted, held);
  const actions: Action[] = [
    ...ensureFinalizer(observed.resource),
    ...grant(situation, held, expiresAt),
    // What the token in the Secret loses, the previous one loses as well.
    ...(previous ? grant(situation, previous) : []),
    ...repairSecret(situation, held, expiresAt),
    ...takeOver(situation, [held]),
    ...endOlder(situation, held),
    ...revoke(
      accepted.filter((token) => token.revision > held.revision),
      "Orphaned",
    ),
    ...deleteStrays(observed),
  ];
  const renewAt = nextIssue(situation, held);
  return {
    actions,
    status: buildStatus(observed, claim(situation, held), {
      token: held,
      secretName: desired.secret.name,
      ...(previous && { previous }),
      ...(renewAt && { renewAt }),
      ...(applied && { policy: applied.name }),
    }),
    requeueAt: nextLook(situation, held, previous, renewAt),
  };
}

/** When the next token is issued, because it is due or because somebody has requested it; undefined if none follows. */
function nextIssue(situation: Situation, held: TokenRow): Date | undefined {
  const { desired, observed } = situation;
  const renewAt = isRotating(situation) ? renewalTime(desired.rotation, held, observed.resource.uid) : undefined;
  const requestedAt = postponedUntil(situation, held);
  return renewAt !== undefined && requestedAt !== undefined && renewAt < requestedAt
    ? renewAt
    : (requestedAt ?? renewAt);
}

/** Whether the next token is due. */
export function isDue(situation: Situation, held: TokenRow, policy: AppliedPolicy): boolean {
  const { desired, observed } = situation;
  if (findRotationRequest(situation) !== undefined && postponedUntil(situation, held) === undefined) return true;
  // Not where no next token may follow: the one in the Secret is all that is left.
  if (isOutdated(situation, held) && planExpiry(situation, policy) === undefined) return true;
  if (!isRotating(situation)) return false;
  // Somebody has set an end in the future: the next token must come before it.
  if (held.revokedAt !== undefined) return true;
  const { expiresAt } = resolveLifetime(desired.lifetime, policy.lifetime, held.issuedAt);
  return renewalTime(desired.rotation, { ...held, expiresAt }, observed.resource.uid) <= observed.now;
}

function repairSecret({ desired, observed: { secret, now } }: Situation, held: TokenRow, expiresAt: Date): Action[] {
  if (secret.state !== "ours" || expiresAt <= now) return [];
  if (!secret.isIntact) {
    return [{ kind: "rewriteSecret", from: desired.secret.name, tokenId: held.id, expiresAt }];
  }
  return secret.isDecorated ? [] : [{ kind: "decorateSecret" }];
}

/** The token before the one in the Secret ends with its overlap, all earlier ones end now. */
function endOlder(situation: Situation, held: TokenRow): Action[] {
  const { observed, accepted } = situation;
  const older = accepted.filter((token) => token.revision < held.revision);
  const previous = older.at(-1);
  if (previous === undefined) return [];
  const at = overlapEnd(situation, previous);
  const isOver = at <= observed.now;
  return [
    ...revoke(isOver ? older : older.slice(0, -1), "Rotated"),
    // Compared in whole seconds, like the status: otherwise an end that somebody else has set would be set again as ours.
    ...(!isOver && (previous.revokedAt === undefined || floorToSecond(previous.revokedAt) > at)
      ? revoke([previous], "Rotated", { at })
      : []),
  ];
}

/**
 * When the overlap of the previous token ends: at the latest when the policy's maximum lifetime does, or with its grace if it has
 * expired before the next token came. If the status no longer names it as the previous token, it already had its overlap or was
 * revoked: a restored backup must not revive it.
 */
function overlapEnd({ desired, observed, applied }: Situation, previous: TokenRow): Date {
  const { now, resource } = observed;
  const { revision = 0, previous: reported } = resource.status;
  const graceMs = isLive(previous, now) ? 0 : (previous.grace?.periodMs ?? 0);
  const ends = [now.getTime() + desired.rotation.overlapMs, previous.expiresAt.getTime() + graceMs];
  if (applied !== undefined) ends.push(previous.issuedAt.getTime() + applied.lifetime.maxMs + graceMs);
  if (previous.revision < revision || findCondition(resource.status, "Revoked") !== undefined) {
    ends.push(reported?.tokenId === previous.id ? new Date(reported.validUntil).getTime() : now.getTime());
  }
  return floorToSecond(new Date(Math.min(...ends)));
}

function claim(situation: Situation, held: TokenRow): ConditionClaim[] {
  const { desired, observed, applied } = situation;
  const claims: ConditionClaim[] = [];
  if (applied !== undefined) {
    const postponedAt = postponedUntil(situation, held);
    const postponement = postponedAt ? ` ${describePostponement(applied, postponedAt)}` : "";
    claims.push({
      type: "Ready",
      status: "True",
      reason: held.revision === 1 ? "Issued" : "Rotated",
      message: `Secret "${desired.secret.name}" holds a live token.${postponement}`,
    });
    const lifetime = resolveLifetime(desired.lifetime, applied.lifetime, held.issuedAt);
    if (lifetime.isClamped) claims.push(claimClamped(applied.lifetime, lifetime.expiresAt));
  } else {
    const message = `No ApiTokenPolicy selects this namespace: the token works until it expires and is not renewed.`;
    claims.push({ type: "Ready", status: "True", reason: "PolicyMissing", message });
  }
  const warnAt = warningTime(situation, held);
  if (warnAt !== undefined && warnAt <= observed.now) claims.push(claimExpiring(held));
  return claims;
}

function describePostponement({ name, minRequestIntervalMs }: AppliedPolicy, at: Date): string {
  return `The rotation that was requested follows at ${formatTime(at)}: ApiTokenPolicy "${name}" allows one every ${formatDuration(minRequestIntervalMs)}.`;
}

function claimClamped(limits: LifetimeLimits, expiresAt: Date): ConditionClaim {
  return {
    type: "LifetimeClamped",
    status: "True",
    reason: "OverMaximum",
    message: `The maximum lifetime is ${formatDuration(limits.maxMs)}: the token expires at ${formatTime(expiresAt)}, earlier than the spec asks for.`,
  };
}

function claimExpiring(held: TokenRow): ConditionClaim {
  return {
    type: "ExpiringSoon",
    status: "True",
    reason: "NotRenewed",
    message: `The token ends at ${formatTime(liveUntil(held))} and will not be renewed automatically.`,
  };
}

/** From when on a token that does not rotate is reported as ExpiringSoon. */
function warningTime(situation: Situation, held: TokenRow): Date | undefined {
  if (isRotating(situation)) return undefined;
  const warnBeforeMs = situation.applied?.warnBeforeMs ?? DEFAULT_WARN_BEFORE_MS;
  return new Date(liveUntil(held).getTime() - warnBeforeMs);
}

/** The earliest time at which the plan may be different although nobody has changed anything. */
function nextLook(
  situation: Situation,
  held: TokenRow,
  previous: TokenRow | undefined,
  renewAt: Date | undefined,
): Date {
  const { observed } = situation;
  const { now, block, encryptionChangesAt } = observed;
  const timeoutMs = inactivityLimit(situation);
  const times = [
    liveUntil(held),
    renewAt,
    warningTime(situation, held),
    ...(previous ? [acceptedUntil(previous), new Date(now.getTime() + OVERLAP_RECHECK_MS)] : []),
    timeoutMs === undefined ? undefined : new Date(lastActivity(situation).getTime() + timeoutMs),
    block?.effectiveAt,
    hasMetadata(held) ? encryptionChangesAt : undefined,
  ].filter((time) => time !== undefined && time > now) as Date[];
  return new Date(Math.min(...times.map((time) => time.getTime())));
}

function hasMetadata({ metadata = {} }: TokenRow): boolean {
  return Object.keys(metadata).length > 0;
}
