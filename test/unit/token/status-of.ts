import type { ApiTokenStatus, DesiredToken, Observed, PolicyVerdict } from "../../../src/token/model.ts";
import { type ParsedSpec, plan } from "../../../src/token/plan/plan.ts";
import { ALLOWED, aDesiredToken } from "../../support/builders.ts";

/** What is said of something that needs nothing done: of a spec with these wishes, or of one that cannot be read. */
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
