/**
 * The shapes that decisions are made of. Times are Dates, durations milliseconds. Nothing here holds a plaintext token.
 */

/** What an ApiToken's spec asks for, with its defaults filled in. */
export interface DesiredToken {
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly lifetime: RequestedLifetime;
  readonly secret: {
    readonly name: string;
    readonly key: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations: Readonly<Record<string, string>>;
  };
  readonly isRevoked: boolean;
  readonly revocationReason: string;
  readonly isSuspended: boolean;
}

/** How long a token is to live: as the policy says, for a duration, or to a fixed end. */
export type RequestedLifetime =
  | { readonly kind: "default" }
  | { readonly kind: "duration"; readonly durationMs: number }
  | { readonly kind: "fixed"; readonly expiresAt: Date };

/** The limits that a policy sets on a token's lifetime. */
export interface LifetimeLimits {
  readonly defaultMs: number;
  readonly maxMs: number;
}

/** One issued credential: a row of apitoken.tokens, without its hash. */
export interface TokenRow {
  readonly id: string;
  readonly resourceUid: string;
  readonly revision: number;
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  readonly revokedAt: Date | undefined;
  readonly revocationReason: string | undefined;
}

/** A Secret with the wanted name, as seen. `holds` is the id of the row whose hash fits its value, if any does. */
export type ObservedSecret =
  | { readonly state: "absent" }
  | { readonly state: "foreign" }
  | {
      readonly state: "ours";
      readonly name: string;
      readonly holds: string | undefined;
      readonly isDecorated: boolean;
    };

/** A Secret of ours under a name or in a key that the spec no longer asks for. */
export interface StraySecret {
  readonly name: string;
  readonly holds: string | undefined;
}

/** Everything that one pass looks at. */
export interface Observed {
  /** The database's clock, so that pods with wrong clocks decide alike. */
  readonly now: Date;
  /** Undefined when there is no ApiToken of this name any more. */
  readonly resource: ObservedResource | undefined;
  /** The rows of this cluster, namespace and name, whichever resource they belonged to; newest revision last. */
  readonly tokens: readonly TokenRow[];
  readonly secret: ObservedSecret;
  readonly straySecrets: readonly StraySecret[];
}

/** The parts of an ApiToken that are not its spec. */
export interface ObservedResource {
  readonly uid: string;
  readonly generation: number;
  readonly isDeleting: boolean;
  readonly hasFinalizer: boolean;
  readonly status: ApiTokenStatus;
}

/** A condition as in KEP-1623; `lastTransitionTime` is RFC 3339 in whole seconds. */
export interface Condition {
  readonly type: ConditionType;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Reason;
  readonly message: string;
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}

/** An ApiToken's status. Times are RFC 3339 in whole seconds, as metav1.Time writes them. */
export interface ApiTokenStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly Condition[];
  readonly tokenId?: string;
  readonly revision?: number;
  readonly secretName?: string;
  readonly issuedAt?: string;
  readonly expiresAt?: string;
  readonly effective?: { readonly duration: string; readonly scopes: readonly string[] };
}

export type ConditionType = "Ready" | "LifetimeClamped" | "Revoked";

/** Why a condition is as it is; the same words in status, Events and metrics. */
export type Reason =
  | "Issued"
  | "Rotated"
  | "Expired"
  | "RevokedBySpec"
  | "SecretConflict"
  | "DatabaseUnavailable"
  | "InvalidSpec"
  | "Suspended"
  | "OverMaximum";

/** Why a row's life ended; written to its revocation_reason. */
export type RevocationReason = "RevokedBySpec" | "ResourceDeleted" | "Superseded" | "Orphaned";

/** One write. They are executed in the order of the plan's list. */
export type Action =
  | { readonly kind: "addFinalizer" }
  /** Inserts a row, and keeps the plaintext for the `writeSecret` that follows. */
  | {
      readonly kind: "issueToken";
      readonly revision: number;
      readonly issuedAt: Date;
      readonly expiresAt: Date;
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
  | { readonly kind: "writeSecret"; readonly expiresAt: Date }
  | { readonly kind: "decorateSecret" }
  | {
      readonly kind: "revokeTokens";
      readonly tokenIds: readonly string[];
      readonly reason: RevocationReason;
      /** What the person who revoked said of it. */
      readonly note?: string;
    }
  | { readonly kind: "deleteSecret"; readonly name: string }
  | { readonly kind: "removeFinalizer" };

/** Why a token is issued: the first one, or in the place of one that its Secret no longer holds. */
export type IssueCause = "FirstToken" | "SecretMissing" | "SecretEdited" | "TokenEnded";

/** What a pass is to do. Converged is exactly `actions.length === 0`. */
export interface Plan {
  readonly actions: readonly Action[];
  /** What to say once there is nothing left to do; undefined where there is nothing to say, or nothing to say it on. */
  readonly status: ApiTokenStatus | undefined;
  /** When to look again without having been told of a change. */
  readonly requeueAt: Date | undefined;
}
