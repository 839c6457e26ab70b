/*
 * Every decision about an ApiToken starts here: whether to issue, keep, move, end or wait. Which of two rules wins is
 * decided by their order in planLife and nothing else; test/unit/token/plan/precedence.test.ts checks each pair.
 */

import type { DesiredToken, Observed, ObservedResource, ParsedSpec, PolicyVerdict, TokenRow } from "../model.ts";
import { isAccepted, isLive } from "../validity.ts";
import type { Action, Plan } from "./action.ts";
import { planForbidden, planRetired, planStop } from "./end.ts";
import { planIssue } from "./issue.ts";
import { isDue, planUpkeep } from "./keep.ts";
import { describeSituation, findMovable, type Situation } from "./situation.ts";
import { deleteSecrets, revoke } from "./steps.ts";
import {
  planConflict,
  planExpiry,
  planInvalid,
  planOverLimit,
  planPolicyMissing,
  planSuspension,
  planTerminating,
} from "./wait.ts";

/**
 * What one pass over an ApiToken does: the first rule with an answer decides. Pure: the same input gives the same plan, and
 * after a plan was carried out, completely or up to any point, the next plan does the rest.
 */
export function plan(spec: ParsedSpec, observed: Observed, policy: PolicyVerdict): Plan {
  const { resource, now } = observed;
  const accepted = observed.tokens.filter((token) => isAccepted(token, now));
  if (resource === undefined) {
    return { actions: revoke(accepted, "ResourceDeleted"), status: undefined, requeueAt: undefined };
  }
  if (resource.isDeleting) return planDeletion(spec.desired, resource, observed, accepted);

  const isOwn = (token: TokenRow) => token.resourceUid === resource.uid;
  const here = { ...observed, resource };
  const own = accepted.filter(isOwn);
  const rest =
    spec.desired === undefined
      ? (planStop(spec.remainder, { observed: here, policy, accepted: own }) ??
        planInvalid(
          spec.problem,
          here,
          accepted.filter((token) => isOwn(token) && isLive(token, now)),
        ))
      : planLife(describeSituation(spec.desired, here, policy));
  // Tokens of an ApiToken of the same name that was deleted while no controller watched.
  const former = accepted.filter((token) => !isOwn(token));
  return { ...rest, actions: [...revoke(former, "ResourceDeleted"), ...rest.actions] };
}

function planLife(situation: Situation): Plan {
  return (
    // Somebody wants the token dead: nothing below may delay that, not even a suspension.
    planForbidden(situation) ??
    // Whoever suspends wants to look at things as they are: nothing is issued, moved, repaired or retired.
    planSuspension(situation) ??
    // Before anything is issued or moved, so that a token that is to end is not renewed first.
    planRetired(situation) ??
    // Without a Secret to write to, a new token would be lost as soon as it is made.
    planConflict(situation) ??
    // Before a new token is considered: the one that exists only needs to be where the spec now wants it.
    planMove(situation) ??
    // Nothing stands in the way: keep the token, have the next one follow it, or issue the first.
    planToken(situation)
  );
}

function planToken(situation: Situation): Plan {
  const { held, applied, observed } = situation;
  // The API server would refuse the Secret, and everything in the namespace is about to be deleted.
  if (observed.isNamespaceTerminating)
    return held === undefined ? planTerminating(situation) : planUpkeep(situation, held);
  // A policy that forbids it was dealt with before: here none selects the namespace.
  if (applied === undefined) return held === undefined ? planPolicyMissing(situation) : planUpkeep(situation, held);
  if (held !== undefined && !isDue(situation, held, applied)) return planUpkeep(situation, held);
  return (
    // A token that was meant to end is not replaced, or a lifetime would be without end.
    planExpiry(situation, applied) ??
    // The database would refuse it anyway; here it costs no attempt, and the status can say why.
    planOverLimit(situation, applied) ??
    planIssue(situation, applied)
  );
}

/** The token is in the Secret that the spec named earlier. It is moved: a new name is not a reason for a new token. */
function planMove(situation: Situation): Plan | undefined {
  const movable = findMovable(situation);
  if (movable === undefined) return undefined;
  const { name, token } = movable;
  return {
    actions: [{ kind: "rewriteSecret", from: name, tokenId: token.id, expiresAt: token.expiresAt }],
    status: undefined,
    requeueAt: undefined,
  };
}

/** Rows first: the token must be dead before the last trace of it in the cluster is gone. */
function planDeletion(
  desired: DesiredToken | undefined,
  resource: ObservedResource,
  observed: Observed,
  accepted: readonly TokenRow[],
): Plan {
  const { secret } = observed;
  const release: Action[] =
    desired?.secret.isRetained && secret.state === "ours" ? [{ kind: "releaseSecret", name: secret.name }] : [];
  return {
    actions: [
      ...revoke(accepted, "ResourceDeleted"),
      ...release,
      ...deleteSecrets(release.length > 0 ? { ...observed, secret: { state: "absent" } } : observed),
      ...(resource.hasFinalizer ? [{ kind: "removeFinalizer" } as const] : []),
    ],
    status: undefined,
    requeueAt: undefined,
  };
}
