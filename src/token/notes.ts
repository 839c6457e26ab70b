import type { Action, ApiTokenStatus, Condition } from "./model.ts";
import { findCondition } from "./status.ts";

/** What an Event says: `reason` is one of the documented reasons. */
export interface Note {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly action: string;
  readonly message: string;
}

/** What is worth telling about a change of status: a new token, a new reason, a lifetime that was cut. */
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
  const clamped = findCondition(after, "LifetimeClamped");
  if (clamped && !findCondition(before, "LifetimeClamped")) {
    notes.push({ type: "Warning", reason: "LifetimeClamped", action: "Issue", message: clamped.message });
  }
  return notes;
}

function isNewReason(before: ApiTokenStatus, condition: Condition): boolean {
  return findCondition(before, condition.type)?.reason !== condition.reason;
}

/** What is worth telling about actions that answer somebody's interference. */
export function describeActions(actions: readonly Action[]): Note[] {
  return actions.flatMap((action): Note[] => {
    if (action.kind !== "issueToken" || action.cause === "FirstToken") return [];
    return [{ type: "Warning", reason: "SecretDrift", action: "Issue", message: DRIFT_MESSAGES[action.cause] }];
  });
}

const DRIFT_MESSAGES = {
  SecretMissing: "No Secret of the wanted name held the token any more; a new token is issued, and the old one ends.",
  SecretEdited:
    "The Secret no longer held the token under the wanted key; a new token is issued, and the old one ends.",
  TokenEnded: "The token had ended, or its row was deleted; a new token is issued.",
} as const;
