/*
 * One pass over one ApiToken, from reading to status. It keeps no state of its own and starts from what it reads, so a
 * crash, a lost lease or a missed event costs only another pass.
 */
import { IssueRefusedError } from "../../postgres/errors.ts";
import { carryOutEnds } from "../../postgres/inboxes.ts";
import { describeActions, type Note } from "../../token/notes.ts";
import { type Action, isDestructive } from "../../token/plan/action.ts";
import type { Turn } from "../queue/queue.ts";
import type { PassContext } from "./context.ts";
import { decide } from "./decide.ts";
import { execute } from "./execute.ts";
import { UnsettledError } from "./failures.ts";
import { type LastLook, report, reportFailure } from "./report.ts";

export interface ReconcileResult {
  /** Whether anything was written. */
  readonly isChanged: boolean;
  /** When to run the next pass, in milliseconds from now; undefined if only an event requires one. */
  readonly requeueAfterMs: number | undefined;
  /** Whether it waits for something that no event reports. */
  readonly mustRecheck: boolean;
}

/** A pass needs three at most, unless others change things meanwhile. What has not settled after this many has failed. */
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
  const seen: { last?: LastLook } = {};
  try {
    return await runRounds(context, key, seen, beginLook);
  } catch (error) {
    await reportFailure(context, key, error, failures + 1, seen.last);
    throw error;
  }
}

async function runRounds(
  context: PassContext,
  key: string,
  seen: { last?: LastLook },
  beginLook: () => void,
): Promise<ReconcileResult> {
  // Comes first because it checks the keyring: with the wrong keys, every Secret would seem to hold no token.
  await context.getFence();
  const notes: Note[] = [];
  let isChanged = false;
  let refusal: IssueRefusedError | undefined;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    beginLook();
    const { snapshot, plan } = await decide(context, key, mustConfirm);
    seen.last = { snapshot, plan };
    if (snapshot.requestedEnds.length > 0) {
      await carryOutEnds(context.db, await context.getFence(), snapshot.requestedEnds);
      isChanged = true;
      continue;
    }
    if (plan.actions.length === 0) {
      const { resource, observed } = snapshot;
      const isWritten = resource !== undefined && (await report(context, resource, plan.status, notes));
      const requeueAfterMs = plan.requeueAt && plan.requeueAt.getTime() - observed.now.getTime();
      return { isChanged: isChanged || isWritten, requeueAfterMs, mustRecheck: plan.mustRecheck === true };
    }
    try {
      await execute(context, key, snapshot, plan.actions);
    } catch (error) {
      // A block, or another ApiToken of the owner, came first: the next round observes it and reports it.
      if (!(error instanceof IssueRefusedError)) throw error;
      refusal = error;
      continue;
    }
    refusal = undefined;
    context.onActions?.(plan.actions);
    notes.push(...describeActions(plan.actions));
    isChanged = true;
  }
  throw (
    refusal ?? new UnsettledError(`after ${MAX_ROUNDS} rounds there is still something to do: ${listKinds(seen.last)}`)
  );
}

function listKinds(last: LastLook | undefined): string {
  return (last?.plan.actions ?? []).map(({ kind }) => kind).join(", ");
}

/** A token that was ended because of an outdated cache could not be brought back. */
function mustConfirm(actions: readonly Action[]): boolean {
  return actions.some(isDestructive);
}
