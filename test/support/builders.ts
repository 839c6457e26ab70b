import type { DesiredToken, Observed, ObservedResource, TokenRow } from "../../src/token/model.ts";

/** The time at which all unit tests take place. */
export const NOW = new Date("2026-06-01T12:00:00Z");

export const HOUR_MS = 3_600_000;

export const LIMITS = { defaultMs: 720 * HOUR_MS, maxMs: 720 * HOUR_MS };

export const RESOURCE_UID = "11111111-1111-4111-8111-111111111111";

export function aDesiredToken(overrides: Partial<DesiredToken> = {}): DesiredToken {
  return {
    owner: "alice",
    description: "",
    scopes: [],
    lifetime: { kind: "default" },
    secret: { name: "demo", key: "token", labels: {}, annotations: {} },
    isRevoked: false,
    revocationReason: "",
    isSuspended: false,
    ...overrides,
  };
}

/** A live row, as it is an hour after its issue. */
export function aTokenRow(overrides: Partial<TokenRow> = {}): TokenRow {
  const issuedAt = overrides.issuedAt ?? new Date(NOW.getTime() - HOUR_MS);
  return {
    id: "tokenOne0001",
    resourceUid: RESOURCE_UID,
    revision: 1,
    owner: "alice",
    description: "",
    scopes: [],
    issuedAt,
    expiresAt: new Date(issuedAt.getTime() + LIMITS.maxMs),
    revokedAt: undefined,
    revocationReason: undefined,
    ...overrides,
  };
}

export function aResource(overrides: Partial<ObservedResource> = {}): ObservedResource {
  return { uid: RESOURCE_UID, generation: 1, isDeleting: false, hasFinalizer: true, status: {}, ...overrides };
}

/** By default: an ApiToken that nothing was done for yet. */
export function anObserved(overrides: Partial<Observed> = {}): Observed {
  return {
    now: NOW,
    resource: aResource({ hasFinalizer: false }),
    tokens: [],
    secret: { state: "absent" },
    straySecrets: [],
    ...overrides,
  };
}

/** An ApiToken whose Secret holds its only token. */
export function aConvergedObserved(overrides: Partial<Observed> = {}, row: Partial<TokenRow> = {}): Observed {
  const token = aTokenRow(row);
  return anObserved({
    resource: aResource({ status: { tokenId: token.id, revision: token.revision } }),
    tokens: [token],
    secret: { state: "ours", name: "demo", holds: token.id, isDecorated: true },
    ...overrides,
  });
}
