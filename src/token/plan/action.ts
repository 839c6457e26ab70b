/*
 * The vocabulary of plans: every write that a pass can make, and which of them must not be decided by a cache alone.
 */
import type { ApiTokenStatus } from "../model.ts";

/** Why a token was revoked. Written to the row's revocation_reason, where any other text was written by a person. */
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

/** Why a token is issued: the first one, the next one in time, or one that replaces a lost one. */
export const ISSUE_CAUSES = ["FirstToken", "Due", "Requested", "SecretMissing", "SecretEdited", "TokenEnded"] as const;

export type IssueCause = (typeof ISSUE_CAUSES)[number];

/** One write. They are executed in the order of the plan's list. */
export type Action =
  | { readonly kind: "addFinalizer" }
  /** Inserts a row unless the owner's limit or a block forbids it, and keeps the plaintext for the next `writeSecret`. */
  | {
      readonly kind: "issueToken";
      readonly revision: number;
      readonly issuedAt: Date;
      readonly expiresAt: Date;
      readonly activeSince: Date;
      readonly cause: IssueCause;
    }
  /** Like issueToken, but replaces a row whose plaintext nobody holds. */
  | {
      readonly kind: "replaceToken";
      readonly tokenId: string;
      readonly issuedAt: Date;
      readonly expiresAt: Date;
    }
  /** Without `expiresAt` the row keeps its expiry, to the microsecond: one that has passed cannot be moved. */
  | { readonly kind: "updateToken"; readonly tokenId: string; readonly expiresAt?: Date }
  /** Writes the token that this pass has issued to the wanted Secret, and which request it answers. */
  | { readonly kind: "writeSecret"; readonly expiresAt: Date; readonly handledRotateAt: string | undefined }
  /** Rewrites the wanted Secret with the token that the Secret `from` holds, which may be the same Secret. */
  | { readonly kind: "rewriteSecret"; readonly from: string; readonly tokenId: string; readonly expiresAt: Date }
  /** Ends the tokens of the owner's oldest ApiTokens beyond the limit, now that this token is in its Secret. */
  | { readonly kind: "takeOver"; readonly tokenId: string }
  | { readonly kind: "decorateSecret" }
  | {
      readonly kind: "revokeTokens";
      readonly tokenIds: readonly string[];
      readonly reason: RevocationReason;
      /** The reason given by the person who revoked the token. */
      readonly note?: string;
      /** When they end; undefined: at once. */
      readonly at?: Date;
    }
  | { readonly kind: "deleteSecret"; readonly name: string }
  /** Removes the label and the owner reference from a Secret that outlives its ApiToken. */
  | { readonly kind: "releaseSecret"; readonly name: string }
  | { readonly kind: "removeFinalizer" };

/** What a pass does. An ApiToken has converged if and only if there are no actions. */
export interface Plan {
  readonly actions: readonly Action[];
  /** The status to write once no action is left; undefined while one is that ends something, or if none is to be written. */
  readonly status: ApiTokenStatus | undefined;
  /** When the next pass is needed even if no change is reported. */
  readonly requeueAt: Date | undefined;
  /** Whether it waits for something that no event reports, so that another pass must look now and then. */
  readonly mustRecheck?: boolean;
}

/**
 * Causes for which an outdated cache does no harm: on a second try the rows show that the token was already issued. Not
 * "Requested": caches lack foreign Secrets, so if one has the wanted name, token after token would be issued.
 */
const HARMLESS_CAUSES: readonly IssueCause[] = ["FirstToken", "Due"];

/**
 * Whether an action replaces or ends something because of what the cache shows. Such a plan must be confirmed by a
 * consistent read from the API server: the cache may be outdated, or an empty list may have emptied it.
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
      // That the Secret holds a newer token was observed; which token is older, the rows alone decide.
      return action.reason !== "Rotated";
    case "replaceToken":
    case "updateToken": // a shorter lifetime may already be over
    case "rewriteSecret":
    case "takeOver":
    case "deleteSecret":
    case "releaseSecret":
    case "removeFinalizer":
      return true;
  }
}
