import { describe, expect, test } from "vitest";
import type { DesiredToken, Observed } from "../../../../src/token/model.ts";
import {
  type Action,
  type IssueCause,
  isDestructive,
  type RevocationReason,
} from "../../../../src/token/plan/action.ts";
import {
  aConvergedObserved,
  aDesiredSecret,
  aDesiredToken,
  allow,
  anObserved,
  aResource,
  aSecret,
  aTokenRow,
  HOUR_MS,
  later,
  NOW,
  ours,
} from "../../../support/builders.ts";
import { actionsOf, find, published, requested, row, second } from "../actions-of.ts";

/** Every cause; a new one does not compile without a case. */
const CAUSES: Readonly<Record<IssueCause, readonly (readonly [string, Observed])[]>> = {
  FirstToken: [
    ["nothing was ever issued", anObserved()],
    ["only an ApiToken of the same name had one", anObserved({ tokens: [aTokenRow({ resourceUid: "former" })] })],
  ],
  Due: [
    [
      "nine tenths of its life are over, and a little more",
      aConvergedObserved({}, { issuedAt: later(-656 * HOUR_MS) }),
    ],
    ["somebody has given it an end in the future", aConvergedObserved({}, { revokedAt: later(HOUR_MS) })],
  ],
  Requested: [
    ["somebody asks for it", aConvergedObserved({ resource: requested("a") })],
    ["somebody asks again", aConvergedObserved({ resource: requested("b", "a") })],
    [
      "somebody asks, and the Secret is gone",
      aConvergedObserved({ resource: requested("a"), secret: ours(undefined) }),
    ],
    [
      "somebody asks for one that nobody has used",
      anObserved({ resource: requested("a"), tokens: [{ ...row, revokedAt: NOW, revocationReason: "Inactive" }] }),
    ],
  ],
  SecretMissing: [
    ["the Secret was deleted", anObserved({ resource: published, tokens: [row] })],
    [
      "the Secret was deleted, and the status names another one as well",
      anObserved({ resource: published, tokens: [row], straySecrets: [{ name: "old", holds: undefined }] }),
    ],
  ],
  SecretEdited: [["its value is another", aConvergedObserved({ secret: ours(undefined) })]],
  TokenEnded: [
    ["the row was revoked", aConvergedObserved({}, { revokedAt: later(-1) })],
    [
      "the row was revoked before the status recorded it",
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

describe("a token is issued for a known cause:", () => {
  test.each(
    Object.entries(CAUSES).flatMap(([cause, cases]) =>
      cases.map(([when, observed]) => [cause, when, observed] as const),
    ),
  )("%s when %s", (cause, _, observed) => {
    expect(find(actionsOf(observed), "issueToken").cause).toBe(cause);
  });
});

/** For every kind of action, whether the cache is not enough for it. */
const NEEDS_LIVE_READ: Readonly<Record<Exclude<Action["kind"], "issueToken" | "revokeTokens">, boolean>> = {
  addFinalizer: false,
  writeSecret: false,
  decorateSecret: false,
  rewriteSecret: true,
  replaceToken: true,
  takeOver: true,
  updateToken: true,
  deleteSecret: true,
  releaseSecret: true,
  removeFinalizer: true,
};

const CAUSE_NEEDS_LIVE_READ: Readonly<Record<IssueCause, boolean>> = {
  FirstToken: false,
  Due: false,
  Requested: true,
  SecretMissing: true,
  SecretEdited: true,
  TokenEnded: true,
};

describe("a live read", () => {
  const life = { tokenId: row.id, issuedAt: NOW, expiresAt: NOW };

  test.each(Object.entries(NEEDS_LIVE_READ))("before %s: %s", (kind, expected) => {
    const action = { kind, ...life, name: "demo" } as unknown as Action;
    expect(isDestructive(action)).toBe(expected);
  });

  test.each(Object.entries(CAUSE_NEEDS_LIVE_READ))("before a token is issued because of %s: %s", (cause, expected) => {
    const action = { kind: "issueToken", revision: 1, ...life, activeSince: NOW, cause: cause as IssueCause } as const;
    expect(isDestructive(action)).toBe(expected);
  });

  test.each<RevocationReason>(["Rotated", "Inactive", "Orphaned", "RevokedBySpec"])(
    "before a token is revoked for %s, unless it is Rotated",
    (reason) => {
      expect(isDestructive({ kind: "revokeTokens", tokenIds: [row.id], reason })).toBe(reason !== "Rotated");
    },
  );
});

describe("a new token's life", () => {
  const inSecond = later(700);

  test("begins at the database's whole second, so that row, status and annotation agree", () => {
    const actions = actionsOf(anObserved({ now: inSecond }));
    const life = { issuedAt: NOW, expiresAt: later(720 * HOUR_MS) };
    expect(find(actions, "issueToken")).toMatchObject({ ...life, revision: 1 });
    expect(find(actions, "writeSecret")).toEqual({
      kind: "writeSecret",
      expiresAt: life.expiresAt,
      handledRotateAt: undefined,
    });
  });

  test("starts again if a lost token is replaced", () => {
    const lost = aTokenRow({ issuedAt: later(-HOUR_MS) });
    expect(find(actionsOf(anObserved({ tokens: [lost] })), "replaceToken")).toEqual({
      kind: "replaceToken",
      tokenId: lost.id,
      issuedAt: NOW,
      expiresAt: later(720 * HOUR_MS),
    });
  });

  test("counts from its issue even if the spec changes it", () => {
    const observed = aConvergedObserved({}, { issuedAt: later(-HOUR_MS) });
    const lifetime = { kind: "duration", durationMs: 3 * HOUR_MS } as const;
    expect(find(actionsOf(observed, { lifetime }), "updateToken")).toEqual({
      kind: "updateToken",
      tokenId: row.id,
      expiresAt: later(2 * HOUR_MS),
    });
  });

  test("that is shortened to before now ends in its row before the status reports it, if no next one follows", () => {
    const observed = aConvergedObserved({}, { issuedAt: later(-2 * HOUR_MS) });
    const lifetime = { kind: "duration", durationMs: HOUR_MS } as const;
    expect(actionsOf(observed, { lifetime, rotation: { ...aDesiredToken().rotation, isAutomatic: false } })).toEqual([
      { kind: "updateToken", tokenId: row.id, expiresAt: later(-HOUR_MS) },
    ]);
    expect(find(actionsOf(observed, { lifetime }), "issueToken").cause).toBe("Due");
  });

  test("that has already ended is not written to a Secret again", () => {
    const secret = aSecret({ holds: row.id, isIntact: false });
    const observed = aConvergedObserved({ secret }, { issuedAt: later(-2 * HOUR_MS) });
    const kinds = actionsOf(observed, { lifetime: { kind: "fixed", expiresAt: later(-1) } }).map(({ kind }) => kind);
    expect(kinds).toEqual(["updateToken"]);
  });

  test("answers the rotation request", () => {
    const actions = actionsOf(aConvergedObserved({ resource: requested("monday") }));
    expect(find(actions, "writeSecret").handledRotateAt).toBe("monday");
  });

  test.each<[string, Observed, Date]>([
    [
      "from the last use, where it follows in time",
      aConvergedObserved({}, { issuedAt: later(-656 * HOUR_MS), lastUsedAt: later(-9) }),
      later(-9),
    ],
    [
      "from when the last one did, where that was not used",
      aConvergedObserved({}, { issuedAt: later(-656 * HOUR_MS), activeSince: later(-700 * HOUR_MS) }),
      later(-700 * HOUR_MS),
    ],
    [
      "from now, where somebody asked for it",
      aConvergedObserved({ resource: requested("a") }, { lastUsedAt: later(-9) }),
      NOW,
    ],
    ["from now, where the last one is lost", aConvergedObserved({ secret: ours(undefined) }), NOW],
  ])("counts as unused %s", (_, observed, activeSince) => {
    expect(find(actionsOf(observed), "issueToken").activeSince).toEqual(activeSince);
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
    ["networks", { allowedCidrs: ["10.0.0.0/8"] }],
  ])("is updated for %s", (what, desired) => {
    const scopes = what.includes("none") ? [] : ["a:b", "c:d"];
    const kinds = actionsOf(aConvergedObserved({}, { scopes }), { scopes, ...desired }).map((action) => action.kind);
    expect(kinds).toEqual(["updateToken"]);
  });
});

test.each([
  ["a grace", undefined, { periodMs: HOUR_MS, scopes: ["a:b"] }],
  ["no grace any more", { periodMs: HOUR_MS, scopes: ["a:b"] }, undefined],
  ["a longer grace", { periodMs: HOUR_MS, scopes: ["a:b"] }, { periodMs: 2 * HOUR_MS, scopes: ["a:b"] }],
  ["a grace for others", { periodMs: HOUR_MS, scopes: ["a:b"] }, { periodMs: HOUR_MS, scopes: ["a:c"] }],
])("a row is updated in place when the policy says %s", (_, before, grace) => {
  const kinds = actionsOf(aConvergedObserved({}, { grace: before }), {}, allow({ grace })).map(({ kind }) => kind);
  expect(kinds).toEqual(["updateToken"]);
});

test.each([
  ["a rate limit", undefined, { requests: 600, seconds: 60 }],
  ["no rate limit any more", { requests: 600, seconds: 60 }, undefined],
  ["fewer requests", { requests: 600, seconds: 60 }, { requests: 60, seconds: 60 }],
  ["a longer time", { requests: 600, seconds: 60 }, { requests: 600, seconds: 61 }],
])("a row is updated in place when the policy, or the spec, says %s", (_, before, rateLimit) => {
  const observed = aConvergedObserved({}, { rateLimit: before });
  const kindsOf = (actions: ReturnType<typeof actionsOf>) => actions.map(({ kind }) => kind);
  expect(kindsOf(actionsOf(observed, {}, allow({ rateLimit })))).toEqual(["updateToken"]);
  expect(kindsOf(actionsOf(observed, { rateLimit }))).toEqual(["updateToken"]);
});

test("a row with the combined rate limit of policy and spec is left as it is", () => {
  const observed = aConvergedObserved({}, { rateLimit: { requests: 10, seconds: 72 } });
  const spec = { rateLimit: { requests: 500, seconds: 3_600 } };
  expect(actionsOf(observed, spec, allow({ rateLimit: { requests: 10, seconds: 1 } }))).toEqual([]);
});

describe("the Secret", () => {
  test("is rewritten from its own values if another key or template is wanted", () => {
    const observed = aConvergedObserved({ secret: aSecret({ holds: row.id, isIntact: false, isDecorated: false }) });
    expect(actionsOf(observed)).toEqual([
      { kind: "rewriteSecret", from: "demo", tokenId: row.id, expiresAt: row.expiresAt },
    ]);
  });

  test("is written from the newest token's Secret if another name is wanted, even if it holds an older token", () => {
    const straySecrets = [
      { name: "oldest", holds: undefined },
      { name: "older", holds: row.id },
      { name: "old", holds: second.id },
    ];
    const move = { kind: "rewriteSecret", from: "old", tokenId: second.id, expiresAt: second.expiresAt };
    const moved = anObserved({ resource: published, tokens: [row, second], straySecrets });
    expect(actionsOf(moved)).toEqual([move]);
    expect(actionsOf({ ...moved, secret: ours(row.id) })).toEqual([move]);
    expect(actionsOf({ ...moved, secret: ours(second.id) })).not.toContainEqual(move);
  });

  test("is released at its ApiToken's deletion if it is to be retained; its token ends all the same", () => {
    const deleted = aConvergedObserved({
      resource: aResource({ isDeleting: true }),
      straySecrets: [{ name: "old", holds: undefined }],
    });
    expect(actionsOf(deleted, { secret: aDesiredSecret({ isRetained: true }) })).toEqual([
      { kind: "revokeTokens", tokenIds: [row.id], reason: "ResourceDeleted" },
      { kind: "releaseSecret", name: "demo" },
      { kind: "deleteSecret", name: "old" },
      { kind: "removeFinalizer" },
    ]);
  });
});

describe("a row that only the backup has", () => {
  test("is not replaced: the status names a later one, and the next is later still", () => {
    const resource = aResource({ status: { tokenId: "later0000001", revision: 5 } });
    const actions = actionsOf(anObserved({ resource, tokens: [row] }));
    expect(find(actions, "issueToken")).toMatchObject({ revision: 6, cause: "TokenEnded" });
  });

  test("does not mean that the last token's lifetime is over", () => {
    const status = { tokenId: "later0000001", revision: 5, issuedAt: "2026-06-01T11:00:00Z" };
    const observed = anObserved({
      resource: aResource({ status }),
      tokens: [aTokenRow({ issuedAt: later(-800 * HOUR_MS) })],
    });
    expect(
      find(actionsOf(observed, { rotation: { ...aDesiredToken().rotation, isAutomatic: false } }), "issueToken")
        .revision,
    ).toBe(6);
  });
});
