import { createSecretKey } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  createKey,
  createKeyring,
  currentKey,
  findPepper,
  hashToken,
  isSameHash,
  KEY_BYTES,
  nextActivation,
  pseudonymOf,
} from "../../../src/token/keyring.ts";

describe("a new keyring", () => {
  test("has one key of 256 bits of each kind", () => {
    const { peppers, encryption, pseudonym } = createKeyring();
    expect([peppers.length, encryption.length]).toEqual([1, 1]);
    expect(KEY_BYTES).toBe(32);
    for (const key of [...peppers, ...encryption, pseudonym]) expect(key.secret.symmetricKeySize).toBe(32);
  });

  test("shares no key or id with another one", () => {
    const keys = Array.from({ length: 100 }, createKeyring).flatMap((ring) => [
      ...ring.peppers,
      ...ring.encryption,
      ring.pseudonym,
    ]);
    expect(new Set(keys.map((key) => key.id)).size).toBe(300);
    expect(new Set(keys.map((key) => key.secret.export().toString("hex"))).size).toBe(300);
  });

  test("keeps its former peppers for the rows that name them", () => {
    const former = { id: "p-former", secret: createSecretKey(Buffer.alloc(KEY_BYTES, 1)) };
    const [current] = createKeyring().peppers;
    const keyring = { ...createKeyring(), peppers: [current, former] } as const;
    expect(findPepper(keyring, current.id)).toBe(current);
    expect(findPepper(keyring, former.id)).toBe(former);
    expect(findPepper(keyring, "p-unknown")).toBeUndefined();
  });
});

describe("a pseudonym", () => {
  const ring = createKeyring();

  test("is the same for an owner whatever other keys the keyring has, and tells owners apart", () => {
    const rotated = { ...createKeyring(), pseudonym: ring.pseudonym };
    expect(pseudonymOf("alice", ring)).toMatch(/^erased-[0-9a-f]{32}$/);
    expect(pseudonymOf("alice", rotated)).toBe(pseudonymOf("alice", ring));
    expect(pseudonymOf("bob", ring)).not.toBe(pseudonymOf("alice", ring));
  });

  test("cannot be worked out with another keyring", () => {
    expect(pseudonymOf("alice", createKeyring())).not.toBe(pseudonymOf("alice", ring));
  });
});

describe("of several keys", () => {
  const at = (minute: number) => new Date(Date.UTC(2026, 5, 1, 12, minute));
  const oldest = createKey("e");
  const older = { ...createKey("e"), activeFrom: at(10) };
  const newest = { ...createKey("e"), activeFrom: at(20) };
  const ring = [newest, older, oldest] as const;

  test.each([
    ["the oldest, as long as the others are in waiting", 9, oldest, at(10)],
    ["the next one, from its time on", 10, older, at(20)],
    ["that one, until the newest is active", 19, older, at(20)],
    ["the newest, for good", 20, newest, undefined],
    ["the newest, much later too", 59, newest, undefined],
  ])("new rows are made with %s", (_, minute, current, next) => {
    expect(currentKey(ring, at(minute))).toBe(current);
    expect(nextActivation(ring, at(minute))).toEqual(next);
  });

  test("the first is current if none has a time", () => {
    const other = createKey("e");
    expect(currentKey([other, oldest], at(0))).toBe(other);
  });

  test("the last is current if all times are in the future", () => {
    expect(currentKey([newest, older], at(0))).toBe(older);
  });
});

describe("a hash", () => {
  const [pepper] = createKeyring().peppers;

  // RFC 4231, test cases 1 and 2.
  test.each([
    [Buffer.alloc(20, 0x0b), "Hi There", "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"],
    [
      Buffer.from("Jefe"),
      "what do ya want for nothing?",
      "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    ],
  ])("is HMAC-SHA-256 (%#)", (bytes, text, expected) => {
    const secret = createSecretKey(bytes);
    expect(hashToken(text, { id: "p", secret }).toString("hex")).toBe(expected);
    expect(hashToken(Buffer.from(text), { id: "p", secret }).toString("hex")).toBe(expected);
  });

  test("matches only its own token under its own pepper", () => {
    const hash = hashToken("token", pepper);
    expect(isSameHash(hash, hashToken("token", pepper))).toBe(true);
    expect(isSameHash(hash, hashToken("other", pepper))).toBe(false);
    expect(isSameHash(hash, hashToken("token", createKeyring().peppers[0]))).toBe(false);
  });

  test("of another length does not match, and is not an error", () => {
    const hash = hashToken("token", pepper);
    expect(isSameHash(hash, hash.subarray(1))).toBe(false);
    expect(isSameHash(hash, new Uint8Array())).toBe(false);
  });
});
