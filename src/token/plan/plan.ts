import { isLive } from "../lifetime.ts";
import type { DesiredToken, Observed, ObservedResource, PolicyVerdict, TokenRow } from "../model.ts";
import type { Action, Plan } from "./action.ts";
import { planForbidden, planRetired } from "./end.ts";
import { planIssue } from "./issue.ts";
import { isDue, planUpkeep } from "./keep.ts";
import { describeSituation, findMovable, type Situation } from "./situation.ts";
import { deleteSecrets, revoke } from "./steps.ts";
import { planConflict, planExpiry, planInvalid, planOverLimit, planPolicyMissing, planSuspension } from "./wait.ts";

/** What a spec came to when it was read: a wish, or why it is none. */
export type ParsedSpec =
  | { readonly desired: DesiredToken; readonly problem?: undefined }
  | { readonly desired?: undefined; readonly problem: string };

/**
 * What one pass over an ApiToken is to do: the first rule that has an answer gives it. Pure: the same input gives the
 * same plan, and a plan that was carried out, wholly or up to any point, leads to a plan that does the rest.
 */
export function plan(spec: ParsedSpec, observed: Observed, policy: PolicyVerdict): Plan {
  const { resource, now } = observed;
  const live = observed.tokens.filter((token) => isLive(token, now));
  if (resource === undefined) {
    return { actions: revoke(live, "ResourceDeleted"), status: undefined, requeueAt: undefined };
  }
  if (resource.isDeleting) return planDeletion(spec.desired, resource, observed, live);

  const isOwn = (token: TokenRow) => token.resourceUid === resource.uid;
  const here = { ...observed, resource };
  const rest =
    spec.desired === undefined
      ? planInvalid(spec.problem, here, live.filter(isOwn))
      : planLife(describeSituation(spec.desired, here, policy));
  const former = live.filter((token) => !isOwn(token));
  return { ...rest, actions: [...revoke(former, "ResourceDeleted"), ...rest.actions] };
}

function planLife(situation: Situation): Plan {
  return (
    planForbidden(situation) ??
    planSuspension(situation) ??
    planRetired(situation) ??
    planConflict(situation) ??
    planMove(situation) ??
    planToken(situation)
  );
}

/** Keeps the token that is there, has the next one follow it, or issues the first. */
function planToken(situation: Situation): Plan {
  const { held, policy } = situation;
  if (policy.kind !== "allowed") {
    return held === undefined ? (planPolicyMissing(situation) as Plan) : planUpkeep(situation, held);
  }
  const applied = policy.policy;
  if (held !== undefined && !isDue(situation, held, applied)) return planUpkeep(situation, held);
  return planExpiry(situation, applied) ?? planOverLimit(situation, applied) ?? planIssue(situation, applied);
}

/** The token is where the spec wanted it earlier: it moves, for a new name is no reason for a new token. */
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

/** Rows first, so that the token is dead before anything that says so is gone. */
function planDeletion(
  desired: DesiredToken | undefined,
  resource: ObservedResource,
  observed: Observed,
  live: readonly TokenRow[],
): Plan {
  const { secret } = observed;
  const release: Action[] =
    desired?.secret.isRetained && secret.state === "ours" ? [{ kind: "releaseSecret", name: secret.name }] : [];
  return {
    actions: [
      ...revoke(live, "ResourceDeleted"),
      ...release,
      ...deleteSecrets(release.length > 0 ? { ...observed, secret: { state: "absent" } } : observed),
      ...(resource.hasFinalizer ? [{ kind: "removeFinalizer" } as const] : []),
    ],
    status: undefined,
    requeueAt: undefined,
  };
}
