/**
 * The shapes that decisions are made of. Times are Dates, durations milliseconds. Nothing here holds a plaintext token.
 */
import type { Reason } from "./reasons.ts";

/** What an ApiToken's spec asks for, with its defaults filled in. */
export interface DesiredToken {
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly metadata: TokenMetadata;
  readonly lifetime: RequestedLifetime;
  readonly rotation: DesiredRotation;
  /** The token ends when it has not been used for so long. */
  readonly inactivityTimeoutMs: number | undefined;
  readonly secret: DesiredSecret;
  readonly isRevoked: boolean;
  readonly revocationReason: string;
  readonly isSuspended: boolean;
}

/** What a spec attaches to a token, for those who verify it. */
export type TokenMetadata = Readonly<Record<string, string>>;

/** The Secret that a spec asks for. */
export interface DesiredSecret {
  readonly name: string;
  readonly key: string;
  /** Further keys, each with a template of its value. */
  readonly data: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Whether the Secret outlives its ApiToken. */
  readonly isRetained: boolean;
}

/** When a token is to be followed by the next one. */
export interface DesiredRotation {
  readonly isAutomatic: boolean;
  /** How long before the end: a time, or a share of the lifetime. */
  readonly renewBefore: { readonly ms: number } | { readonly percentage: number };
  /** How long the token before stays valid once its Secret holds the next one. */
  readonly overlapMs: number;
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

/** What an ApiTokenPolicy sets for the ApiTokens that it allows. */
export interface AppliedPolicy {
  readonly name: string;
  readonly lifetime: LifetimeLimits;
  readonly owner: OwnerLimit;
  /** A token ends when it has not been used for so long; a spec may ask for less. */
  readonly inactivityTimeoutMs: number | undefined;
  /** For so long after its expiry a token is still accepted, for these scopes only. */
  readonly grace: Grace | undefined;
  /** A token that does not rotate is called ExpiringSoon so long before its end. */
  readonly warnBeforeMs: number;
}

export interface Grace {
  readonly periodMs: number;
  readonly scopes: readonly string[];
}

/** How many ApiTokens with a current token one owner may have, and which one yields. */
export interface OwnerLimit {
  readonly max: number;
  readonly onLimit: "RevokeOldest" | "Reject";
  /** Where they are counted: in this cluster, or in all that share the database. */
  readonly scope: "Cluster" | "Database";
}

/** What the policies say about one ApiToken. */
export type PolicyVerdict =
  | { readonly kind: "allowed"; readonly applied: AppliedPolicy }
  /** The policy that applies, by its name, forbids it with this rule. */
  | { readonly kind: "denied"; readonly applied?: undefined; readonly name: string; readonly rule: string }
  /** No policy selects its namespace. */
  | { readonly kind: "missing"; readonly applied?: undefined };

/** One issued credential: a row of apitoken.tokens, without its hash. */
export interface TokenRow {
  readonly id: string;
  readonly resourceUid: string;
  readonly revision: number;
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly allowedCidrs: readonly string[];
  /** Undefined when its ciphertext cannot be read. */
  readonly metadata: TokenMetadata | undefined;
  /** Whether it is encrypted under a key that is no longer the current one. */
  readonly isMetadataStale: boolean;
  readonly grace: Grace | undefined;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  /** May lie ahead: so an overlap ends. */
  readonly revokedAt: Date | undefined;
  readonly revocationReason: string | undefined;
  readonly lastUsedAt: Date | undefined;
  /** Since when it has been possible to use it or the tokens that it followed in time: inactivity counts from here. */
  readonly activeSince: Date;
}

/** A Secret with the wanted name, as seen. `holds` is the id of the row whose hash fits one of its values, if any does. */
export type ObservedSecret =
  | { readonly state: "absent" }
  | { readonly state: "foreign" }
  | {
      readonly state: "ours";
      readonly name: string;
      readonly holds: string | undefined;
      /** Whether its values are just those that the spec asks for. */
      readonly isIntact: boolean;
      readonly isDecorated: boolean;
      /** The request for a rotation that the token in it answers. */
      readonly handledRotateAt: string | undefined;
    };

/** A Secret of ours under a name that the spec no longer asks for. */
export interface StraySecret {
  readonly name: string;
  readonly holds: string | undefined;
}

/**
 * Everything that one pass decides on, as plain facts. The objects they were taken from are in the controller's
 * Snapshot; decisions must not see those, or they could not be made without a cluster.
 */
export interface Observed {
  /** The database's clock, so that pods with wrong clocks decide alike. */
  readonly now: Date;
  /** Undefined when there is no ApiToken of this name any more. */
  readonly resource: ObservedResource | undefined;
  /** The rows of this cluster, namespace and name, whichever resource they belonged to; newest revision last. */
  readonly tokens: readonly TokenRow[];
  readonly secret: ObservedSecret;
  readonly straySecrets: readonly StraySecret[];
  /** The OwnerBlock on the owner, whether it is in effect yet or not. */
  readonly block: ObservedBlock | undefined;
  readonly rivals: Rivals;
  /** When the next key for metadata takes over, if there is one in waiting. */
  readonly encryptionChangesAt: Date | undefined;
}

export interface ObservedBlock {
  readonly reason: string;
  readonly effectiveAt: Date;
}

/** The owner's other ApiTokens with a current token, older and newer ones; each is counted up to the owner's limit. */
export interface Rivals {
  readonly older: number;
  readonly newer: number;
}

/** The parts of an ApiToken that are not its spec. */
export interface ObservedResource {
  readonly uid: string;
  readonly generation: number;
  readonly createdAt: Date;
  /** Each new value of the annotation asks for one rotation. */
  readonly rotateRequestedAt: string | undefined;
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
  readonly policy?: string;
  readonly issuedAt?: string;
  readonly expiresAt?: string;
  readonly renewAt?: string;
  readonly lastUsedAt?: string;
  readonly previous?: PreviousToken;
  readonly effective?: { readonly duration: string; readonly scopes: readonly string[] };
  readonly failedAttempts?: number;
  readonly lastHandledRotateAt?: string;
}

/** The token before the current one, while its overlap lasts. */
export interface PreviousToken {
  readonly tokenId: string;
  readonly validUntil: string;
  readonly lastUsedAt?: string;
}

/** The conditions that a status may have. `Ready` is there from the first pass on, the others only while they hold. */
export const CONDITION_TYPES = ["Ready", "LifetimeClamped", "ExpiringSoon", "Revoked"] as const;

export type ConditionType = (typeof CONDITION_TYPES)[number];
