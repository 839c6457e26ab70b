import { compareSync } from "bcryptjs";
import { describe, expect, test } from "vitest";
import { isHashOf, makeTokenHash } from "../../../src/runtime/token-hash.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";

const [pepper] = createKeyring().peppers;
const fingerprint = hashToken("token", pepper);
const other = hashToken("tokem", pepper);

test("the keyed hash is stored as it is", async () => {
  const stored = await makeTokenHash(fingerprint, { algorithm: "hmac-sha256" });
  expect(stored).toEqual({ hash: fingerprint, hashAlgorithm: "hmac-sha256" });
  expect(await isHashOf(fingerprint, stored)).toBe(true);
  expect(await isHashOf(other, stored)).toBe(false);
});

describe("with bcrypt", () => {
  const method = { algorithm: "bcrypt", rounds: 10 } as const;

  test("the row holds bcrypt of the keyed hash, with the rounds asked for", async () => {
    const { hash, hashAlgorithm } = await makeTokenHash(fingerprint, method);
    expect(hashAlgorithm).toBe("bcrypt");
    expect(hash.toString()).toMatch(/^\$2[aby]\$10\$[./A-Za-z0-9]{53}$/);
    expect(compareSync(fingerprint.toString("base64"), hash.toString())).toBe(true);
  });

  test("a hash matches only its own token, in any order of comparison", async () => {
    const stored = await makeTokenHash(fingerprint, method);
    const again = { ...stored, hash: Buffer.from(stored.hash) };
    const answers = [other, fingerprint, other, fingerprint].map((each) => isHashOf(each, again));
    expect(await Promise.all(answers)).toEqual([false, true, false, true]);
  });

  test("a hash from another process is recognised, too", async () => {
    // bcrypt of the base64 of 32 zero bytes.
    const hash = (await import("bcryptjs")).hashSync(Buffer.alloc(32).toString("base64"), 10);
    const stored = { hash: Buffer.from(hash), hashAlgorithm: "bcrypt" } as const;
    expect(await isHashOf(Buffer.alloc(32), stored)).toBe(true);
    expect(await isHashOf(Buffer.alloc(32, 1), stored)).toBe(false);
  });

  test("the same token gets a different hash each time", async () => {
    const [one, two] = await Promise.all([makeTokenHash(fingerprint, method), makeTokenHash(fingerprint, method)]);
    expect(one.hash.equals(two.hash)).toBe(false);
  });

  test("the event loop is not blocked meanwhile", async () => {
    const { monitorEventLoopDelay } = await import("node:perf_hooks");
    const delay = monitorEventLoopDelay({ resolution: 1 });
    await makeTokenHash(fingerprint, { algorithm: "bcrypt", rounds: 4 }); // the thread is running
    delay.enable();
    const startedAt = performance.now();
    await makeTokenHash(fingerprint, { algorithm: "bcrypt", rounds: 12 });
    const tookMs = performance.now() - startedAt;
    delay.disable();
    expect(delay.max / 1e6).toBeLessThan(tookMs / 2);
  });

  test("a damaged hash does not match and is not an error", async () => {
    expect(await isHashOf(fingerprint, { hash: Buffer.from("not a hash"), hashAlgorithm: "bcrypt" })).toBe(false);
  });
});
