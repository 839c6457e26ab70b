/*
 * One pass over one ApiToken, from reading to status. It keeps no state of its own and starts from what it reads, so a
 * crash, a lost lease or a missed event costs only another pass.
 */
import { isDeepStrictEqual } from "node:util";
import type { ApiToken } from "../../kube/resources/api-token.ts";
import { writeStatus } from "../../kube/resources/api-token-api.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import { IssueRefusedError } from "../../postgres/errors.ts";
import { isTokenHeld, statusOfFailure } from "../../token/failure.ts";
import type { ApiTokenStatus } from "../../token/model.ts";
import { describeActions, describeChange, type Note } from "../../token/notes.ts";
import { type Action, isDestructive } from "../../token/plan/action.ts";
import type { Turn } from "../queue.ts";
import type { PassContext } from "./context.ts";
import { decide } from "./decide.ts";
import { execute } from "./execute.ts";
import { describeFailure, type ReportedFailure } from "./failures.ts";
import { describeResource, type Snapshot } from "./observe.ts";

export interface ReconcileResult {
  /** Whether anything was written. */
  readonly isChanged: boolean;
  /** When to run the next pass, in milliseconds from now; undefined if only an event requires one. */
  readonly requeueAfterMs: number | undefined;
}

/** A pass that still finds something to do after this many rounds is queued again, so that other keys get a worker. */
const MAX_ROUNDS = 5;

/** For a pass that was started without a queue, by `doctor` or `uninstall`. */
const FIRST_TURN: Turn = { failures: 0, beginLook: () => {} };

/**
 * Brings the rows and the Secret in line with one ApiToken: observe → plan → execute until nothing is left to do. The
 * status comes last, so it states what was observed, not what was intended. Throws if a step fails; the caller must
 * then retry the key, and every step may be repeated.
 */
export async function reconcile(
  context: PassContext,
  key: string,
  { failures, beginLook }: Turn = FIRST_TURN,
): Promise<ReconcileResult> {
  const seen: { last?: Snapshot } = {};
  try {
    return await runRounds(context, key, seen, beginLook);
  } catch (error) {
    const failure = describeFailure(error, failures + 1);
    if (failure !== undefined) await reportFailure(context, key, failure, failures + 1, seen.last);
    throw error;
  }
}

async function runRounds(
  context: PassContext,
  key: string,
  seen: { last?: Snapshot },
  beginLook: () => void,
): Promise<ReconcileResult> {
  // Comes first because it checks the keyring: with the wrong keys, every Secret would seem to hold no token.
  await context.getFence();
  const notes: Note[] = [];
  let isChanged = false;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    beginLook();
    const { snapshot, plan } = await decide(context, key, mustConfirm);
    seen.last = snapshot;
    if (plan.actions.length === 0) {
      const { resource, observed } = snapshot;
      const isWritten = resource !== undefined && (await report(context, resource, plan.status, notes));
      const requeueAfterMs = plan.requeueAt && plan.requeueAt.getTime() - observed.now.getTime();
      return { isChanged: isChanged || isWritten, requeueAfterMs };
    }
    try {
      await execute(context, key, snapshot, plan.actions);
    } catch (error) {
      // A block, or another ApiToken of the owner, came first: the next round observes it and reports it.
      if (error instanceof IssueRefusedError) continue;
      throw error;
    }
    context.onActions?.(plan.actions);
    notes.push(...describeActions(plan.actions));
    isChanged = true;
  }
  return { isChanged, requeueAfterMs: 1_000 };
}

/** A token that was ended because of an outdated cache could not be brought back. */
function mustConfirm(actions: readonly Action[]): boolean {
  return actions.some(isDestructive);
}

/** Writes the status if it differs, and records Events for the changes. Returns whether it was written. */
async function report(
  context: PassContext,
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

/** Reports on the resource why nothing happens. If that fails too, it is ignored: the key is retried in any case. */
async function reportFailure(
  context: PassContext,
  key: string,
  failure: ReportedFailure,
  failures: number,
  seen: Snapshot | undefined,
): Promise<void> {
  const resource = context.caches.apiTokens.get(key);
  if (resource === undefined) return;
  const isHeld = seen && isTokenHeld(seen.observed);
  const status = statusOfFailure(describeResource(resource), failure, { failures, isHeld, now: new Date() });
  await report(context, resource, status).catch(() => false);
}
