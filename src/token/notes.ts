/*
 * Which changes deserve an Event. Events are derived from the status before and after, so a pass that changes nothing reports
 * nothing.
 */
import type { Condition } from "./condition.ts";
import type { ApiTokenStatus } from "./model.ts";
import type { Action, IssueCause } from "./plan/action.ts";
import { findCondition } from "./status.ts";

/** The content of an Event; `reason` is one of the documented reasons. */
export interface Note {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly action: string;
  readonly message: string;
}

/** The Events for a change of status: a new token, a new reason, a lifetime that was cut. */
export function describeChange(before: ApiTokenStatus, after: ApiTokenStatus): Note[] {
  const notes: Note[] = [];
  const ready = findCondition(after, "Ready");
  if (ready && (isNewReason(before, ready) || before.tokenId !== after.tokenId)) {
    notes.push({
      type: ready.status === "True" ? "Normal" : "Warning",
      reason: ready.reason,
      action: "Reconcile",
      message: ready.message,
    });
  }
  for (const type of ["LifetimeClamped", "ExpiringSoon"] as const) {
    const condition = findCondition(after, type);
    if (condition && !findCondition(before, type)) {
      notes.push({ type: "Warning", reason: type, action: "Reconcile", message: condition.message });
    }
  }
  return notes;
}

function isNewReason(before: ApiTokenStatus, condition: Condition): boolean {
  return findCondition(before, condition.type)?.reason !== condition.reason;
}

/** The Events for actions that answer somebody's interference. */
export function describeActions(actions: readonly Action[]): Note[] {
  return actions.flatMap((action): Note[] => {
    const message = action.kind === "issueToken" ? DRIFT_MESSAGES[action.cause] : undefined;
    return message === undefined ? [] : [{ type: "Warning", reason: "SecretDrift", action: "Issue", message }];
  });
}

const DRIFT_MESSAGES: Readonly<Partial<Record<IssueCause, string>>> = {
  SecretMissing: "No Secret holds the token any longer: a new token is issued, and the old one ends after its overlap.",
  SecretEdited: "The Secret no longer holds the token: a new token is issued, and the old one ends after its overlap.",
  TokenEnded: "The token has ended, or its row was deleted: a new token is issued.",
};
