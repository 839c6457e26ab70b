import { describe, expect, test } from "vitest";
import type { Action, DesiredToken, IssueCause, Observed, RevocationReason } from "../../../src/token/model.ts";
import { isDestructive, plan } from "../../../src/token/plan.ts";
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
const ours = (holds: string | undefined) => ({ state: "ours", name: "demo", holds, isDecorated: true }) as const;

const row = aTokenRow();
const second = aTokenRow({ id: "tokenTwo0002", revision: 2 });
const published = aResource({ status: { tokenId: row.id, revision: 1 } });

function actionsOf(observed: Observed, desired: Partial<DesiredToken> = {}): readonly Action[] {
  return plan({ desired: aDesiredToken(desired) }, observed, LIMITS).actions;
}

function find<K extends Action["kind"]>(actions: readonly Action[], kind: K): Action & { kind: K } {
  const action = actions.find((each): each is Action & { kind: K } => each.kind === kind);
  if (action === undefined) throw new Error(`there is no ${kind} among ${actions.map((each) => each.kind)}`);
  return action;
}

/** Every cause that there is: a new one does not compile without a case. */
const CAUSES: Readonly<Record<IssueCause, readonly (readonly [string, Observed])[]>> = {
  FirstToken: [
    ["nothing was ever issued", anObserved()],
    ["only an ApiToken of the same name had one", anObserved({ tokens: [aTokenRow({ resourceUid: "former" })] })],
  ],
  SecretMissing: [
    ["the Secret was deleted", anObserved({ resource: published, tokens: [row] })],
    [
      "another name is wanted",
      anObserved({ resource: published, tokens: [row], straySecrets: [{ name: "old", holds: row.id }] }),
    ],
    [
      "another name is wanted before the status told of the token",
      anObserved({ tokens: [row], straySecrets: [{ name: "old", holds: row.id }] }),
    ],
  ],
  SecretEdited: [["its value is another", aConvergedObserved({ secret: ours(undefined) })]],
  TokenEnded: [
    ["the row was revoked", aConvergedObserved({}, { revokedAt: later(-1) })],
    [
      "the row was revoked before the status told of it",
      aConvergedObserved({ resource: aResource() }, { revokedAt: NOW }),
    ],
    ["the row was deleted", aConvergedObserved({ tokens: [] })],
    [
      "an older token lives, but not the last one",
      anObserved({
        resource: aResource({ status: { tokenId: second.id, revision: 2 } }),
        tokens: [row, { ...second, revokedAt: NOW }],
        secret: ours(undefined),
      }),
    ],
  ],
};

describe("a token is issued, and it is known why:", () => {
  test.each(
    Object.entries(CAUSES).flatMap(([cause, cases]) =>
      cases.map(([when, observed]) => [cause, when, observed] as const),
    ),
  )("%s when %s", (cause, _, observed) => {
    expect(find(actionsOf(observed), "issueToken").cause).toBe(cause);
  });
});

/** Every reason that there is: a new one does not compile without a case. */
const ENDS: Readonly<Record<RevocationReason, readonly (readonly [string, Observed, Partial<DesiredToken>?])[]>> = {
  RevokedBySpec: [["spec.revoked says so", aConvergedObserved(), { isRevoked: true }]],
  ResourceDeleted: [
    ["its ApiToken is being deleted", aConvergedObserved({ resource: aResource({ isDeleting: true }) })],
    ["its ApiToken is gone", anObserved({ resource: undefined, tokens: [row] })],
    [
      "another ApiToken has its name now",
      aConvergedObserved({ tokens: [aTokenRow({ id: "former000001", resourceUid: "former" }), row] }),
    ],
  ],
  Superseded: [
    ["the Secret holds a newer one", aConvergedObserved({ tokens: [row, second], secret: ours(second.id) })],
  ],
  Orphaned: [
    ["the Secret holds an older one", aConvergedObserved({ tokens: [row, second] })],
    ["only a Secret that is not ours could hold it", anObserved({ tokens: [row], secret: { state: "foreign" } })],
    [
      "no Secret holds it, and the lifetime asked for is over",
      anObserved({ resource: published, tokens: [row] }),
      { lifetime: { kind: "fixed", expiresAt: NOW } },
    ],
  ],
};

describe("a token is revoked, and it is known why:", () => {
  test.each(
    Object.entries(ENDS).flatMap(([reason, cases]) => cases.map(([when, ...input]) => [reason, when, input] as const)),
  )("%s when %s", (reason, _, [observed, desired]) => {
    const { tokenIds, ...rest } = find(actionsOf(observed, desired), "revokeTokens");
    expect(rest).toEqual({ kind: "revokeTokens", reason });
    expect(tokenIds).toHaveLength(1);
  });

  test("those that have ended already keep their reason", () => {
    const observed = anObserved({ resource: undefined, tokens: [aTokenRow({ revokedAt: NOW }), second] });
    expect(find(actionsOf(observed), "revokeTokens").tokenIds).toEqual([second.id]);
  });
});

/** Whether the cache alone is no ground for it; every kind that there is. */
const NEEDS_LIVE_READ: Readonly<Record<Exclude<Action["kind"], "issueToken">, boolean>> = {
  addFinalizer: false,
  writeSecret: false,
  decorateSecret: false,
  replaceToken: true,
  updateToken: true,
  revokeTokens: true,
  deleteSecret: true,
  removeFinalizer: true,
};

describe("a live read", () => {
  const life = { tokenId: row.id, issuedAt: NOW, expiresAt: NOW };

  test.each(Object.entries(NEEDS_LIVE_READ))("before %s: %s", (kind, expected) => {
    const action = { kind, ...life, tokenIds: [row.id], reason: "Orphaned", name: "demo" } as unknown as Action;
    expect(isDestructive(action)).toBe(expected);
  });

  test.each(Object.keys(CAUSES) as IssueCause[])(
    "before a token is issued because of %s, but for the first",
    (cause) => {
      expect(isDestructive({ kind: "issueToken", revision: 1, ...life, cause })).toBe(cause !== "FirstToken");
    },
  );
});

describe("a new token's life", () => {
  const inSecond = later(700);

  test("begins at the database's whole second, so that row, status and annotation say the same", () => {
    const actions = actionsOf(anObserved({ now: inSecond }));
    const life = { issuedAt: NOW, expiresAt: later(720 * HOUR_MS) };
    expect(find(actions, "issueToken")).toMatchObject({ ...life, revision: 1 });
    expect(find(actions, "writeSecret")).toEqual({ kind: "writeSecret", expiresAt: life.expiresAt });
  });

  test("begins anew where a lost one is replaced", () => {
    const lost = aTokenRow({ issuedAt: later(-HOUR_MS) });
    expect(find(actionsOf(anObserved({ tokens: [lost] })), "replaceToken")).toEqual({
      kind: "replaceToken",
      tokenId: lost.id,
      issuedAt: NOW,
      expiresAt: later(720 * HOUR_MS),
    });
  });

  test("counts from its issue also when the spec changes it", () => {
    const observed = aConvergedObserved({}, { issuedAt: later(-HOUR_MS) });
    const lifetime = { kind: "duration", durationMs: 3 * HOUR_MS } as const;
    expect(find(actionsOf(observed, { lifetime }), "updateToken")).toEqual({
      kind: "updateToken",
      tokenId: row.id,
      expiresAt: later(2 * HOUR_MS),
    });
  });

  test("that is shortened to before now ends by its row, before anything is said", () => {
    const observed = aConvergedObserved({}, { issuedAt: later(-2 * HOUR_MS) });
    const lifetime = { kind: "duration", durationMs: HOUR_MS } as const;
    expect(actionsOf(observed, { lifetime })).toEqual([
      { kind: "updateToken", tokenId: row.id, expiresAt: later(-HOUR_MS) },
    ]);
  });
});

describe("a row in place", () => {
  test.each<[string, Partial<DesiredToken>]>([
    ["owner", { owner: "bob" }],
    ["description", { description: "for the build" }],
    ["one scope more", { scopes: ["a:b", "c:d", "e:f"] }],
    ["one scope less", { scopes: ["a:b"] }],
    ["another scope", { scopes: ["a:b", "x:y"] }],
    ["a scope where there was none", { scopes: ["a:b", "c:d"] }],
    ["a shorter life", { lifetime: { kind: "duration", durationMs: 2 * HOUR_MS } }],
  ])("is updated for %s", (what, desired) => {
    const scopes = what.includes("none") ? [] : ["a:b", "c:d"];
    const kinds = actionsOf(aConvergedObserved({}, { scopes }), { scopes, ...desired }).map((action) => action.kind);
    expect(kinds).toEqual(["updateToken"]);
  });
});

describe("when several rules would have an answer", () => {
  const foreign = { state: "foreign" } as const;
  const past = { kind: "fixed", expiresAt: later(-HOUR_MS) } as const;

  test.each<[string, Observed, Partial<DesiredToken>, string]>([
    ["revoked beats suspended", anObserved(), { isRevoked: true, isSuspended: true }, "RevokedBySpec"],
    ["revoked beats a conflict", anObserved({ secret: foreign }), { isRevoked: true }, "RevokedBySpec"],
    ["suspended beats a conflict", anObserved({ secret: foreign }), { isSuspended: true }, "Suspended"],
    ["suspended beats expired", anObserved(), { isSuspended: true, lifetime: past }, "Suspended"],
    ["a conflict beats expired", anObserved({ secret: foreign }), { lifetime: past }, "SecretConflict"],
  ])("%s", (_, observed, desired, reason) => {
    const { actions, status } = plan({ desired: aDesiredToken(desired) }, observed, LIMITS);
    expect(actions).toEqual([]);
    expect(status?.conditions?.[0]?.reason).toBe(reason);
  });

  test.each<[string, Observed, Partial<DesiredToken>, string]>([
    ["expired, at its very end", aConvergedObserved({}, { issuedAt: later(-720 * HOUR_MS) }), {}, "Expired"],
    ["a fixed end that is now", anObserved(), { lifetime: { kind: "fixed", expiresAt: NOW } }, "Expired"],
  ])("%s", (_, observed, desired, reason) => {
    const { status } = plan({ desired: aDesiredToken(desired) }, observed, LIMITS);
    expect(status?.conditions?.[0]?.reason).toBe(reason);
  });
});

test("a token of another ApiToken is not kept, though our Secret holds it", () => {
  const former = aTokenRow({ resourceUid: "former" });
  const actions = actionsOf(anObserved({ tokens: [former], resource: aResource(), secret: ours(former.id) }));
  expect(actions.map((action) => action.kind)).toEqual(["revokeTokens", "issueToken", "writeSecret"]);
});

test("what is being deleted and waits for somebody else's finalizer is done with", () => {
  expect(actionsOf(anObserved({ resource: aResource({ isDeleting: true, hasFinalizer: false }) }))).toEqual([]);
});
