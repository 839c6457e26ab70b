/*
 * The doctor reports what the next pass would do, and a plan is a list of actions. This file turns actions into words
 * for a person: what is wrong, and what fixes it.
 */
import type { Action, IssueCause } from "../../token/plan/action.ts";

interface Words {
  readonly problem: string;
  readonly remedy: string;
}

const CAUSES: Readonly<Record<IssueCause, string>> = {
  FirstToken: "it has no token yet",
  Due: "its token is due for rotation",
  Requested: "a rotation was requested but has not happened",
  SecretMissing: "no Secret holds its token",
  SecretEdited: "its Secret does not hold the token",
  TokenEnded: "its token has ended, or its row is gone",
};

/** Describes pending actions as a problem and its remedy. Each text is without a full stop. */
export function describePending(actions: readonly Action[]): Words {
  const words = actions.flatMap((action) => describeAction(action, actions));
  return { problem: join(words.map(({ problem }) => problem)), remedy: join(words.map(({ remedy }) => remedy)) };
}

function join(parts: readonly string[]): string {
  return [...new Set(parts)].filter((part) => part !== "").join("; ");
}

function describeAction(action: Action, all: readonly Action[]): Words[] {
  switch (action.kind) {
    case "addFinalizer":
      return [{ problem: "it lacks the finalizer", remedy: "add the finalizer" }];
    case "issueToken":
      return [{ problem: CAUSES[action.cause], remedy: "issue a token and write it to the Secret" }];
    case "replaceToken":
      return [
        {
          problem: `no Secret holds token ${action.tokenId}`,
          remedy: "replace that token and write the new one to the Secret",
        },
      ];
    case "takeOver":
      return [
        {
          problem: `older ApiTokens of its owner still work, although token ${action.tokenId} supersedes them`,
          remedy: "end the tokens of those beyond the owner's limit",
        },
      ];
    case "updateToken":
      return [{ problem: `the row of token ${action.tokenId} differs from the spec`, remedy: "update the row" }];
    case "writeSecret":
      return []; // part of issuing the token
    case "rewriteSecret":
      return [
        {
          problem: `its Secret does not have the name or the keys that the spec asks for (token ${action.tokenId} is in "${action.from}")`,
          remedy: "rewrite the Secret with the same token",
        },
      ];
    case "decorateSecret":
      return [
        {
          problem: "the labels, annotations or owner of its Secret differ from the spec",
          remedy: "update the Secret's metadata",
        },
      ];
    case "revokeTokens": {
      const ids = action.tokenIds.join(", ");
      return action.at === undefined
        ? [{ problem: `${ids} is live but should have ended (${action.reason})`, remedy: `revoke ${ids}` }]
        : [{ problem: `the end of ${ids} is not set yet (${action.reason})`, remedy: `set the end of ${ids}` }];
    }
    case "deleteSecret":
      return [{ problem: `Secret "${action.name}" should be gone`, remedy: `delete Secret "${action.name}"` }];
    case "releaseSecret":
      return [{ problem: "", remedy: `release Secret "${action.name}" without deleting it` }];
    case "removeFinalizer":
      return all.length > 1
        ? [{ problem: "it is being deleted", remedy: "remove the finalizer" }]
        : [{ problem: "it is being deleted, and only the finalizer still holds it", remedy: "remove the finalizer" }];
  }
}
