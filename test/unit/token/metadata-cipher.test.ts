import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createKey } from "../../../src/token/keyring.ts";
import { decryptMetadata, type EncryptedMetadata, encryptMetadata } from "../../../src/token/metadata-cipher.ts";

const KEY = createKey("e");
const RING = { encryption: [KEY] } as const;
const METADATA = { team: "checkout", "cost-centre": "4711" };

function encrypt(metadata = METADATA, tokenId = "tokenOne0001"): EncryptedMetadata {
  const encrypted = encryptMetadata(metadata, tokenId, KEY);
  if (encrypted === undefined) throw new Error("nothing was encrypted");
  return encrypted;
}

test("any metadata encrypted for a token can be read with its id and key", () => {
  const anyMetadata = fc.dictionary(fc.string({ minLength: 1 }), fc.string({ unit: "binary" }), {
    minKeys: 1,
    maxKeys: 16,
  });
  fc.assert(
    fc.property(anyMetadata, fc.string(), (metadata, tokenId) => {
      expect(decryptMetadata(encryptMetadata(metadata, tokenId, KEY), tokenId, RING)).toEqual({ ...metadata });
    }),
  );
});

test("empty metadata has no ciphertext", () => {
  expect(encryptMetadata({}, "tokenOne0001", KEY)).toBeUndefined();
  expect(decryptMetadata(undefined, "tokenOne0001", RING)).toEqual({});
});

test("each encryption has its own nonce and reveals nothing of the text", () => {
  const all = Array.from({ length: 100 }, () => encrypt().bytes);
  expect(new Set(all.map((bytes) => bytes.subarray(0, 12).toString("hex"))).size).toBe(100);
  for (const bytes of all) {
    expect(bytes).toHaveLength(12 + JSON.stringify(METADATA).length + 16);
    expect(bytes.includes("checkout")).toBe(false);
  }
});

describe("nothing is read", () => {
  test("that was encrypted for another token", () => {
    expect(decryptMetadata(encrypt(), "tokenTwo0002", RING)).toBeUndefined();
  });

  test("if any single bit differs", () => {
    const { bytes, keyId } = encrypt();
    for (let bit = 0; bit < bytes.length * 8; bit += 1) {
      const changed = Buffer.from(bytes);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect(decryptMetadata({ bytes: changed, keyId }, "tokenOne0001", RING)).toBeUndefined();
    }
  });

  test("if it was truncated anywhere", () => {
    const { bytes, keyId } = encrypt();
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decryptMetadata({ bytes: bytes.subarray(0, length), keyId }, "tokenOne0001", RING)).toBeUndefined();
    }
  });

  test("without its key, or with another key of the same id", () => {
    expect(decryptMetadata(encrypt(), "tokenOne0001", { encryption: [createKey("e")] })).toBeUndefined();
    const impostor = { ...createKey("e"), id: KEY.id };
    expect(decryptMetadata(encrypt(), "tokenOne0001", { encryption: [impostor] })).toBeUndefined();
  });
});

test("it is read with its own key, at any position in the keyring", () => {
  expect(decryptMetadata(encrypt(), "tokenOne0001", { encryption: [createKey("e"), KEY] })).toEqual(METADATA);
});
