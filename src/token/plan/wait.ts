/*
 * The rules that issue nothing: something stands in the way, and the status says what has to change.
 */

import type { Condition } from "../condition.ts";
import { floorToSecond, resolveLifetime } from "../lifetime.ts";
import type { AppliedPolicy, TokenRow } from "../model.ts";
import type { Reason } from "../reasons.ts";
import { buildStatus, formatTime } from "../status.ts";
import { isInGrace, liveUntil } from "../validity.ts";
import type { Action, Plan } from "./action.ts";
import { describeLimit } from "./end.ts";
import { grant } from "./grant.ts";
import { findHeld, findLast, findPrevious, findRotationRequest, isRotating, type Situation } from "./situation.ts";
import { deleteSecrets, deleteStrays, revoke, takeOver } from "./steps.ts";

/** A spec that cannot be read asks for nothing: existing tokens keep working. */
export function planInvalid(problem: string, observed: Situation["observed"], live: readonly TokenRow[]): Plan {
  const held = findHeld(observed, live);
  const reported = observed.resource.status.previous;
  const previous = live.find((token) => token.id === reported?.tokenId);
  const claim = { type: "Ready", status: "False", reason: "InvalidSpec", message: problem } as const;
  const { secretName } = observed.resource.status;
  return {
    actions: [],
    status: buildStatus(observed, [claim], {
      token: held,
      ...(secretName && { secretName }),
      ...(previous && { previous }),
    }),
    requeueAt: undefined,
  };
}

export function planSuspension(situation: Situation): Plan | undefined {
  const { desired, observed, accepted, held } = situation;
  if (!desired.isSuspended) return undefined;
  const previous = findPrevious(accepted, held);
  const claim = {
    type: "Ready",
    status: held ? "True" : "False",
    reason: "Suspended",
    message: held
      ? "Suspended by spec.suspend; the token keeps working until it expires."
      : "Suspended by spec.suspend, and the Secret holds no live token.",
  } as const;
  // It may have been suspended before its status could name the Secret.
  const secretName = held ? desired.secret.name : observed.resource.status.secretName;
  return {
    // A token that supersedes others and is in no Secret would be a second one for its owner, for as long as this lasts.
    actions: [
      ...takeOver(situation, held ? [held] : []),
      ...revoke(
        accepted.filter((token) => token.supersedes && token !== held),
        "Orphaned",
      ),
    ],
    status: buildStatus(observed, [claim], {
      token: held,
      ...(secretName && { secretName }),
      ...(previous && { previous }),
    }),
    requeueAt: nextChange(situation),
  };
}

/** When the plan for a suspended ApiToken changes although nobody does anything: its token ends, or a block takes effect. */
function nextChange({ observed: { block, now }, held }: Situation): Date | undefined {
  const times = [held && liveUntil(held), block?.effectiveAt].filter(
    (time) => time !== undefined && time > now,
  ) as Date[];
  return times.length === 0 ? undefined : new Date(Math.min(...times.map((time) => time.getTime())));
}

/**
 * A Secret that is not ours must not be written to. Tokens that no Secret holds are useless and are revoked; the one before a
 * token that is held keeps its overlap.
 */
export function planConflict(situation: Situation): Plan | undefined {
  const { desired, observed, accepted } = situation;
  const { secret, straySecrets } = observed;
  if (secret.state !== "foreign") return undefined;
  const holders = [secret, ...straySecrets];
  const kept = accepted.filter((token) => holders.some(({ holds }) => holds === token.id));
  const ending = kept.map((token) => findPrevious(accepted, token)).filter((token) => token?.revokedAt !== undefined);
  const holdsToken = kept.some(({ id }) => id === secret.holds);
  return wait(
    observed,
    "SecretConflict",
    `Secret "${desired.secret.name}" exists and does not belong to this ApiToken, so it is left untouched. ` +
      (holdsToken ? "It holds the token, which works until its end but is not renewed. " : "") +
      "Delete it, or choose another spec.secret.name.",
    {
      actions: [
        ...revoke(
          accepted.filter((token) => !kept.includes(token) && !ending.includes(token)),
          "Orphaned",
        ),
        ...takeOver(situation, kept),
      ],
      mustRecheck: true,
    },
  );
}

/** Nothing is issued into a namespace that is being deleted: its Secret could not be written. */
export function planTerminating({ observed }: Situation): Plan {
  return wait(observed, "NamespaceTerminating", "The namespace is being deleted, so no token is issued.");
}

/** Without a policy nothing is issued, because nothing says what is allowed. */
export function planPolicyMissing({ observed }: Situation): Plan {
  const message =
    "No ApiTokenPolicy selects this namespace, so no token is issued. Create one whose namespaceSelector selects it " +
    "(an empty selector selects all).";
  return wait(observed, "PolicyMissing", message);
}

/** Without rotation, an expired token is not followed by another: one with the same spec would be just as dead. */
export function planExpiry(situation: Situation, policy: AppliedPolicy): Plan | undefined {
  const { desired, observed, accepted } = situation;
  const { lifetime } = desired;
  if (isRotating(situation)) return undefined;
  const { now, resource } = observed;
  const reportedAt = resource.status.issuedAt;
  const last = findLast(situation);
  const issuedAt = last?.issuedAt ?? (reportedAt === undefined ? floorToSecond(now) : new Date(reportedAt));
  const { expiresAt } = resolveLifetime(lifetime, policy.lifetime, issuedAt);
  const isPast = lifetime.kind === "fixed" && lifetime.expiresAt <= now;
  if (!isPast && (expiresAt > now || findRotationRequest(situation) !== undefined)) return undefined;
  const isSpent = issuedAt.getTime() + policy.lifetime.maxMs <= now.getTime();
  const longer = lifetime.kind === "fixed" ? "set a later spec.expiresAt" : "set a longer spec.duration";
  const remedy = isSpent ? "apply a new ApiToken" : `${longer}, or apply a new ApiToken`;
  // In its grace the token works for as long as its Secret holds it.
  const graced = accepted.find(
    (token) => isInGrace(token, now) && observed.secret.state === "ours" && token.id === observed.secret.holds,
  );
  return wait(
    observed,
    "Expired",
    `The requested lifetime ended at ${formatTime(isPast ? lifetime.expiresAt : expiresAt)}. To get a new token, ${remedy}.`,
    {
      actions: [
        ...(graced ? grant(situation, graced) : []),
        ...revoke(
          accepted.filter((token) => token !== graced),
          "Orphaned",
        ),
        ...deleteStrays(observed),
      ],
      token: last,
      ...(observed.secret.state === "ours" && { secretName: desired.secret.name }),
      policy: policy.name,
    },
  );
}

/** With `onLimit: Reject`, a newer ApiToken waits until an older one of its owner is gone. */
export function planOverLimit({ desired, observed, accepted }: Situation, policy: AppliedPolicy): Plan | undefined {
  const { max, onLimit } = policy.owner;
  // The same rule as in the transaction that issues: any accepted token keeps the place.
  const rivals = observed.rivals.older + (accepted.length > 0 ? 0 : observed.rivals.newer);
  if (onLimit !== "Reject" || rivals < max) return undefined;
  const message = describeLimit(desired.owner, max);
  const actions = accepted.length > 0 ? [] : deleteSecrets(observed);
  return wait(observed, "OwnerLimitExceeded", message, { actions, mustRecheck: true, policy: policy.name });
}

function wait(
  observed: Situation["observed"],
  reason: Reason,
  message: string,
  {
    actions = [],
    mustRecheck = false,
    ...rest
  }: {
    actions?: Action[];
    mustRecheck?: boolean;
    token?: TokenRow | undefined;
    secretName?: string;
    policy?: string;
  } = {},
): Plan {
  const claim: Pick<Condition, "type" | "status" | "reason" | "message"> = {
    type: "Ready",
    status: "False",
    reason,
    message,
  };
  return {
    actions,
    status: buildStatus(observed, [claim], rest),
    requeueAt: undefined,
    ...(mustRecheck && { mustRecheck }),
  };
}
