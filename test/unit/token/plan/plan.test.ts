import { describe, expect, test } from "vitest";
import type { DesiredToken, Observed, ParsedSpec, PolicyVerdict } from "../../../../src/token/model.ts";
import { type Action, isDestructive, type Plan } from "../../../../src/token/plan/action.ts";
import { plan } from "../../../../src/token/plan/plan.ts";
import { findCondition } from "../../../../src/token/status.ts";
import {
  ALLOWED,
  aConvergedObserved,
  aDesiredSecret,
  aDesiredToken,
  anObserved,
  aResource,
  aSecret,
  aTokenRow,
  HOUR_MS,
  later,
  NOW,
  ours,
  REJECTING,
} from "../../../support/builders.ts";

interface Case {
  readonly sentence: string;
  readonly desired?: Partial<DesiredToken>;
  readonly spec?: ParsedSpec;
  readonly observed: Observed;
  readonly policy?: PolicyVerdict;
  /** The kinds of the actions, in order. */
  readonly actions: readonly Action["kind"][];
  /** The reason of Ready, or of the revocation if something is still to be ended. */
  readonly reason?: string;
}

const newest = aTokenRow({ id: "tokenTwo0002", revision: 2 });
const dead = aTokenRow({ revokedAt: later(-1), revocationReason: "leaked" });

const once = { ...aDesiredToken().rotation, isAutomatic: false };
const missing: PolicyVerdict = { kind: "missing" };

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
    sentence: "a deleted Secret leads to the next revision",
    observed: aConvergedObserved({ secret: { state: "absent" } }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so does an edited Secret",
    observed: aConvergedObserved({ secret: ours(undefined) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so does a row that was revoked with SQL",
    observed: aConvergedObserved({ tokens: [dead] }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so does a row that was deleted with SQL",
    observed: aConvergedObserved({ tokens: [] }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "once the Secret holds the new token the old one gets its end",
    observed: aConvergedObserved({ tokens: [aTokenRow(), newest], secret: ours(newest.id) }),
    actions: ["revokeTokens"],
    reason: "Rotated",
  },
  {
    sentence: "a newer row that nobody has ever held is replaced",
    observed: aConvergedObserved({ tokens: [aTokenRow(), newest] }),
    actions: ["replaceToken", "writeSecret"],
  },
  {
    sentence: "an old Secret that was put back gets a next token",
    observed: aConvergedObserved({
      tokens: [aTokenRow(), newest],
      resource: aResource({ status: { tokenId: newest.id, revision: newest.revision } }),
    }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "so does one whose token does not rotate",
    desired: { rotation: { ...aDesiredToken().rotation, isAutomatic: false } },
    observed: aConvergedObserved({
      tokens: [aTokenRow({ revokedAt: new Date(NOW.getTime() + HOUR_MS / 2), revocationReason: "Rotated" }), newest],
      resource: aResource({ status: { tokenId: newest.id, revision: newest.revision } }),
    }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "also while it is suspended, or an owner could have as many tokens as it likes",
    desired: { isSuspended: true },
    observed: aConvergedObserved({ tokens: [aTokenRow({ supersedes: true })] }),
    actions: ["takeOver"],
  },
  {
    sentence: "and one that is in no Secret is ended then",
    desired: { isSuspended: true },
    observed: aConvergedObserved({ tokens: [aTokenRow({ supersedes: true })], secret: { state: "absent" } }),
    actions: ["revokeTokens"],
  },
  {
    sentence: "a token in its Secret takes the place of older ApiTokens of its owner",
    observed: aConvergedObserved({ tokens: [aTokenRow({ supersedes: true })] }),
    actions: ["takeOver"],
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
    sentence: "a shorter duration changes the row's expiry",
    desired: { lifetime: { kind: "duration", durationMs: 2 * HOUR_MS } },
    observed: aConvergedObserved(),
    actions: ["updateToken"],
    reason: "Issued",
  },
  {
    sentence: "drifted labels are corrected without a new token",
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
    sentence: "with another Secret name the token is written there first",
    observed: aConvergedObserved({
      secret: { state: "absent" },
      straySecrets: [{ name: "old", holds: "tokenOne0001" }],
    }),
    actions: ["rewriteSecret"],
  },
  {
    sentence: "then the old Secret is deleted, and the token stays",
    observed: aConvergedObserved({ straySecrets: [{ name: "old", holds: "tokenOne0001" }] }),
    actions: ["deleteSecret"],
    reason: "Issued",
  },
  {
    sentence: "if the old Secret is lost as well, a new token is issued",
    observed: aConvergedObserved({ secret: { state: "absent" }, straySecrets: [{ name: "old", holds: undefined }] }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "changed values of the Secret are written without a new token",
    observed: aConvergedObserved({ secret: aSecret({ holds: "tokenOne0001", isIntact: false }) }),
    actions: ["rewriteSecret"],
    reason: "Issued",
  },
  {
    sentence: "a due token is followed by the next one, without an end for the first yet",
    observed: aConvergedObserved({}, { issuedAt: later(-660 * HOUR_MS) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a next token that a crash kept out of the Secret is replaced",
    observed: aConvergedObserved({ tokens: [aTokenRow({ issuedAt: later(-660 * HOUR_MS) }), newest] }),
    actions: ["replaceToken", "writeSecret"],
  },
  {
    sentence: "in its overlap the previous token is left alone",
    observed: aConvergedObserved({
      tokens: [aTokenRow({ revokedAt: later(HOUR_MS) }), newest],
      secret: ours(newest.id),
    }),
    actions: [],
    reason: "Rotated",
  },
  {
    sentence: "without rotation no next token is issued",
    desired: { rotation: once },
    observed: aConvergedObserved({}, { issuedAt: later(-719 * HOUR_MS) }),
    actions: [],
    reason: "Issued",
  },
  {
    sentence: "unless somebody requests it",
    desired: { rotation: once },
    observed: aConvergedObserved({ resource: aResource({ rotateRequestedAt: "now" }) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a further request waits until the token is as old as the policy says",
    observed: aConvergedObserved(
      { resource: aResource({ rotateRequestedAt: "again", status: { lastHandledRotateAt: "once" } }) },
      { issuedAt: later(-59_000) },
    ),
    actions: [],
    reason: "Issued",
  },
  {
    sentence: "and is carried out then",
    observed: aConvergedObserved(
      { resource: aResource({ rotateRequestedAt: "again", status: { lastHandledRotateAt: "once" } }) },
      { issuedAt: later(-60_000) },
    ),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a status without the last request does not hurry it, if the Secret shows it",
    observed: aConvergedObserved(
      {
        resource: aResource({ rotateRequestedAt: "again" }),
        secret: aSecret({ holds: "tokenOne0001", handledRotateAt: "once" }),
      },
      { issuedAt: later(-59_000) },
    ),
    actions: [],
    reason: "Issued",
  },
  {
    sentence: "the first request is carried out at once",
    observed: aConvergedObserved({ resource: aResource({ rotateRequestedAt: "once" }) }, { issuedAt: NOW }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a request that the Secret's token answers needs nothing more",
    observed: aConvergedObserved({
      resource: aResource({ rotateRequestedAt: "now" }),
      secret: aSecret({ holds: "tokenOne0001", handledRotateAt: "now" }),
    }),
    actions: [],
    reason: "Issued",
  },
  {
    sentence: "neither does one that the status has recorded as handled",
    observed: aConvergedObserved({
      resource: aResource({ rotateRequestedAt: "now", status: { lastHandledRotateAt: "now" } }),
    }),
    actions: [],
    reason: "Issued",
  },
  {
    sentence: "a token that expired unnoticed is followed by the next",
    observed: aConvergedObserved({}, { issuedAt: later(-721 * HOUR_MS) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a blocked owner's token ends with its Secret",
    observed: aConvergedObserved({ block: { reason: "left", effectiveAt: NOW } }),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "OwnerBlocked",
  },
  {
    sentence: "so does one that the policy denies",
    policy: { kind: "denied", name: "strict", rule: "no" },
    observed: aConvergedObserved(),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "PolicyDenied",
  },
  {
    sentence: "so does the older of two if the owner may have one",
    observed: aConvergedObserved({ rivals: { older: 0, newer: 1 } }),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "Superseded",
  },
  {
    sentence: "if the older one wins, the newer one waits",
    policy: REJECTING,
    observed: anObserved({ rivals: { older: 1, newer: 0 } }),
    actions: [],
    reason: "OwnerLimitExceeded",
  },
  {
    sentence: "so does the older one that has no token yet when the newer one has",
    policy: REJECTING,
    observed: anObserved({ rivals: { older: 0, newer: 1 } }),
    actions: [],
    reason: "OwnerLimitExceeded",
  },
  {
    sentence: "a token that nobody uses ends with its Secret",
    desired: { inactivityTimeoutMs: HOUR_MS },
    observed: aConvergedObserved(),
    actions: ["revokeTokens", "deleteSecret"],
    reason: "Inactive",
  },
  {
    sentence: "without a policy nothing is issued",
    policy: missing,
    observed: anObserved(),
    actions: [],
    reason: "PolicyMissing",
  },
  {
    sentence: "nor rotated, whether requested or due",
    policy: missing,
    observed: aConvergedObserved(
      { resource: aResource({ rotateRequestedAt: "now" }) },
      { issuedAt: later(-700 * HOUR_MS) },
    ),
    actions: [],
    reason: "PolicyMissing",
  },
  {
    sentence: "nor changed; but its Secret is maintained",
    policy: missing,
    desired: { scopes: ["a:b"] },
    observed: aConvergedObserved({ secret: aSecret({ holds: "tokenOne0001", isIntact: false }) }),
    actions: ["rewriteSecret"],
    reason: "PolicyMissing",
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
    sentence: "but not a row that it holds, because somebody has taken our marks off it or copied the token",
    observed: aConvergedObserved({ secret: { state: "foreign", holds: "tokenOne0001" } }),
    actions: [],
    reason: "SecretConflict",
  },
  {
    sentence: "nor the row before that, which is in its overlap",
    observed: anObserved({
      tokens: [aTokenRow({ id: "before", revokedAt: later(1) }), aTokenRow({ id: "held", revision: 2 })],
      secret: { state: "foreign", holds: "held" },
    }),
    actions: [],
    reason: "SecretConflict",
  },
  {
    sentence: "nor a row that another Secret of ours holds",
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
    sentence: "revoked before anything was issued: nothing to do",
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
    sentence: "a lifetime that has ended without a next token stays ended",
    desired: { rotation: once },
    observed: aConvergedObserved({}, { issuedAt: later(-721 * HOUR_MS) }),
    actions: [],
    reason: "Expired",
  },
  {
    sentence: "even if the row has been cleaned up",
    desired: { rotation: once },
    observed: aConvergedObserved({
      tokens: [],
      resource: aResource({ status: { tokenId: "x", issuedAt: "2026-01-01T00:00:00Z" } }),
      secret: ours(undefined),
    }),
    actions: [],
    reason: "Expired",
  },
  {
    sentence: "a fixed end in the past issues nothing",
    desired: { lifetime: { kind: "fixed", expiresAt: later(-1) } },
    observed: anObserved(),
    actions: [],
    reason: "Expired",
  },
  {
    sentence: "a longer duration than the ended one yields a new token",
    desired: { rotation: once, lifetime: { kind: "duration", durationMs: 48 * HOUR_MS } },
    observed: aConvergedObserved({}, { issuedAt: later(-25 * HOUR_MS), expiresAt: later(-HOUR_MS) }),
    actions: ["issueToken", "writeSecret"],
  },
  {
    sentence: "a spec that cannot be read changes nothing",
    spec: { problem: "spec.owner: missing" },
    observed: aConvergedObserved(),
    actions: [],
    reason: "InvalidSpec",
  },
  {
    sentence: "but a stop in it ends the token",
    spec: { problem: "spec.next: unknown", remainder: { isRevoked: true, revocationReason: "", grantee: undefined } },
    observed: aConvergedObserved(),
    actions: ["revokeTokens", "deleteSecret"],
  },
  {
    sentence: "and so does a policy that denies",
    spec: { problem: "spec.next: unknown" },
    observed: aConvergedObserved(),
    policy: { kind: "denied", name: "strict", rule: "no" },
    actions: ["revokeTokens", "deleteSecret"],
  },
  {
    sentence: "nothing is issued into a namespace that is being deleted",
    observed: anObserved({ isNamespaceTerminating: true }),
    actions: [],
    reason: "NamespaceTerminating",
  },
  {
    sentence: "and a token that is there is kept until its ApiToken goes",
    observed: { ...aConvergedObserved(), isNamespaceTerminating: true },
    actions: [],
    reason: "Issued",
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
    sentence: "deletion works even if the spec cannot be read",
    spec: { problem: "spec.owner: missing" },
    observed: anObserved({ resource: aResource({ isDeleting: true }), tokens: [aTokenRow()] }),
    actions: ["revokeTokens", "removeFinalizer"],
  },
  {
    sentence: "deletion releases a Secret that is to be retained",
    desired: { secret: aDesiredSecret({ isRetained: true }) },
    observed: aConvergedObserved({ resource: aResource({ isDeleting: true }) }),
    actions: ["revokeTokens", "releaseSecret", "removeFinalizer"],
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

function reasonOf({ actions, status }: Plan): string | undefined {
  const revocation = actions.find((action) => action.kind === "revokeTokens");
  return status === undefined ? revocation?.reason : findCondition(status, "Ready")?.reason;
}

describe("plan", () => {
  test.each(CASES)("$sentence", ({ desired, spec, observed, policy, actions, reason }) => {
    const result = plan(spec ?? { desired: aDesiredToken(desired) }, observed, policy ?? ALLOWED);
    expect(result.actions.map((action) => action.kind)).toEqual(actions);
    if (reason !== undefined) expect(reasonOf(result)).toBe(reason);
  });

  test("replacing a lost token keeps its revision, replacing a published one takes the next", () => {
    const lost = plan({ desired: aDesiredToken() }, anObserved({ tokens: [newest] }), ALLOWED);
    expect(lost.actions).toContainEqual(expect.objectContaining({ kind: "replaceToken", tokenId: newest.id }));
    const published = aConvergedObserved({ tokens: [newest], secret: { state: "absent" } });
    const status = { tokenId: newest.id, revision: 2 };
    const next = plan({ desired: aDesiredToken() }, { ...published, resource: aResource({ status }) }, ALLOWED);
    expect(next.actions).toContainEqual(expect.objectContaining({ kind: "issueToken", revision: 3 }));
  });

  test("the next revision is higher than the status's, even if the rows have been cleaned up", () => {
    const resource = aResource({ status: { tokenId: "x", revision: 7, issuedAt: "2026-06-01T11:00:00Z" } });
    const { actions } = plan({ desired: aDesiredToken() }, anObserved({ resource }), ALLOWED);
    expect(actions).toContainEqual(expect.objectContaining({ kind: "issueToken", revision: 8 }));
  });

  test.each(["lastUsedAt", "activeSince"])("a row whose %s no status could report is ended all the same", (field) => {
    const observed = aConvergedObserved({}, { [field]: new Date(Number.NaN) });
    const { actions } = plan({ desired: aDesiredToken({ isRevoked: true }) }, observed, ALLOWED);
    expect(actions).toContainEqual(expect.objectContaining({ kind: "revokeTokens", reason: "RevokedBySpec" }));
  });

  test("the revocation reason from the spec is stored in the row", () => {
    const desired = aDesiredToken({ isRevoked: true, revocationReason: "laptop lost" });
    const { actions } = plan({ desired }, aConvergedObserved(), ALLOWED);
    expect(actions[0]).toMatchObject({ reason: "RevokedBySpec", note: "laptop lost" });
  });

  describe("the next pass is due", () => {
    const look = (observed: Observed, desired: Partial<DesiredToken> = {}, policy = ALLOWED) =>
      plan({ desired: aDesiredToken(desired) }, observed, policy).requeueAt;
    const renewAt = look(aConvergedObserved());
    const inOverlap = (ms: number) =>
      aConvergedObserved({ tokens: [aTokenRow({ revokedAt: later(ms) }), newest], secret: ours(newest.id) });

    test("when the token is to be renewed", () => {
      expect(renewAt?.getTime()).toBeGreaterThanOrEqual(later(647 * HOUR_MS).getTime());
      expect(renewAt?.getTime()).toBeLessThanOrEqual(later(655 * HOUR_MS).getTime());
    });

    test("when ExpiringSoon begins and when the token ends, even by a revocation, if no next one follows", () => {
      const expiresAt = later(HOUR_MS);
      const twoHours = { rotation: once, lifetime: { kind: "duration", durationMs: 2 * HOUR_MS } } as const;
      expect(look(aConvergedObserved(), { rotation: once })).toEqual(later((719 - 168) * HOUR_MS));
      expect(look(aConvergedObserved({}, { expiresAt }), twoHours)).toEqual(expiresAt);
      expect(look(aConvergedObserved({}, { revokedAt: later(60_000) }), { rotation: once })).toEqual(later(60_000));
      expect(look(aConvergedObserved({}, { expiresAt }), { isSuspended: true })).toEqual(expiresAt);
    });

    test("when a block takes effect, also for an ApiToken that is suspended", () => {
      const block = { effectiveAt: later(60_000), reason: "" };
      expect(look(aConvergedObserved({ block }))).toEqual(later(60_000));
      expect(look(aConvergedObserved({ block }), { isSuspended: true })).toEqual(later(60_000));
      expect(look(anObserved({ block }), { isSuspended: true })).toEqual(later(60_000));
      expect(look(anObserved(), { isSuspended: true })).toBeUndefined();
    });

    test("every five minutes in an overlap, to see whether the previous token is still used, and at its end", () => {
      expect(look(inOverlap(HOUR_MS))).toEqual(later(300_000));
      expect(look(inOverlap(60_000))).toEqual(later(60_000));
    });

    test("when the owner's block takes effect", () => {
      expect(look(aConvergedObserved({ block: { reason: "", effectiveAt: later(5) } }))).toEqual(later(5));
    });

    test("when it will have been unused for too long since its last use", () => {
      expect(look(aConvergedObserved(), { inactivityTimeoutMs: 2 * HOUR_MS })).toEqual(later(HOUR_MS));
      expect(look(aConvergedObserved({}, { lastUsedAt: NOW }), { inactivityTimeoutMs: 2 * HOUR_MS })).toEqual(
        later(2 * HOUR_MS),
      );
    });

    test("now and then if no event announces what it waits for, and only then", () => {
      const isRechecked = (observed: Observed, policy = ALLOWED) =>
        plan({ desired: aDesiredToken() }, observed, policy).mustRecheck === true;
      expect(isRechecked(anObserved({ secret: { state: "foreign" } }))).toBe(true);
      expect(isRechecked(anObserved({ rivals: { older: 1, newer: 0 } }), REJECTING)).toBe(true);
      expect(isRechecked(aConvergedObserved())).toBe(false);
      expect(isRechecked(anObserved(), { kind: "missing" })).toBe(false);
    });
  });

  test("Ready keeps its lastTransitionTime", () => {
    const first = plan({ desired: aDesiredToken() }, aConvergedObserved(), ALLOWED).status ?? {};
    const again = aConvergedObserved({ now: later(HOUR_MS), resource: aResource({ status: first }) });
    expect(plan({ desired: aDesiredToken() }, again, ALLOWED).status).toEqual(first);
  });

  test("only actions that replace or end something require a live read", () => {
    const kinds = (observed: Observed) =>
      plan({ desired: aDesiredToken() }, observed, ALLOWED).actions.some(isDestructive);
    expect(kinds(anObserved())).toBe(false);
    expect(kinds(aConvergedObserved({ secret: ours("tokenOne0001", false) }))).toBe(false);
    expect(kinds(aConvergedObserved({ secret: { state: "absent" } }))).toBe(true);
    expect(kinds(anObserved({ resource: undefined, tokens: [aTokenRow()] }))).toBe(true);
  });
});
