import { describe, expect, test } from "vitest";
import type { Action, DesiredToken, Observed } from "../../../src/token/model.ts";
import { isDestructive, type ParsedSpec, plan } from "../../../src/token/plan.ts";
import { findCondition, statusOfOutage } from "../../../src/token/status.ts";
import {
  aConvergedObserved,
  aDesiredToken,
  anObserved,
  aResource,
  aTokenRow,
  HOUR_MS,
  LIMITS,
  NOW,
} from "../../support/builders.ts";

const later = (ms: number) => new Date(NOW.getTime() + ms);

interface Case {
  readonly sentence: string;
  readonly desired?: Partial<DesiredToken>;
  readonly spec?: ParsedSpec;
  readonly observed: Observed;
  /** The kinds of the actions, in their order. */
  readonly actions: readonly Action["kind"][];
  /** The reason of Ready, where a status is given. */
  readonly reason?: string;
}

const newest = aTokenRow({ id: "tokenTwo0002", revision: 2 });
const dead = aTokenRow({ revokedAt: later(-1), revocationReason: "leaked" });
const ours = (holds: string | undefined, isDecorated = true) =>
  ({ state: "ours", name: "demo", holds, isDecorated }) as const;

const CASES: readonly Case[] = [
  {
    sentence: "a new ApiToken gets finalizer, row and Secret, in this order",
    observed: anObserved(),
    actions: ["addFinalizer", "issueToken", "writeSecret"],
  },
  { sentence: "a converged one needs nothing", observed: aConvergedObserved(), actions: [], reason: "Issued" },
  {
    sentence: "a later revision is called Rotated",
    observed: aConvergedObserved({}, { revision: 2 }),
    actions: [],
    reason: "Rotated",
  },
  {
    sentence: "a row whose plaintext never reached a Secret is replaced, at the same revision",
    observed: anObserved({ resource: aResource(), tokens: [aTokenRow()] }),
    actions: ["replaceToken", "writeSecret"],
  },
  {
    sentence: "a Secret that was deleted is answered with the next revision",
    observed: aConvergedObserved({ secret: { state: "absent" } }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so is one that was edited",
    observed: aConvergedObserved({ secret: ours(undefined) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so is a row that was revoked with SQL",
    observed: aConvergedObserved({ tokens: [dead] }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so is a row that was deleted with SQL",
    observed: aConvergedObserved({ tokens: [] }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "once the Secret holds the new token the old one is superseded",
    observed: aConvergedObserved({ tokens: [aTokenRow(), newest], secret: ours(newest.id) }),
    actions: ["revokeTokens"],
    reason: "Rotated",
  },
  {
    sentence: "a newer row that the Secret does not hold is an orphan",
    observed: aConvergedObserved({ tokens: [aTokenRow(), newest] }),
    actions: ["revokeTokens"],
    reason: "Issued",
  },
  {
    sentence: "changed scopes change the row",
    desired: { scopes: ["a:b"] },
    observed: aConvergedObserved(),
    actions: ["updateToken"],
    reason: "Issued",
  },
  {
    sentence: "a shorter duration changes the row's end",
    desired: { lifetime: { kind: "duration", durationMs: 2 * HOUR_MS } },
    observed: aConvergedObserved(),
    actions: ["updateToken"],
    reason: "Issued",
  },
  {
    sentence: "drifted labels are mended without a new token",
    observed: aConvergedObserved({ secret: ours("tokenOne0001", false) }),
    actions: ["decorateSecret"],
    reason: "Issued",
  },
  {
    sentence: "a finalizer that somebody removed comes back",
    observed: aConvergedObserved({ resource: aResource({ hasFinalizer: false }) }),
    actions: ["addFinalizer"],
    reason: "Issued",
  },
  {
    sentence: "another Secret name gets a token of its own first",
    observed: aConvergedObserved({
      secret: { state: "absent" },
      straySecrets: [{ name: "old", holds: "tokenOne0001" }],
    }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "then the old Secret goes, and its token ends",
    observed: aConvergedObserved({
      tokens: [aTokenRow(), newest],
      secret: ours(newest.id),
      straySecrets: [{ name: "old", holds: "tokenOne0001" }],
    }),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "Rotated",
  },
  {
    sentence: "a foreign Secret is left alone",
    observed: anObserved({ secret: { state: "foreign" } }),
    actions: [],
    reason: "SecretConflict",
  },
  {
    sentence: "and a row that only it could have held is ended",
    observed: anObserved({ tokens: [aTokenRow()], secret: { state: "foreign" } }),
    actions: ["revokeTokens"],
    reason: "SecretConflict",
  },
  {
    sentence: "but not one that another Secret of ours holds",
    observed: aConvergedObserved({
      secret: { state: "foreign" },
      straySecrets: [{ name: "old", holds: "tokenOne0001" }],
    }),
    actions: [],
    reason: "SecretConflict",
  },
  {
    sentence: "revoked: the row first, then the Secret",
    desired: { isRevoked: true },
    observed: aConvergedObserved(),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "RevokedBySpec",
  },
  {
    sentence: "revoked before anything was issued: nothing",
    desired: { isRevoked: true },
    observed: anObserved(),
    actions: [],
    reason: "RevokedBySpec",
  },
  {
    sentence: "suspended: nothing is issued",
    desired: { isSuspended: true },
    observed: anObserved(),
    actions: [],
    reason: "Suspended",
  },
  {
    sentence: "suspended and revoked: revoked",
    desired: { isSuspended: true, isRevoked: true },
    observed: aConvergedObserved(),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "RevokedBySpec",
  },
  {
    sentence: "a lifetime that is over stays over",
    observed: aConvergedObserved({}, { issuedAt: later(-721 * HOUR_MS) }),
    actions: [],
    reason: "Expired",
  },
  {
    sentence: "also when the row has been cleaned up",
    observed: aConvergedObserved({
      tokens: [],
      resource: aResource({ status: { tokenId: "x", issuedAt: "2026-01-01T00:00:00Z" } }),
      secret: ours(undefined),
    }),
    actions: [],
    reason: "Expired",
  },
  {
    sentence: "a fixed end in the past gives nothing",
    desired: { lifetime: { kind: "fixed", expiresAt: later(-1) } },
    observed: anObserved(),
    actions: [],
    reason: "Expired",
  },
  {
    sentence: "a longer duration than the one that is over gives a new token",
    desired: { lifetime: { kind: "duration", durationMs: 48 * HOUR_MS } },
    observed: aConvergedObserved({}, { issuedAt: later(-25 * HOUR_MS), expiresAt: later(-HOUR_MS) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a spec that cannot be read asks for nothing",
    spec: { problem: "spec.owner: missing" },
    observed: aConvergedObserved(),
    actions: [],
    reason: "InvalidSpec",
  },
  {
    sentence: "deletion: rows, Secrets, finalizer, in this order",
    observed: aConvergedObserved({
      resource: aResource({ isDeleting: true }),
      straySecrets: [{ name: "old", holds: undefined }],
    }),
    actions: ["revokeTokens", "deleteSecret", "deleteSecret", "removeFinalizer"],
  },
  {
    sentence: "deletion of what has a spec that cannot be read goes on all the same",
    spec: { problem: "spec.owner: missing" },
    observed: anObserved({ resource: aResource({ isDeleting: true }), tokens: [aTokenRow()] }),
    actions: ["revokeTokens", "removeFinalizer"],
  },
  {
    sentence: "deletion leaves a foreign Secret alone",
    observed: anObserved({ resource: aResource({ isDeleting: true }), secret: { state: "foreign" } }),
    actions: ["removeFinalizer"],
  },
  {
    sentence: "an ApiToken that is gone leaves no live row",
    observed: anObserved({ resource: undefined, tokens: [aTokenRow(), dead] }),
    actions: ["revokeTokens"],
  },
  {
    sentence: "rows of an earlier ApiToken of the same name end",
    observed: aConvergedObserved({ tokens: [aTokenRow({ id: "x", resourceUid: "another" }), aTokenRow()] }),
    actions: ["revokeTokens"],
    reason: "Issued",
  },
];

describe("plan", () => {
  test.each(CASES)("$sentence", ({ desired, spec, observed, actions, reason }) => {
    const result = plan(spec ?? { desired: aDesiredToken(desired) }, observed, LIMITS);
    expect(result.actions.map((action) => action.kind)).toEqual(actions);
    if (reason !== undefined) expect(result.status && findCondition(result.status, "Ready")?.reason).toBe(reason);
  });

  test("a lost token keeps its revision, a published one gets the next", () => {
    const lost = plan({ desired: aDesiredToken() }, anObserved({ tokens: [newest] }), LIMITS);
    expect(lost.actions).toContainEqual(expect.objectContaining({ kind: "replaceToken", tokenId: newest.id }));
    const published = aConvergedObserved({ tokens: [newest], secret: { state: "absent" } });
    const status = { tokenId: newest.id, revision: 2 };
    const next = plan({ desired: aDesiredToken() }, { ...published, resource: aResource({ status }) }, LIMITS);
    expect(next.actions).toContainEqual(expect.objectContaining({ kind: "issueToken", revision: 3 }));
  });

  test("the next revision is higher than the status', also when the rows have been cleaned up", () => {
    const resource = aResource({ status: { tokenId: "x", revision: 7, issuedAt: "2026-06-01T11:00:00Z" } });
    const { actions } = plan({ desired: aDesiredToken() }, anObserved({ resource }), LIMITS);
    expect(actions).toContainEqual(expect.objectContaining({ kind: "issueToken", revision: 8 }));
  });

  test("a note of the person who revoked goes into the row", () => {
    const desired = aDesiredToken({ isRevoked: true, revocationReason: "laptop lost" });
    const { actions } = plan({ desired }, aConvergedObserved(), LIMITS);
    expect(actions[0]).toMatchObject({ reason: "RevokedBySpec", note: "laptop lost" });
  });

  test("the next look is due when the token ends, also by a revocation that lies ahead", () => {
    const look = (observed: Observed) => plan({ desired: aDesiredToken() }, observed, LIMITS).requeueAt;
    expect(look(aConvergedObserved())).toEqual(aTokenRow().expiresAt);
    expect(look(aConvergedObserved({}, { revokedAt: later(HOUR_MS) }))).toEqual(later(HOUR_MS));
    expect(look(anObserved({ secret: { state: "foreign" } }))?.getTime()).toBeGreaterThan(NOW.getTime());
  });

  test("Ready keeps the time since when it holds", () => {
    const first = plan({ desired: aDesiredToken() }, aConvergedObserved(), LIMITS).status ?? {};
    const again = aConvergedObserved({ now: later(HOUR_MS), resource: aResource({ status: first }) });
    expect(plan({ desired: aDesiredToken() }, again, LIMITS).status).toEqual(first);
  });

  test("what replaces or ends something asks for a live read, and what does not, does not", () => {
    const kinds = (observed: Observed) =>
      plan({ desired: aDesiredToken() }, observed, LIMITS).actions.some(isDestructive);
    expect(kinds(anObserved())).toBe(false);
    expect(kinds(aConvergedObserved({ secret: ours("tokenOne0001", false) }))).toBe(false);
    expect(kinds(aConvergedObserved({ secret: { state: "absent" } }))).toBe(true);
    expect(kinds(anObserved({ resource: undefined, tokens: [aTokenRow()] }))).toBe(true);
  });
});

describe("an outage of the database", () => {
  const ready = plan({ desired: aDesiredToken() }, aConvergedObserved(), LIMITS).status ?? {};

  test("is said on what waits for it", () => {
    const status = statusOfOutage(aResource(), NOW);
    expect(status && findCondition(status, "Ready")?.reason).toBe("DatabaseUnavailable");
  });

  test("is said on what is being deleted", () => {
    const status = statusOfOutage(aResource({ status: ready, isDeleting: true }), NOW);
    expect(status && findCondition(status, "Ready")).toMatchObject({ status: "False", reason: "DatabaseUnavailable" });
  });

  test("changes nothing on what is Ready", () => {
    expect(statusOfOutage(aResource({ status: ready }), NOW)).toBeUndefined();
  });
});
