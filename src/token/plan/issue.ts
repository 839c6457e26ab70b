/*
 * How a token is issued. A crash between the row and the Secret leaves a row that nobody can use; it is replaced, so that
 * crashes do not leave live rows behind.
 */
import { floorToSecond, resolveLifetime } from "../lifetime.ts";
import type { AppliedPolicy, TokenRow } from "../model.ts";
import { isCurrent } from "../validity.ts";
import type { Action, IssueCause, Plan } from "./action.ts";
import { findLast, findRotationRequest, isOutdated, lastActivity, type Situation } from "./situation.ts";
import { ensureFinalizer } from "./steps.ts";

/** Issues a token: it replaces the newest row if nobody ever got that one's plaintext, and is the next revision otherwise. */
export function planIssue(situation: Situation, policy: AppliedPolicy): Plan {
  const { desired, observed, newest } = situation;
  const { resource, now } = observed;
  const issuedAt = floorToSecond(now);
  const { expiresAt } = resolveLifetime(desired.lifetime, policy.lifetime, issuedAt);
  const lost = findLostToken(situation);
  const cause = findCause(situation);
  const issue: Action = lost
    ? { kind: "replaceToken", tokenId: lost.id, issuedAt, expiresAt }
    : {
        kind: "issueToken",
        revision: Math.max(newest?.revision ?? 0, resource.status.revision ?? 0) + 1,
        issuedAt,
        expiresAt,
        activeSince: cause === "Due" ? lastActivity(situation) : issuedAt,
        cause,
      };
  const handledRotateAt = resource.rotateRequestedAt;
  return {
    actions: [...ensureFinalizer(resource), issue, { kind: "writeSecret", expiresAt, handledRotateAt }],
    status: undefined,
    requeueAt: undefined,
  };
}

/** The newest row, if it is live but was never in a Secret or the status: a crash came in between. */
function findLostToken(situation: Situation): TokenRow | undefined {
  const { observed, held } = situation;
  const last = findLast(situation);
  if (last === undefined || last === held || !isCurrent(last, observed.now)) return undefined;
  return observed.resource.status.tokenId === last.id ? undefined : last;
}

function findCause(situation: Situation): IssueCause {
  const { observed, live, newest, held } = situation;
  const lastId = observed.resource.status.tokenId ?? newest?.id;
  if (lastId === undefined) return "FirstToken";
  if (findRotationRequest(situation) !== undefined) return "Requested";
  if (held !== undefined) return isOutdated(situation, held) ? "SecretEdited" : "Due";
  if (!live.some((token) => token.id === lastId)) return "TokenEnded";
  return observed.secret.state === "ours" ? "SecretEdited" : "SecretMissing";
}
