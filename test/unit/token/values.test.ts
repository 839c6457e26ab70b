import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { diffDecoration, wantDecoration } from "../../../src/token/decoration.ts";
import { formatDuration, parseDuration } from "../../../src/token/duration.ts";
import { createKeyring, findPepper, hashToken, isSameHash } from "../../../src/token/keyring.ts";
import { isLive, resolveLifetime } from "../../../src/token/lifetime.ts";
import { createToken, parseTokenId } from "../../../src/token/token-string.ts";
import { aDesiredToken, aTokenRow, HOUR_MS, LIMITS, NOW } from "../../support/builders.ts";

describe("a token string", () => {
  test("is a prefix, an id, a secret and a checksum, and names its id", () => {
    const { id, plaintext } = createToken();
    expect(plaintext).toMatch(/^apt_[0-9A-Za-z]{61}$/);
    expect(parseTokenId(plaintext)).toBe(id);
  });

  test("is another one every time", () => {
    const tokens = Array.from({ length: 1_000 }, createToken);
    expect(new Set(tokens.map((token) => token.id)).size).toBe(1_000);
    expect(new Set(tokens.map((token) => token.plaintext.slice(16))).size).toBe(1_000);
  });

  test("with any one character changed is refused", () => {
    const { plaintext } = createToken();
    const character = fc.constantFrom(..."0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_ \n");
    fc.assert(
      fc.property(fc.nat(plaintext.length - 1), character, (index, other) => {
        fc.pre(plaintext[index] !== other);
        expect(parseTokenId(plaintext.slice(0, index) + other + plaintext.slice(index + 1))).toBeUndefined();
      }),
      { numRuns: 1_000 },
    );
  });

  test.each(["", "apt_", "apt_short", `apt_${"0".repeat(61)}x`, `apt_${"0".repeat(61)}`, `\napt_${"0".repeat(61)}`])(
    "%j is none",
    (text) => expect(parseTokenId(text)).toBeUndefined(),
  );
});

describe("a hash", () => {
  const keyring = createKeyring();
  const [pepper] = keyring.peppers;

  test("fits its own token under its own pepper only", () => {
    const hash = hashToken("token", pepper);
    expect(hash).toHaveLength(32);
    expect(isSameHash(hash, hashToken("token", pepper))).toBe(true);
    expect(isSameHash(hash, hashToken("other", pepper))).toBe(false);
    expect(isSameHash(hash, hashToken("token", createKeyring().peppers[0]))).toBe(false);
    expect(isSameHash(hash, hash.subarray(1))).toBe(false);
  });

  test("names its pepper", () => {
    expect(findPepper(keyring, pepper.id)).toBe(pepper);
    expect(findPepper(keyring, "unknown")).toBeUndefined();
  });
});

describe("a duration", () => {
  test.each([
    ["720h", 720 * HOUR_MS],
    ["1h30m", 1.5 * HOUR_MS],
    ["1.5h", 1.5 * HOUR_MS],
    ["10s", 10_000],
    ["250ms", 250],
    ["0s", 0],
  ])("%s is %d ms", (text, durationMs) => expect(parseDuration(text)).toBe(durationMs));

  test.each(["", "10", "h", "1d", "-1h", "1h 30m", "1H"])(
    "%j is none, and the message shows how to write one",
    (text) => {
      expect(() => parseDuration(text)).toThrow(/write it like "720h"/);
    },
  );

  test("that is written can be read", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * 365 * 24 * HOUR_MS }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });
});

describe("a lifetime", () => {
  const arbitraryRequest = fc.oneof(
    fc.constant({ kind: "default" } as const),
    fc.integer({ min: 0, max: 10_000 * HOUR_MS }).map((durationMs) => ({ kind: "duration", durationMs }) as const),
    fc.date({ noInvalidDate: true }).map((expiresAt) => ({ kind: "fixed", expiresAt }) as const),
  );

  test("ends after its beginning, in a whole second, and never later than the maximum", () => {
    fc.assert(
      fc.property(arbitraryRequest, fc.integer({ min: 1, max: 720 }), (requested, maxHours) => {
        const limits = { defaultMs: HOUR_MS, maxMs: maxHours * HOUR_MS };
        const { expiresAt } = resolveLifetime(requested, limits, NOW);
        expect(expiresAt.getTime()).toBeGreaterThan(NOW.getTime());
        expect(expiresAt.getTime()).toBeLessThanOrEqual(NOW.getTime() + limits.maxMs);
        expect(expiresAt.getMilliseconds()).toBe(0);
      }),
    );
  });

  test.each([
    ["the default", { kind: "default" }, 720, false],
    ["a shorter one", { kind: "duration", durationMs: HOUR_MS }, 1, false],
    ["just the maximum", { kind: "duration", durationMs: 720 * HOUR_MS }, 720, false],
    ["a longer one", { kind: "duration", durationMs: 1_440 * HOUR_MS }, 720, true],
    ["a fixed end", { kind: "fixed", expiresAt: new Date(NOW.getTime() + 2 * HOUR_MS) }, 2, false],
    ["a fixed end far ahead", { kind: "fixed", expiresAt: new Date("2099-01-01T00:00:00Z") }, 720, true],
  ] as const)("%s", (_, requested, hours, isClamped) => {
    const expiresAt = new Date(NOW.getTime() + hours * HOUR_MS);
    expect(resolveLifetime(requested, LIMITS, NOW)).toEqual({ expiresAt, isClamped });
  });

  test("is over at its end, and at its revocation, not before", () => {
    const at = (ms: number) => new Date(NOW.getTime() + ms);
    expect(isLive(aTokenRow({ expiresAt: at(1) }), NOW)).toBe(true);
    expect(isLive(aTokenRow({ expiresAt: at(0) }), NOW)).toBe(false);
    expect(isLive(aTokenRow({ revokedAt: at(1) }), NOW)).toBe(true);
    expect(isLive(aTokenRow({ revokedAt: at(0) }), NOW)).toBe(false);
  });
});

describe("a Secret's decoration", () => {
  const token = { id: "tokenOne0001", expiresAt: NOW };
  const want = (labels: Record<string, string>, annotations: Record<string, string> = {}) =>
    wantDecoration(
      aDesiredToken({ secret: { name: "demo", key: "token", labels, annotations } }),
      "apitoken.dev/managed",
      token,
    );

  test("that is as wanted needs nothing, whatever others have added", () => {
    const wanted = want({ team: "a" });
    expect(diffDecoration(wanted, wanted)).toBeUndefined();
    expect(diffDecoration({ ...wanted, labels: { ...wanted.labels, theirs: "x" } }, wanted)).toBeUndefined();
  });

  test("loses the keys that the spec has dropped, and no others", () => {
    const before = want({ team: "a", tier: "x" }, { note: "n" });
    const current = { ...before, labels: { ...before.labels, theirs: "x" } };
    const patch = diffDecoration(current, want({ team: "b" }));
    expect(patch?.labels).toEqual({ team: "b", tier: null });
    expect(patch?.annotations).toMatchObject({ note: null });
    expect(patch?.labels).not.toHaveProperty("theirs");
  });

  test.each(["not json", "[]", '{"labels":"x"}', '{"labels":[1]}', "null"])(
    "survives our own annotation being overwritten with %s",
    (text) => {
      const wanted = want({ team: "a" });
      const current = { ...wanted, annotations: { ...wanted.annotations, "apitoken.dev/applied-keys": text } };
      expect(diffDecoration(current, wanted)?.annotations).toHaveProperty(["apitoken.dev/applied-keys"]);
    },
  );
});
