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

/** What ends a token whatever else is said of it, also where reconciliation is suspended. */
export function planForbidden(situation: Situation): Plan | undefined {
  const end = findRevocation(situation) ?? findBlock(situation) ?? findDenial(situation);
  return end && carryOut(situation, end);
}

/** What ends a token because of others that live, or because nobody uses it. */
export function planRetired(situation: Situation): Plan | undefined {
  const end = findExcess(situation) ?? findInactivity(situation);
  return end && carryOut(situation, end);
}

/** Rows first, so that the token is dead before anything that says so is gone. */
function carryOut(situation: Situation, { reason, message, note }: End): Plan {
  const { observed, live } = situation;
  const claims: ConditionClaim[] = [
    { type: "Ready", status: "False", reason, message },
    { type: "Revoked", status: "True", reason, message },
  ];
  return {
    actions: [...revoke(live, reason, note ? { note } : {}), ...deleteSecrets(observed)],
    status: buildStatus(observed, claims, { token: findLast(situation) }),
    requeueAt: undefined,
  };
}

/** Final: where a backup of the cluster has brought a spec back that does not say so yet, the row still does. */
function findRevocation(situation: Situation): End | undefined {
  const { desired } = situation;
  if (!desired.isRevoked && !hasEndedFor("RevokedBySpec", situation)) return undefined;
  const note = desired.revocationReason;
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
    message: `An OwnerBlock is on owner "${desired.owner}"${block.reason ? `: ${block.reason}` : ""}. A new token is issued once it is lifted.`,
  };
}

function findDenial({ policy }: Situation): End | undefined {
  if (policy.kind !== "denied") return undefined;
  return { reason: "PolicyDenied", message: `ApiTokenPolicy "${policy.name}" forbids this: ${policy.rule}.` };
}

/** One that was superseded never fights back: else two ApiTokens of one owner would take turns for ever. */
function findExcess(situation: Situation): End | undefined {
  const { desired, observed, applied, live } = situation;
  const isSuperseded = hasEndedFor("Superseded", situation);
  const limit = applied?.owner;
  if (isSuperseded || (limit?.onLimit === "RevokeOldest" && observed.rivals.newer >= limit.max)) {
    const count = limit === undefined ? "" : `: the owner may have ${limit.max}`;
    return {
      reason: "Superseded",
      message: `A newer ApiToken of owner "${desired.owner}" has taken this one's place${count}. This is final; to have a token again, apply another ApiToken.`,
    };
  }
  if (limit?.onLimit === "Reject" && observed.rivals.older >= limit.max && live.length > 0) {
    return { reason: "OwnerLimitExceeded", message: describeLimit(desired.owner, limit.max) };
  }
  return undefined;
}

export function describeLimit(owner: string, max: number): string {
  return `Owner "${owner}" has ${max} live ApiToken${max === 1 ? "" : "s"} already, as many as the policy allows. Delete or revoke another, or have the limit raised; then this one gets its token by itself.`;
}

/** Stays so, for nobody has missed the token, until a rotation is asked for. */
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
      "The token was not used for longer than allowed, and was revoked. For a new one set the annotation " +
      "apitoken.dev/rotate-requested-at to the time of now.",
  };
}
