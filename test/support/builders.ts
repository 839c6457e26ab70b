/*
 * Unit tests state only what matters to them: each builder returns a complete and ordinary object, and a test overrides
 * the fields that its sentence is about.
 */
import type { VerifiableToken } from "../../src/postgres/verification.ts";
import type {
  AppliedPolicy,
  DesiredSecret,
  DesiredToken,
  Observed,
  ObservedResource,
  PolicyVerdict,
  TokenRow,
} from "../../src/token/model.ts";

/** The current time in all unit tests. */
export const NOW = new Date("2026-06-01T12:00:00Z");

export const HOUR_MS = 3_600_000;

/** That many milliseconds after NOW, or before it if negative. */
export const later = (ms: number) => new Date(NOW.getTime() + ms);

export const LIMITS = { defaultMs: 720 * HOUR_MS, maxMs: 720 * HOUR_MS };

/** An AppliedPolicy that allows what the chart's default policy allows. */
export function aPolicy(overrides: Partial<AppliedPolicy> = {}): AppliedPolicy {
  return {
    name: "default",
    lifetime: LIMITS,
    owner: { max: 1, onLimit: "RevokeOldest", scope: "Cluster" },
    inactivityTimeoutMs: undefined,
    grace: undefined,
    rateLimit: undefined,
    minRequestIntervalMs: 60_000,
    warnBeforeMs: 168 * HOUR_MS,
    ...overrides,
  };
}

/** The verdict of a policy that allows a token. */
export const allow = (policy: Partial<AppliedPolicy> = {}): PolicyVerdict => ({
  kind: "allowed",
  applied: aPolicy(policy),
});

export const ALLOWED = allow();

/** The owner may have one token, and a second one is not issued. */
export const REJECTING = allow({ owner: { max: 1, onLimit: "Reject", scope: "Cluster" } });

export const RESOURCE_UID = "11111111-1111-4111-8111-111111111111";

export function aDesiredToken(overrides: Partial<DesiredToken> = {}): DesiredToken {
  return {
    owner: "alice",
    description: "",
    scopes: [],
    allowedCidrs: [],
    metadata: {},
    lifetime: { kind: "default" },
    rotation: { isAutomatic: true, renewBefore: { percentage: 10 }, overlapMs: HOUR_MS },
    inactivityTimeoutMs: undefined,
    rateLimit: undefined,
    secret: aDesiredSecret(),
    isRevoked: false,
    revocationReason: "",
    isSuspended: false,
    ...overrides,
  };
}

export function aDesiredSecret(overrides: Partial<DesiredSecret> = {}): DesiredSecret {
  return { name: "demo", key: "token", data: {}, labels: {}, annotations: {}, isRetained: false, ...overrides };
}

/** A live row, one hour after its issue. */
export function aTokenRow(overrides: Partial<TokenRow> = {}): TokenRow {
  const issuedAt = overrides.issuedAt ?? new Date(NOW.getTime() - HOUR_MS);
  return {
    id: "tokenOne0001",
    resourceUid: RESOURCE_UID,
    revision: 1,
    owner: "alice",
    description: "",
    scopes: [],
    allowedCidrs: [],
    metadata: {},
    isMetadataStale: false,
    grace: undefined,
    rateLimit: undefined,
    supersedes: false,
    issuedAt,
    expiresAt: new Date(issuedAt.getTime() + LIMITS.maxMs),
    revokedAt: undefined,
    revocationReason: undefined,
    activeSince: issuedAt,
    lastUsedAt: undefined,
    ...overrides,
  };
}

export function aResource(overrides: Partial<ObservedResource> = {}): ObservedResource {
  return {
    uid: RESOURCE_UID,
    generation: 1,
    createdAt: new Date(NOW.getTime() - 2 * HOUR_MS),
    rotateRequestedAt: undefined,
    isDeleting: false,
    hasFinalizer: true,
    status: {},
    ...overrides,
  };
}

/** By default, an ApiToken for which nothing has been done yet. */
export function anObserved(overrides: Partial<Observed> = {}): Observed {
  return {
    now: NOW,
    resource: aResource({ hasFinalizer: false }),
    tokens: [],
    secret: { state: "absent" },
    straySecrets: [],
    block: undefined,
    rivals: { older: 0, newer: 0 },
    isNamespaceTerminating: false,
    encryptionChangesAt: undefined,
    ...overrides,
  };
}

/** An ApiToken whose Secret holds its only token. */
export function aConvergedObserved(overrides: Partial<Observed> = {}, row: Partial<TokenRow> = {}): Observed {
  const token = aTokenRow(row);
  return anObserved({
    resource: aResource({ status: { tokenId: token.id, revision: token.revision } }),
    tokens: [token],
    secret: aSecret({ holds: token.id }),
    ...overrides,
  });
}

/** The wanted Secret: ours, and as it should be. */
export function aSecret(overrides: Partial<Observed["secret"] & { state: "ours" }> = {}): Observed["secret"] {
  return {
    state: "ours",
    name: "demo",
    holds: undefined,
    isIntact: true,
    isDecorated: true,
    handledRotateAt: undefined,
    ...overrides,
  };
}

/** A Secret of ours that holds the row with this id. */
export const ours = (holds: string | undefined, isDecorated = true) => aSecret({ holds, isDecorated });

/** A live token as a verifier reads it. */
export function aVerifiableToken(id: string, changes: Partial<VerifiableToken> = {}): VerifiableToken {
  return {
    id,
    namespace: "shop",
    name: "orders",
    owner: "alice",
    scopes: ["read"],
    allowedCidrs: [],
    grace: undefined,
    rateLimit: undefined,
    hash: Buffer.from(`hash of ${id}`),
    hashAlgorithm: "hmac-sha256",
    keyId: "p-1",
    encryptedMetadata: undefined,
    issuedAt: later(-HOUR_MS),
    expiresAt: later(HOUR_MS),
    revokedAt: undefined,
    isEndRequested: false,
    ...changes,
  };
}
