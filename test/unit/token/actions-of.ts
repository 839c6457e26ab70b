/*
 * Shorthands for tests of the plan's actions: the states from which they start, and the plan's answer to them.
 */
import type { Condition } from "../../../src/token/condition.ts";
import type { DesiredToken, Observed, PolicyVerdict } from "../../../src/token/model.ts";
import type { Action } from "../../../src/token/plan/action.ts";
import { plan } from "../../../src/token/plan/plan.ts";
import type { Reason } from "../../../src/token/reasons.ts";
import { ALLOWED, aDesiredToken, aResource, aTokenRow } from "../../support/builders.ts";

/** Two tokens of one ApiToken, and a resource whose status names the first. */
export const row = aTokenRow();
export const second = aTokenRow({ id: "tokenTwo0002", revision: 2 });
export const published = aResource({ status: { tokenId: row.id, revision: 1 } });

/** The actions of the plan. */
export function actionsOf(
  observed: Observed,
  desired: Partial<DesiredToken> = {},
  policy: PolicyVerdict = ALLOWED,
): readonly Action[] {
  return plan({ desired: aDesiredToken(desired) }, observed, policy).actions;
}

/** The first action of a kind. Throws an Error if there is none. */
export function find<K extends Action["kind"]>(actions: readonly Action[], kind: K): Action & { kind: K } {
  const action = actions.find((each): each is Action & { kind: K } => each.kind === kind);
  if (action === undefined) throw new Error(`there is no ${kind} among ${actions.map((each) => each.kind)}`);
  return action;
}

/** A condition that reports a revocation. */
export const revokedFor = (reason: Reason): Condition => ({
  type: "Revoked",
  status: "True",
  reason,
  message: "told",
  observedGeneration: 1,
  lastTransitionTime: "2026-06-01T11:00:00Z",
});

/** An ApiToken with a rotation request for its first token. */
export const requested = (rotateRequestedAt: string, lastHandledRotateAt?: string) =>
  aResource({
    rotateRequestedAt,
    status: { ...published.status, ...(lastHandledRotateAt && { lastHandledRotateAt }) },
  });
