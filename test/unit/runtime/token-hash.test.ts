import { compareSync } from "bcryptjs";
import { describe, expect, test } from "vitest";
import { createTokenHasher } from "../../../src/runtime/token-hash.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";

const hasher = createTokenHasher();
const [pepper] = createKeyring().peppers;
const fingerprint = hashToken("token", pepper);
const other = hashToken("tokem", pepper);

test("the keyed hash is stored as it is", async () => {
  const stored = await hasher.hash(fingerprint, { algorithm: "hmac-sha256" });
  expect(stored).toEqual({ hash: fingerprint, hashAlgorithm: "hmac-sha256" });
  expect(await hasher.isMatch(fingerprint, stored)).toBe(true);
  expect(await hasher.isMatch(other, stored)).toBe(false);
});

describe("with bcrypt", () => {
  const method = { algorithm: "bcrypt", rounds: 10 } as const;

  test("the row holds bcrypt of the keyed hash, with the requested rounds", async () => {
    const { hash, hashAlgorithm } = await hasher.hash(fingerprint, method);
    expect(hashAlgorithm).toBe("bcrypt");
    expect(hash.toString()).toMatch(/^\$2[aby]\$10\$[./A-Za-z0-9]{53}$/);
    expect(compareSync(fingerprint.toString("base64"), hash.toString())).toBe(true);
  });

  test("a hash matches only its own token, in any order of comparison", async () => {
    const stored = await hasher.hash(fingerprint, method);
    const again = { ...stored, hash: Buffer.from(stored.hash) };
    const answers = [other, fingerprint, other, fingerprint].map((each) => hasher.isMatch(each, again));
    expect(await Promise.all(answers)).toEqual([false, true, false, true]);
  });

  test("a hash from another process is recognised, too", async () => {
    // bcrypt of the base64 of 32 zero bytes.
    const hash = (await import("bcryptjs")).hashSync(Buffer.alloc(32).toString("base64"), 10);
    const stored = { hash: Buffer.from(hash), hashAlgorithm: "bcrypt" } as const;
    expect(await hasher.isMatch(Buffer.alloc(32), stored)).toBe(true);
    expect(await hasher.isMatch(Buffer.alloc(32, 1), stored)).toBe(false);
  });

  test("the same token gets a different hash each time", async () => {
    const [one, two] = await Promise.all([hasher.hash(fingerprint, method), hasher.hash(fingerprint, method)]);
    expect(one.hash.equals(two.hash)).toBe(false);
  });

  test("the event loop is not blocked meanwhile", async () => {
    const { monitorEventLoopDelay } = await import("node:perf_hooks");
    const delay = monitorEventLoopDelay({ resolution: 1 });
    await hasher.hash(fingerprint, { algorithm: "bcrypt", rounds: 4 }); // the thread is running
    delay.enable();
    const startedAt = performance.now();
    await hasher.hash(fingerprint, { algorithm: "bcrypt", rounds: 12 });
    const tookMs = performance.now() - startedAt;
    delay.disable();
    expect(delay.max / 1e6).toBeLessThan(tookMs / 2);
  });

  test("a match is remembered, however many guesses fail after it", async () => {
    const small = createTokenHasher({ matches: 1, mismatches: 2 });
    const stored = await small.hash(fingerprint, { ...method, rounds: 4 });
    const guesses = Array.from({ length: 5 }, (_, index) => Buffer.alloc(32, index));
    expect(await Promise.all(guesses.map((guess) => small.isMatch(guess, stored)))).not.toContain(true);
    // At once, without a promise, because it is from memory.
    expect(small.isMatch(fingerprint, stored)).toBe(true);
    expect(guesses.map((guess) => small.isMatch(guess, stored)).filter((answer) => answer === false)).toHaveLength(2);
  });

  test("the most recently used matches are remembered", async () => {
    const small = createTokenHasher({ matches: 2, mismatches: 2 });
    const [first, second] = [
      await small.hash(fingerprint, { ...method, rounds: 4 }),
      await small.hash(fingerprint, { ...method, rounds: 4 }),
    ];
    expect(small.isMatch(fingerprint, first)).toBe(true);
    const third = await small.hash(fingerprint, { ...method, rounds: 4 });
    expect([first, third].map((stored) => small.isMatch(fingerprint, stored))).toEqual([true, true]);
    expect(small.isMatch(fingerprint, second)).toBeInstanceOf(Promise);
  });

  test("a second question during a comparison shares its answer", async () => {
    const stored = await createTokenHasher().hash(fingerprint, method);
    const answers = [hasher.isMatch(fingerprint, stored), hasher.isMatch(fingerprint, stored)];
    expect(answers[0]).toBe(answers[1]);
    expect(await Promise.all(answers)).toEqual([true, true]);
  });

  test("a damaged hash does not match and is not an error", async () => {
    expect(await hasher.isMatch(fingerprint, { hash: Buffer.from("not a hash"), hashAlgorithm: "bcrypt" })).toBe(false);
  });
});
