/*
 * A shorthand for tests of the status, which is only written when the plan has no actions left.
 */
import type { ApiTokenStatus, DesiredToken, Observed, ParsedSpec, PolicyVerdict } from "../../../src/token/model.ts";
import { plan } from "../../../src/token/plan/plan.ts";
import { ALLOWED, aDesiredToken } from "../../support/builders.ts";

/** The status of an ApiToken that needs no action, with these fields in its spec or with a spec that cannot be read. */
export function statusOf(
  observed: Observed,
  wish: Partial<DesiredToken> | { problem: string } = {},
  policy: PolicyVerdict = ALLOWED,
): ApiTokenStatus {
  const spec: ParsedSpec = "problem" in wish ? wish : { desired: aDesiredToken(wish) };
  const { actions, status } = plan(spec, observed, policy);
  if (actions.length > 0) throw new Error(`there is something to do: ${actions.map((action) => action.kind)}`);
  if (status === undefined) throw new Error("the plan says nothing");
  return status;
}
