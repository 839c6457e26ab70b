/*
 * The rules that end a token. Each has a reason and a message of its own, and all are carried out in the same way.
 */
import type { SpecRemainder } from "../model.ts";
import type { Reason } from "../reasons.ts";
import { buildStatus, type ConditionClaim } from "../status.ts";
import type { Plan, RevocationReason } from "./action.ts";
import {
  findLast,
  findRotationRequest,
  hasEndedFor,
  inactivityLimit,
  lastActivity,
  type Situation,
} from "./situation.ts";
import { deleteSecrets, revoke } from "./steps.ts";

interface End {
  readonly reason: Reason & RevocationReason;
  readonly message: string;
  readonly note?: string;
}

/** Ends that come before everything else, even if reconciliation is suspended. */
export function planForbidden(situation: Situation): Plan | undefined {
  const end = findRevocation(situation) ?? findBlock(situation) ?? findDenial(situation);
  return end && carryOut(situation, end);
}

/** The same for a spec that cannot be read as a whole, by what can be read of it. */
export function planStop(
  remainder: SpecRemainder | undefined,
  { observed, policy, accepted }: Pick<Situation, "observed" | "policy" | "accepted">,
): Plan | undefined {
  const newest = observed.tokens.filter(({ resourceUid }) => resourceUid === observed.resource.uid).at(-1);
  const stopped = { observed, policy, accepted, newest, held: undefined };
  const isRevoked = remainder?.isRevoked === true || hasEndedFor("RevokedBySpec", stopped);
  const end = isRevoked ? describeRevocation(remainder?.revocationReason) : findDenial(stopped);
  return end && carryOut(stopped, end);
}

/** Ends because of the owner's other ApiTokens, or because nobody uses the token. */
export function planRetired(situation: Situation): Plan | undefined {
  const end = findExcess(situation) ?? findInactivity(situation);
  return end && carryOut(situation, end);
}

/** Rows first, so that the token is dead before anything that shows it is gone. */
function carryOut(
  situation: Pick<Situation, "observed" | "accepted" | "newest">,
  { reason, message, note }: End,
): Plan {
  const { observed, accepted } = situation;
  const claims: ConditionClaim[] = [
    { type: "Ready", status: "False", reason, message },
    { type: "Revoked", status: "True", reason, message },
  ];
  const actions = [...revoke(accepted, reason, note ? { note } : {}), ...deleteSecrets(observed)];
  // Nothing that a status reports may stand in the way of an end, so it is made only once everything has ended.
  const status = actions.length > 0 ? undefined : buildStatus(observed, claims, { token: findLast(situation) });
  return { actions, status, requeueAt: undefined };
}

/** Final: after a restore of the cluster the spec may no longer say that it was revoked, but the row still does. */
function findRevocation(situation: Situation): End | undefined {
  const { desired } = situation;
  if (!desired.isRevoked && !hasEndedFor("RevokedBySpec", situation)) return undefined;
  return describeRevocation(desired.revocationReason);
}

function describeRevocation(note: string | undefined): End {
  return {
    reason: "RevokedBySpec",
    message: `Revoked by spec.revoked${note ? `: ${note}` : ""}. This is final.`,
    ...(note ? { note } : {}),
  };
}

function findBlock({ desired, observed: { block, now } }: Situation): End | undefined {
  if (block === undefined || block.effectiveAt > now) return undefined;
  return {
    reason: "OwnerBlocked",
    message: `Owner "${desired.owner}" is blocked by an OwnerBlock${block.reason ? `: ${block.reason}` : ""}. Once it is lifted, a new token is issued if the policy allows it.`,
  };
}

function findDenial({ policy }: Pick<Situation, "policy">): End | undefined {
  if (policy.kind !== "denied") return undefined;
  return {
    reason: "PolicyDenied",
    message: `ApiTokenPolicy "${policy.name}" forbids this: ${policy.rule}. Ask for what it allows, or have it changed.`,
  };
}

/** A superseded ApiToken never fights back, or two ApiTokens of one owner would end each other's tokens forever. */
function findExcess(situation: Situation): End | undefined {
  const { desired, observed, applied, accepted } = situation;
  const isSuperseded = hasEndedFor("Superseded", situation);
  const limit = applied?.owner;
  if (isSuperseded || (limit?.onLimit === "RevokeOldest" && observed.rivals.newer >= limit.max)) {
    // It may have been superseded under another policy, whose limit is not known here.
    const count = limit === undefined || observed.rivals.newer < limit.max ? "" : ` (limit ${limit.max})`;
    return {
      reason: "Superseded",
      message: `Superseded by a newer ApiToken of owner "${desired.owner}"${count}. This is final. Apply a new ApiToken with another owner, or have the limit raised first.`,
    };
  }
  if (limit?.onLimit === "Reject" && observed.rivals.older >= limit.max && accepted.length > 0) {
    return { reason: "OwnerLimitExceeded", message: describeLimit(desired.owner, limit.max) };
  }
  return undefined;
}

/** The message of OwnerLimitExceeded. */
export function describeLimit(owner: string, max: number): string {
  return `Owner "${owner}" already has ${max} ApiToken${max === 1 ? "" : "s"} with a token, the most that the policy allows. Delete or revoke one, or raise the limit; this ApiToken then gets its token automatically.`;
}

/** Lasts until a rotation is requested: nobody has missed the token so far. */
function findInactivity(situation: Situation): End | undefined {
  const { observed, held } = situation;
  const timeoutMs = inactivityLimit(situation);
  const isOverdue =
    held !== undefined &&
    timeoutMs !== undefined &&
    lastActivity(situation).getTime() + timeoutMs <= observed.now.getTime();
  const isInactive = hasEndedFor("Inactive", situation) && findRotationRequest(situation) === undefined;
  if (!isOverdue && !isInactive) return undefined;
  return {
    reason: "Inactive",
    message:
      "The token was not used for longer than allowed and was revoked. To get a new one, set the annotation " +
      "apitoken.dev/rotate-requested-at to the current time.",
  };
}
