import { describe, expect, test } from "vitest";
import type { DesiredToken, Observed, PolicyVerdict, TokenRow } from "../../../../src/token/model.ts";
import type { RevocationReason } from "../../../../src/token/plan/action.ts";
import {
  ALLOWED,
  aConvergedObserved,
  aDesiredToken,
  allow,
  anObserved,
  aResource,
  aTokenRow,
  HOUR_MS,
  LIMITS,
  later,
  NOW,
  ours,
  REJECTING,
} from "../../../support/builders.ts";
import { actionsOf, find, published, revokedFor, row, second } from "../actions-of.ts";

const GRACE = { periodMs: 24 * HOUR_MS, scopes: ["jobs:cancel"] };
const GRACING = allow({ grace: GRACE });
const ONCE = { rotation: { isAutomatic: false, renewBefore: { percentage: 10 }, overlapMs: HOUR_MS } } as const;

/** A token that expired an hour ago, at the end of the policy's lifetime, and is in its grace. */
const graced = (secret: Observed["secret"]) =>
  aConvergedObserved({ secret }, { issuedAt: later(-LIMITS.maxMs - HOUR_MS), grace: GRACE });

type End = readonly [when: string, Observed, Partial<DesiredToken>?, PolicyVerdict?];

/** Every reason; a new one does not compile without a case. */
const ENDS: Readonly<Record<RevocationReason, readonly End[]>> = {
  RevokedBySpec: [
    ["spec.revoked says so", aConvergedObserved(), { isRevoked: true }],
    [
      "the spec said so, and a backup of the cluster has brought back one that does not",
      aConvergedObserved({
        tokens: [row, { ...second, revokedAt: later(-HOUR_MS), revocationReason: "RevokedBySpec: leaked" }],
      }),
    ],
  ],
  OwnerBlocked: [
    ["its owner is blocked", aConvergedObserved({ block: { reason: "", effectiveAt: NOW } })],
    [
      "also where it is suspended",
      aConvergedObserved({ block: { reason: "", effectiveAt: NOW } }),
      { isSuspended: true },
    ],
  ],
  PolicyDenied: [
    ["the policy forbids it", aConvergedObserved(), {}, { kind: "denied", name: "p", rule: "r" }],
    [
      "also where it is suspended",
      aConvergedObserved(),
      { isSuspended: true },
      { kind: "denied", name: "p", rule: "r" },
    ],
  ],
  Superseded: [
    ["its owner has a newer ApiToken", aConvergedObserved({ rivals: { older: 0, newer: 1 } })],
    [
      "its owner has as many newer ones as allowed",
      aConvergedObserved({ rivals: { older: 5, newer: 2 } }),
      {},
      allow({ owner: { max: 2, onLimit: "RevokeOldest", scope: "Cluster" } }),
    ],
    [
      "it was so already, and a backup brought it back",
      aConvergedObserved({
        resource: aResource({ status: { ...published.status, conditions: [revokedFor("Superseded")] } }),
      }),
    ],
    [
      "its newest row says so, even if an edited status names a later one",
      aConvergedObserved({
        resource: aResource({ status: { ...published.status, revision: 3 } }),
        tokens: [row, { ...second, revokedAt: later(-HOUR_MS), revocationReason: "Superseded" }],
      }),
    ],
  ],
  OwnerLimitExceeded: [
    ["its owner has an older ApiToken", aConvergedObserved({ rivals: { older: 1, newer: 0 } }), {}, REJECTING],
  ],
  Inactive: [
    ["it was never used for too long", aConvergedObserved(), { inactivityTimeoutMs: HOUR_MS }],
    [
      "it was used, but long ago",
      aConvergedObserved({}, { issuedAt: later(-4 * HOUR_MS), lastUsedAt: later(-2 * HOUR_MS) }),
      { inactivityTimeoutMs: 2 * HOUR_MS },
    ],
    [
      "the policy is stricter than the spec",
      aConvergedObserved(),
      { inactivityTimeoutMs: 9 * HOUR_MS },
      allow({ inactivityTimeoutMs: HOUR_MS }),
    ],
    [
      "the spec is stricter than the policy",
      aConvergedObserved(),
      { inactivityTimeoutMs: HOUR_MS },
      allow({ inactivityTimeoutMs: 9 * HOUR_MS }),
    ],
    ["the policy alone says so", aConvergedObserved(), {}, allow({ inactivityTimeoutMs: HOUR_MS })],
    [
      "without a policy the spec still does",
      aConvergedObserved(),
      { inactivityTimeoutMs: HOUR_MS },
      { kind: "missing" },
    ],
  ],
  ResourceDeleted: [
    ["its ApiToken is being deleted", aConvergedObserved({ resource: aResource({ isDeleting: true }) })],
    ["its ApiToken is gone", anObserved({ resource: undefined, tokens: [row] })],
    [
      "another ApiToken has its name now",
      aConvergedObserved({ tokens: [aTokenRow({ id: "former000001", resourceUid: "former" }), row] }),
    ],
  ],
  Rotated: [
    [
      "the Secret holds a newer one, and there is no overlap",
      aConvergedObserved({ tokens: [row, second], secret: ours(second.id) }),
      { rotation: { ...aDesiredToken().rotation, overlapMs: 0 } },
    ],
    [
      "it is older than the previous one",
      aConvergedObserved({
        tokens: [row, { ...second, revokedAt: later(HOUR_MS) }, aTokenRow({ id: "tokenTre0003", revision: 3 })],
        secret: ours("tokenTre0003"),
      }),
    ],
    [
      "a backup has brought back what the status no longer names",
      aConvergedObserved({
        resource: aResource({ status: { tokenId: second.id, revision: 2 } }),
        tokens: [row, second],
        secret: ours(second.id),
      }),
    ],
    [
      "a backup has brought back what a block had revoked, which is lifted now",
      aConvergedObserved({
        resource: aResource({ status: { ...published.status, conditions: [revokedFor("OwnerBlocked")] } }),
        tokens: [row, second],
        secret: ours(second.id),
      }),
    ],
  ],
  Orphaned: [
    ["only a Secret that is not ours could hold it", anObserved({ tokens: [row], secret: { state: "foreign" } })],
    [
      "no Secret holds it, and the lifetime asked for is over",
      anObserved({ resource: published, tokens: [row] }),
      { lifetime: { kind: "fixed", expiresAt: NOW } },
    ],
    ["it is in its grace, and no Secret holds it any longer", graced({ state: "absent" }), ONCE, GRACING],
    ["it is in its grace, and the Secret was edited", graced(ours(undefined)), ONCE, GRACING],
  ],
};

describe("a token is revoked at once for a known reason:", () => {
  test.each(Object.entries(ENDS).flatMap(([reason, cases]) => cases.map((each) => [reason, each[0], each] as const)))(
    "%s when %s",
    (reason, _, [, observed, desired, policy]) => {
      const { tokenIds, ...rest } = find(actionsOf(observed, desired, policy), "revokeTokens");
      expect(rest).toEqual({ kind: "revokeTokens", reason });
      expect(tokenIds).toHaveLength(1);
    },
  );

  test("tokens that have already ended keep their reason", () => {
    const observed = anObserved({ resource: undefined, tokens: [aTokenRow({ revokedAt: NOW }), second] });
    expect(find(actionsOf(observed), "revokeTokens").tokenIds).toEqual([second.id]);
  });
});

describe("a token is not revoked", () => {
  const kept: readonly End[] = [
    ["when its owner's block is in the future", aConvergedObserved({ block: { reason: "", effectiveAt: later(1) } })],
    [
      "when its owner has fewer newer ApiTokens than allowed",
      aConvergedObserved({ rivals: { older: 9, newer: 1 } }),
      {},
      allow({ owner: { max: 2, onLimit: "RevokeOldest", scope: "Cluster" } }),
    ],
    [
      "when its owner has newer ones, and those have to wait",
      aConvergedObserved({ rivals: { older: 0, newer: 9 } }),
      {},
      REJECTING,
    ],
    ["before it was unused for too long", aConvergedObserved(), { inactivityTimeoutMs: HOUR_MS + 1 }],
    [
      "when the previous one was used lately",
      aConvergedObserved({}, { lastUsedAt: later(-1) }),
      { inactivityTimeoutMs: HOUR_MS },
    ],
    ["in its grace, while its Secret holds it", graced(ours(row.id)), ONCE, GRACING],
    ["because there is no policy", aConvergedObserved(), {}, { kind: "missing" }],
    [
      "for lack of use while it is suspended",
      aConvergedObserved(),
      { inactivityTimeoutMs: HOUR_MS, isSuspended: true },
    ],
  ];

  test.each(kept.map(([when, ...input]) => ({ when, input })))("$when", ({ input: [observed, desired, policy] }) => {
    expect(actionsOf(observed, desired, policy)).toEqual([]);
  });
});

describe("the overlap of the previous token", () => {
  const overlapEnd = (previous: Partial<TokenRow>, observed: Partial<Observed> = {}, policy = ALLOWED) => {
    const tokens = [aTokenRow(previous), second];
    const actions = actionsOf(aConvergedObserved({ tokens, secret: ours(second.id), ...observed }), {}, policy);
    return actions.length === 0 ? "as it is" : find(actions, "revokeTokens").at;
  };

  test("counts from when the Secret holds the next, in whole seconds", () => {
    expect(overlapEnd({})).toEqual(later(HOUR_MS));
    expect(overlapEnd({}, { now: later(999) })).toEqual(later(HOUR_MS));
  });

  test("is not extended by later passes, and brings a later end forward", () => {
    expect(overlapEnd({ revokedAt: later(HOUR_MS - 1) })).toBe("as it is");
    expect(overlapEnd({ revokedAt: later(HOUR_MS) })).toBe("as it is");
    expect(overlapEnd({ revokedAt: later(HOUR_MS + 1_000) })).toEqual(later(HOUR_MS));
  });

  test("is in the row even if its own expiry comes first", () => {
    expect(overlapEnd({ expiresAt: later(HOUR_MS / 2) })).toEqual(later(HOUR_MS / 2));
  });

  test("never goes beyond the policy's maximum", () => {
    const policy = allow({ lifetime: { ...LIMITS, maxMs: 2 * HOUR_MS } });
    const inTime = { ...second, expiresAt: later(HOUR_MS) };
    const tokens = [aTokenRow({ issuedAt: later(-1.5 * HOUR_MS) }), inTime];
    expect(overlapEnd({}, { tokens }, policy)).toEqual(later(HOUR_MS / 2));
  });

  test("ends when the status says so, if a backup has lost it", () => {
    const previous = { tokenId: row.id, validUntil: "2026-06-01T12:20:00Z" };
    const resource = aResource({ status: { tokenId: second.id, revision: 2, previous } });
    expect(overlapEnd({}, { resource })).toEqual(new Date("2026-06-01T12:20:00Z"));
  });
});

test("a use that only the status records, because the database is from a backup, keeps a token from becoming Inactive", () => {
  const status = { ...published.status, lastUsedAt: later(-HOUR_MS / 2).toISOString() };
  const observed = (told: object) =>
    aConvergedObserved({ resource: aResource({ status: { ...published.status, ...told } }) });
  const spec = { inactivityTimeoutMs: HOUR_MS };
  expect(actionsOf(observed({}), spec).map(({ kind }) => kind)).toContain("revokeTokens");
  expect(actionsOf(observed(status), spec)).toEqual([]);
  // A status can be edited by hand; a use in the future does not count.
  const ahead = { ...status, lastUsedAt: later(HOUR_MS).toISOString() };
  expect(actionsOf(observed(ahead), spec).map(({ kind }) => kind)).toContain("revokeTokens");
});

describe("a token that was in its grace when the next one came", () => {
  const scene = (earlier: Partial<TokenRow> = {}) =>
    aConvergedObserved({
      tokens: [
        aTokenRow({ issuedAt: later(-LIMITS.maxMs - HOUR_MS), grace: GRACE, ...earlier }),
        { ...second, grace: GRACE },
      ],
      secret: ours(second.id),
    });

  test("has its overlap, like one that was live", () => {
    expect(actionsOf(scene(), {}, GRACING)).toEqual([
      { kind: "revokeTokens", tokenIds: [row.id], reason: "Rotated", at: later(HOUR_MS) },
    ]);
  });

  test("ends at once without an overlap", () => {
    expect(actionsOf(scene(), { rotation: { ...ONCE.rotation, overlapMs: 0 } }, GRACING)).toEqual([
      { kind: "revokeTokens", tokenIds: [row.id], reason: "Rotated" },
    ]);
  });

  test("loses what the one in the Secret loses", () => {
    const actions = actionsOf(scene({ revokedAt: later(HOUR_MS), scopes: ["jobs:cancel"] }), {}, GRACING);
    // Without a new expiry: to the microsecond, the one that has passed is known to the database alone.
    expect(actions).toEqual([{ kind: "updateToken", tokenId: row.id }]);
  });
});
