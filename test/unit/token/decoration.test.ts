import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Decoration, diffDecoration, wantDecoration } from "../../../src/token/decoration.ts";
import { aDesiredSecret, aDesiredToken, NOW } from "../../support/builders.ts";

type Keys = Record<string, string>;

const MANAGED = "apitoken.dev/managed";
const APPLIED = "apitoken.dev/applied-keys";

function want(labels: Keys, annotations: Keys = {}, expiresAt = NOW): Decoration {
  const desired = aDesiredToken({ secret: aDesiredSecret({ labels, annotations }) });
  return wantDecoration(desired, MANAGED, { id: "tokenOne0001", expiresAt });
}

/** Applies a merge patch as the API server does (RFC 7386). */
function applyDiff(current: Decoration, wanted: Decoration): Decoration {
  const patch = diffDecoration(current, wanted);
  const merge = (keys: Readonly<Keys>, changes: Readonly<Record<string, string | null>> = {}) =>
    Object.fromEntries(Object.entries({ ...keys, ...changes }).filter(([, value]) => value !== null)) as Keys;
  return {
    labels: merge(current.labels, patch?.labels),
    annotations: merge(current.annotations, patch?.annotations),
  };
}

describe("a Secret's decoration", () => {
  test("has the spec's keys, our label, and what the token is and when it ends", () => {
    expect(want({ team: "a" }, { note: "n" })).toEqual({
      labels: { team: "a", [MANAGED]: "true" },
      annotations: {
        note: "n",
        "apitoken.dev/token-id": "tokenOne0001",
        "apitoken.dev/expires-at": "2026-06-01T12:00:00Z",
        [APPLIED]: '{"labels":["team"],"annotations":["note"]}',
      },
    });
  });

  test("keeps our keys, even if the spec sets them", () => {
    const wanted = want({ [MANAGED]: "false" }, { "apitoken.dev/token-id": "mine", [APPLIED]: "{}" });
    expect(wanted.labels[MANAGED]).toBe("true");
    expect(wanted.annotations["apitoken.dev/token-id"]).toBe("tokenOne0001");
    expect(wanted.annotations[APPLIED]).not.toBe("{}");
  });

  test("that is as wanted needs nothing, even if others have added keys", () => {
    const wanted = want({ team: "a" });
    expect(diffDecoration(wanted, wanted)).toBeUndefined();
    const others = { labels: { ...wanted.labels, theirs: "x" }, annotations: { ...wanted.annotations, theirs: "x" } };
    expect(diffDecoration(others, wanted)).toBeUndefined();
  });

  test("does not depend on the order in which the spec names its keys", () => {
    const current = want({ a: "1", b: "2" }, { c: "3", d: "4" });
    expect(diffDecoration(current, want({ b: "2", a: "1" }, { d: "4", c: "3" }))).toBeUndefined();
  });

  test.each([
    ["a label alone", { labels: { team: "b", [MANAGED]: "true" } }, { labels: { team: "a" }, annotations: {} }],
    ["our label alone", { labels: { team: "a" } }, { labels: { [MANAGED]: "true" }, annotations: {} }],
    [
      "an annotation alone",
      { annotations: { ...want({ team: "a" }).annotations, "apitoken.dev/token-id": "other" } },
      { labels: {}, annotations: { "apitoken.dev/token-id": "tokenOne0001" } },
    ],
  ])("is corrected where %s differs, and nowhere else", (_, drift, patch) => {
    const wanted = want({ team: "a" });
    expect(diffDecoration({ ...wanted, ...drift }, wanted)).toEqual(patch);
  });

  test("follows the token's end", () => {
    const later = new Date(NOW.getTime() + 1_000);
    expect(diffDecoration(want({}), want({}, {}, later))).toEqual({
      labels: {},
      annotations: { "apitoken.dev/expires-at": "2026-06-01T12:00:01Z" },
    });
  });

  test("loses the keys that the spec has dropped, and no others", () => {
    const before = want({ team: "a", tier: "x" }, { note: "n" });
    const current = { ...before, labels: { ...before.labels, theirs: "x" } };
    const patch = diffDecoration(current, want({ team: "b" }));
    expect(patch?.labels).toEqual({ team: "b", tier: null });
    expect(patch?.annotations).toEqual({ note: null, [APPLIED]: '{"labels":["team"],"annotations":[]}' });
  });

  test("is not confused by keys that every object inherits", () => {
    const named = want({ constructor: "x", toString: "y" });
    expect(diffDecoration(want({}), named)?.labels).toEqual({ constructor: "x", toString: "y" });
    expect(diffDecoration(named, want({}))?.labels).toEqual({ constructor: null, toString: null });
    const bare = { ...named, labels: { [MANAGED]: "true" } };
    expect(diffDecoration(bare, want({}))?.labels).toEqual({});
  });

  test.each(["not json", "[]", '{"labels":"x"}', '{"labels":[1,null]}', "null", "7", ""])(
    "loses nothing, and is corrected, if our own annotation is overwritten with %j",
    (text) => {
      const wanted = want({ team: "a" });
      const labels = { ...wanted.labels, theirs: "x", "1": "x", null: "x" };
      const current = { labels, annotations: { ...wanted.annotations, [APPLIED]: text } };
      expect(applyDiff(current, wanted)).toEqual({ ...wanted, labels });
    },
  );

  test("is as wanted once corrected, from any state, and keeps what others added", () => {
    const keys = fc.dictionary(fc.constantFrom("a", "b", "c", "constructor"), fc.constantFrom("1", "2"));
    const theirs = fc.dictionary(fc.constantFrom("x", "y"), fc.string());
    fc.assert(
      fc.property(keys, keys, keys, keys, theirs, (oldLabels, oldNotes, newLabels, newNotes, others) => {
        const before = want(oldLabels, oldNotes);
        const current = { labels: { ...before.labels, ...others }, annotations: { ...before.annotations, ...others } };
        const wanted = want(newLabels, newNotes);
        const patched = applyDiff(current, wanted);
        expect(patched).toEqual({
          labels: { ...wanted.labels, ...others },
          annotations: { ...wanted.annotations, ...others },
        });
        expect(diffDecoration(patched, wanted)).toBeUndefined();
      }),
    );
  });
});
