/*
 * Observe, then plan: the half of a pass that writes nothing, shared by the controller and the doctor so that both
 * come to the same decision.
 */
import type { Action, Plan } from "../../token/plan/action.ts";
import { plan } from "../../token/plan/plan.ts";
import type { ReadContext } from "./context.ts";
import { type Observation, observe } from "./observe.ts";

export interface Decision {
  readonly observation: Observation;
  readonly plan: Plan;
}

/**
 * Decides what to do about one ApiToken from the caches. Where `mustConfirm` says so of the actions, reads everything
 * from the API server and decides again: the caches may be behind the rows, or an empty list may have emptied them.
 */
export async function decide(
  context: ReadContext,
  key: string,
  mustConfirm: (actions: readonly Action[]) => boolean,
): Promise<Decision> {
  const first = await decideOn(context, key, "cache");
  return mustConfirm(first.plan.actions) ? decideOn(context, key, "live") : first;
}

async function decideOn(context: ReadContext, key: string, source: "cache" | "live"): Promise<Decision> {
  const observation = await observe(context, key, source);
  return { observation, plan: plan(observation.spec, observation.observed, observation.policy) };
}
