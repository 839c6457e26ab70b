/*
 * The half of a pass that only reads: observe, then plan. The controller and the doctor share it, because a doctor that
 * decided in its own way would report differences that the controller never fixes.
 */
import type { Action, Plan } from "../../token/plan/action.ts";
import { plan } from "../../token/plan/plan.ts";
import type { ReadContext } from "./context.ts";
import { observe, type Snapshot } from "./observe.ts";

export interface Decision {
  readonly snapshot: Snapshot;
  readonly plan: Plan;
}

/** The tokens that their holders have ended are revoked first, so that nothing that is planned can stand in the way. */
const NOTHING_YET: Plan = { actions: [], status: undefined, requeueAt: undefined };

/**
 * Decides from the caches what to do about one ApiToken. If `mustConfirm` returns true for the planned actions, reads
 * everything from the API server and decides again, because the caches may be older than the rows, or a wrongly empty
 * list may have emptied them. Throws the errors of the database and the API server.
 */
export async function decide(
  context: ReadContext,
  key: string,
  mustConfirm: (actions: readonly Action[]) => boolean,
): Promise<Decision> {
  const first = await decideOn(context, key, "cache");
  return mustConfirm(first.plan.actions) ? decideOn(context, key, "server") : first;
}

async function decideOn(context: ReadContext, key: string, source: "cache" | "server"): Promise<Decision> {
  const snapshot = await observe(context, key, source);
  if (snapshot.requestedEnds.length > 0) return { snapshot, plan: NOTHING_YET };
  return { snapshot, plan: plan(snapshot.spec, snapshot.observed, snapshot.policy) };
}
