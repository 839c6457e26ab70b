import { isDeepStrictEqual } from "node:util";
import type { EventRecorder } from "../kube/event-recorder.ts";
import type { ApiToken } from "../kube/resources/api-token.ts";
import { writeStatus } from "../kube/resources/api-token-api.ts";
import { API_VERSION } from "../kube/resources/group.ts";
import { DatabaseUnavailableError } from "../postgres/errors.ts";
import type { ApiTokenStatus, LifetimeLimits } from "../token/model.ts";
import { describeActions, describeChange, type Note } from "../token/notes.ts";
import { isDestructive, plan } from "../token/plan.ts";
import { statusOfOutage } from "../token/status.ts";
import { type ExecuteContext, execute } from "./execute.ts";
import { describeResource, observe } from "./observe.ts";

export interface ReconcileContext extends ExecuteContext {
  readonly limits: LifetimeLimits;
  readonly events: EventRecorder;
  /** Told of every action that was carried out. */
  readonly onActions?: (kinds: readonly string[]) => void;
}

export interface ReconcileResult {
  /** Whether anything was written. */
  readonly isChanged: boolean;
  /** When to look again, from now on. */
  readonly requeueAfterMs: number | undefined;
}

/** A pass that still finds something to do after so many rounds gives way to others and comes again. */
const MAX_ROUNDS = 5;

/**
 * Brings one ApiToken, its rows and its Secret together: observe → plan → execute, until there is nothing left to do,
 * and then the status, which thus says what was seen and not what was meant. Throws when a step failed: the key is to
 * be tried again, and every step may be repeated.
 */
export async function reconcile(context: ReconcileContext, key: string): Promise<ReconcileResult> {
  try {
    return await runRounds(context, key);
  } catch (error) {
    if (error instanceof DatabaseUnavailableError) await reportOutage(context, key);
    throw error;
  }
}

async function runRounds(context: ReconcileContext, key: string): Promise<ReconcileResult> {
  const notes: Note[] = [];
  let isChanged = false;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const { observation, decision } = await decide(context, key);
    if (decision.actions.length === 0) {
      const { resource, observed } = observation;
      const isWritten = resource !== undefined && (await report(context, resource, decision.status, notes));
      const requeueAfterMs = decision.requeueAt && decision.requeueAt.getTime() - observed.now.getTime();
      return { isChanged: isChanged || isWritten, requeueAfterMs };
    }
    await execute(context, key, observation, decision.actions);
    context.onActions?.(decision.actions.map((action) => action.kind));
    notes.push(...describeActions(decision.actions));
    isChanged = true;
  }
  return { isChanged, requeueAfterMs: 1_000 };
}

/** Decides on the cache's view, and once more on a live one where the decision would end or replace something. */
async function decide(context: ReconcileContext, key: string) {
  const look = async (source: "cache" | "live") => {
    const observation = await observe(context, key, source);
    return { observation, decision: plan(observation.spec, observation.observed, context.limits) };
  };
  const first = await look("cache");
  return first.decision.actions.some(isDestructive) ? look("live") : first;
}

/** Writes the status if it says something new, and tells of it in Events. */
async function report(
  context: ReconcileContext,
  resource: ApiToken,
  status: ApiTokenStatus | undefined,
  notes: readonly Note[] = [],
): Promise<boolean> {
  const before = resource.status ?? {};
  if (status === undefined || isDeepStrictEqual(before, status)) return false;
  context.caches.apiTokens.upsert(await writeStatus(context.transport, resource, status));
  const { namespace, name, uid } = resource.metadata;
  const subject = { apiVersion: API_VERSION, kind: "ApiToken", namespace, name, uid };
  for (const note of [...notes, ...describeChange(before, status)]) context.events.record(subject, note);
  return true;
}

/** Says on the resource why nothing happens. That may fail as well: the key is tried again in any case. */
async function reportOutage(context: ReconcileContext, key: string): Promise<void> {
  const resource = context.caches.apiTokens.get(key);
  if (resource === undefined) return;
  await report(context, resource, statusOfOutage(describeResource(resource), new Date())).catch(() => false);
}
