import { createHmac, randomBytes, timingSafeEqual } from "node:crypto";

/** A secret key with the id by which rows name it. */
export interface Key {
  readonly id: string;
  /** 32 bytes. */
  readonly secret: Buffer;
}

/**
 * The keys that are not in the database: peppers for token hashes and keys for encrypted metadata. The first of each
 * is the current one; the others are kept for rows that still name them.
 */
export interface Keyring {
  readonly peppers: readonly [Key, ...Key[]];
  readonly encryption: readonly [Key, ...Key[]];
}

/** Bytes of every key: the output size of SHA-256, and the key size of AES-256. */
export const KEY_BYTES = 32;

/** A keyring with one new key of each kind. */
export function createKeyring(): Keyring {
  return { peppers: [createKey("p")], encryption: [createKey("e")] };
}

function createKey(prefix: string): Key {
  return { id: `${prefix}-${randomBytes(4).toString("hex")}`, secret: randomBytes(KEY_BYTES) };
}

/**
 * HMAC-SHA-256 of a token (or of any Secret value) under a pepper; 32 bytes. A token's 256 random bits need no slow
 * hash (NIST SP 800-63B, 5.1.1.2: secrets of 112 bits or more).
 */
export function hashToken(plaintext: string | Buffer, pepper: Key): Buffer {
  return createHmac("sha256", pepper.secret).update(plaintext).digest();
}

/** The pepper that a row names; undefined when the ring lacks it. */
export function findPepper(keyring: Keyring, keyId: string): Key | undefined {
  return keyring.peppers.find((key) => key.id === keyId);
}

/** Compares two hashes in constant time. */
export function isSameHash(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
