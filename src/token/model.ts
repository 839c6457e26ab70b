/*
 * The inputs and outputs of every decision, in one place, so that decisions need neither a cluster nor a database. Times are
 * Dates, durations milliseconds. No type here holds a plaintext token.
 */
import type { Condition } from "./condition.ts";
import type { RateLimit } from "./rate-limit.ts";

/** What an ApiToken's spec asks for, with defaults applied. */
export interface DesiredToken {
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly metadata: TokenMetadata;
  readonly lifetime: RequestedLifetime;
  readonly rotation: DesiredRotation;
  /** The token is revoked when it has not been used for this long. */
  readonly inactivityTimeoutMs: number | undefined;
  /** How often the token may be used; the policy may allow less. */
  readonly rateLimit: RateLimit | undefined;
  readonly secret: DesiredSecret;
  readonly isRevoked: boolean;
  readonly revocationReason: string;
  readonly isSuspended: boolean;
}

/** Data that a spec attaches to a token for those who verify it. */
export type TokenMetadata = Readonly<Record<string, string>>;

/** The Secret that a spec asks for. */
export interface DesiredSecret {
  readonly name: string;
  readonly key: string;
  /** Extra keys, each with the template of its value. */
  readonly data: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Whether the Secret outlives its ApiToken. */
  readonly isRetained: boolean;
}

/** When a token is followed by the next one. */
export interface DesiredRotation {
  readonly isAutomatic: boolean;
  /** How long before the expiry: a duration, or a share of the lifetime. */
  readonly renewBefore: { readonly ms: number } | { readonly percentage: number };
  /** How long the previous token stays live after the Secret holds the next one. */
  readonly overlapMs: number;
}

/** The requested lifetime: the policy's default, a duration, or a fixed expiry. */
export type RequestedLifetime =
  | { readonly kind: "default" }
  | { readonly kind: "duration"; readonly durationMs: number }
  | { readonly kind: "fixed"; readonly expiresAt: Date };

/** A policy's limits on the lifetime of tokens. */
export interface LifetimeLimits {
  readonly defaultMs: number;
  readonly maxMs: number;
}

/** The settings of an ApiTokenPolicy for the ApiTokens that it allows. */
export interface AppliedPolicy {
  readonly name: string;
  readonly lifetime: LifetimeLimits;
  readonly owner: OwnerLimit;
  /** A token is revoked when it has not been used for this long; a spec may ask for less. */
  readonly inactivityTimeoutMs: number | undefined;
  /** How long after its expiry a token is still accepted, and for which scopes. */
  readonly grace: Grace | undefined;
  /** How often each token may be used; a spec may ask for less. */
  readonly rateLimit: RateLimit | undefined;
  /** A request for a rotation waits until the token is this old, unless it is the first one. */
  readonly minRequestIntervalMs: number;
  /** How long before its end a token that does not rotate is reported as ExpiringSoon. */
  readonly warnBeforeMs: number;
}

/** The result of reading a spec: what it asks for, or why it cannot be read. */
export type ParsedSpec =
  | { readonly desired: DesiredToken; readonly problem?: undefined; readonly remainder?: undefined }
  | { readonly desired?: undefined; readonly problem: string; readonly remainder?: SpecRemainder };

/** What could be read of a spec that as a whole could not: whatever ends a token depends on nothing else in the spec. */
export interface SpecRemainder {
  readonly isRevoked: boolean;
  readonly revocationReason: string;
  /** What policies judge; undefined if owner or scopes cannot be read either. */
  readonly grantee: Pick<DesiredToken, "owner" | "scopes"> | undefined;
}

export interface Grace {
  /** In whole seconds, as rows store it. */
  readonly periodMs: number;
  readonly scopes: readonly string[];
}

/** How many ApiTokens with a current token one owner may have, and which one has to yield. */
export interface OwnerLimit {
  readonly max: number;
  readonly onLimit: "RevokeOldest" | "Reject";
  /** Where they are counted: in this cluster, or in all clusters that share the database. */
  readonly scope: "Cluster" | "Database";
}

/** What the policies decide about one ApiToken. */
export type PolicyVerdict =
  | { readonly kind: "allowed"; readonly applied: AppliedPolicy }
  /** The policy with this name applies, and this rule of it forbids the ApiToken. */
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
  /** Undefined if it cannot be decrypted. */
  readonly metadata: TokenMetadata | undefined;
  /** Whether the metadata is encrypted under a key that is no longer the current one. */
  readonly isMetadataStale: boolean;
  readonly grace: Grace | undefined;
  readonly rateLimit: RateLimit | undefined;
  /** Whether older ApiTokens of the owner make room for it once it is in its Secret. Until then it does not count for them. */
  readonly supersedes: boolean;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  /** May be in the future: that is how an overlap ends. */
  readonly revokedAt: Date | undefined;
  readonly revocationReason: string | undefined;
  readonly lastUsedAt: Date | undefined;
  /** Inactivity is counted from here: when this token, or the first of those that it followed in time, was issued. */
  readonly activeSince: Date;
}

/** The Secret with the wanted name, as observed. `holds` is the id of the row whose hash matches one of its values. */
export type ObservedSecret =
  | { readonly state: "absent" }
  /** Not written to. It may hold our token all the same, because somebody has taken our marks off it, or copied the token. */
  | { readonly state: "foreign"; readonly holds?: string | undefined }
  | {
      readonly state: "ours";
      readonly name: string;
      readonly holds: string | undefined;
      /** Whether its values are exactly those that the spec asks for. */
      readonly isIntact: boolean;
      readonly isDecorated: boolean;
      /** The rotation request that the token in it answers. */
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
  /** The database's time, so that pods with wrong clocks decide alike. */
  readonly now: Date;
  /** Undefined if there is no ApiToken with this name. */
  readonly resource: ObservedResource | undefined;
  /** The rows of this cluster, namespace and name, whichever resource they belong to; newest revision last. */
  readonly tokens: readonly TokenRow[];
  readonly secret: ObservedSecret;
  readonly straySecrets: readonly StraySecret[];
  /** The OwnerBlock on the owner, even if it is not in effect yet. */
  readonly block: ObservedBlock | undefined;
  readonly rivals: Rivals;
  /** Whether the namespace is being deleted. */
  readonly isNamespaceTerminating: boolean;
  /** When the next encryption key becomes the current one, if one waits for its time. */
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
  /** The annotation's value; each new one requests one rotation. */
  readonly rotateRequestedAt: string | undefined;
  readonly isDeleting: boolean;
  readonly hasFinalizer: boolean;
  readonly status: ApiTokenStatus;
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

/** The token before the one in the Secret, during its overlap. */
export interface PreviousToken {
  readonly tokenId: string;
  readonly validUntil: string;
  readonly lastUsedAt?: string;
}
