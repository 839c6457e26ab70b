import type { ApiTokenStatus } from "../model.ts";

/** Why a row's life ended; written to its revocation_reason, and told from what a person wrote there by these words. */
export const REVOCATION_REASONS = [
  "Inactive",
  "Orphaned",
  "OwnerBlocked",
  "OwnerLimitExceeded",
  "PolicyDenied",
  "ResourceDeleted",
  "RevokedBySpec",
  "Rotated",
  "Superseded",
] as const;

export type RevocationReason = (typeof REVOCATION_REASONS)[number];

/** Why a token is issued: the first one, the next one in time, or one in the place of another that is lost. */
export const ISSUE_CAUSES = ["FirstToken", "Due", "Requested", "SecretMissing", "SecretEdited", "TokenEnded"] as const;

export type IssueCause = (typeof ISSUE_CAUSES)[number];

/** One write. They are executed in the order of the plan's list. */
export type Action =
  | { readonly kind: "addFinalizer" }
  /** Inserts a row, if the owner's limit and blocks let it, and keeps the plaintext for the `writeSecret` that follows. */
  | {
      readonly kind: "issueToken";
      readonly revision: number;
      readonly issuedAt: Date;
      readonly expiresAt: Date;
      readonly activeSince: Date;
      readonly cause: IssueCause;
    }
  /** As issueToken, in the place of a row whose plaintext nobody holds. */
  | {
      readonly kind: "replaceToken";
      readonly tokenId: string;
      readonly issuedAt: Date;
      readonly expiresAt: Date;
    }
  | { readonly kind: "updateToken"; readonly tokenId: string; readonly expiresAt: Date }
  /** Writes the token that this pass has issued to the wanted Secret, and with it which request it answers. */
  | { readonly kind: "writeSecret"; readonly expiresAt: Date; readonly handledRotateAt: string | undefined }
  /** Writes the wanted Secret anew with the token that the Secret `from` (it may be the same) holds. */
  | { readonly kind: "rewriteSecret"; readonly from: string; readonly tokenId: string; readonly expiresAt: Date }
  | { readonly kind: "decorateSecret" }
  | {
      readonly kind: "revokeTokens";
      readonly tokenIds: readonly string[];
      readonly reason: RevocationReason;
      /** What the person who revoked said of it. */
      readonly note?: string;
      /** When they end; at once without it. */
      readonly at?: Date;
    }
  | { readonly kind: "deleteSecret"; readonly name: string }
  /** Takes the label and the owner reference off a Secret that outlives its ApiToken. */
  | { readonly kind: "releaseSecret"; readonly name: string }
  | { readonly kind: "removeFinalizer" };

/** What a pass is to do. Converged is exactly `actions.length === 0`. */
export interface Plan {
  readonly actions: readonly Action[];
  /** What to say once there is nothing left to do; undefined where there is nothing to say, or nothing to say it on. */
  readonly status: ApiTokenStatus | undefined;
  /** When to look again without having been told of a change. */
  readonly requeueAt: Date | undefined;
}

/**
 * Not "Requested": a foreign Secret of the wanted name is in no cache, and against it one token after the other would be
 * issued. Of the first and the next in time the rows themselves tell by the second try.
 */
const HARMLESS_CAUSES: readonly IssueCause[] = ["FirstToken", "Due"];

/**
 * Whether an action replaces or ends something because of what the cache says. Such a plan must rest on a live,
 * consistent read: the cache may be behind, or an empty list may have emptied it.
 */
export function isDestructive(action: Action): boolean {
  switch (action.kind) {
    case "addFinalizer":
    case "writeSecret":
    case "decorateSecret":
      return false;
    case "issueToken":
      return !HARMLESS_CAUSES.includes(action.cause);
    case "revokeTokens":
      // That the Secret holds a newer token was seen; that the older one ends is the rows' own order.
      return action.reason !== "Rotated";
    case "replaceToken":
    case "updateToken": // a shorter lifetime may be over already
    case "rewriteSecret":
    case "deleteSecret":
    case "releaseSecret":
    case "removeFinalizer":
      return true;
  }
}
