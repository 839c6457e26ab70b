import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";

/** A secret key with the id by which rows name it. */
export interface Key {
  readonly id: string;
  /** 32 bytes; as a KeyObject they are in no log by accident. */
  readonly secret: KeyObject;
  /** Nothing is made with it before: every program must have read it by then. Always active without it. */
  readonly activeFrom?: Date | undefined;
}

/**
 * The keys that are not in the database: peppers for token hashes and keys for encrypted metadata. The first of each
 * that is active is the current one; those after it are kept for rows that still name them.
 */
export interface Keyring {
  readonly peppers: Keys;
  readonly encryption: Keys;
}

export type Keys = readonly [Key, ...Key[]];

/** Bytes of every key: the output size of SHA-256, and the key size of AES-256. */
export const KEY_BYTES = 32;

/** A keyring with one new key of each kind. */
export function createKeyring(): Keyring {
  return { peppers: [createKey("p")], encryption: [createKey("e")] };
}

/** A new random key, whose id begins with the prefix. */
export function createKey(prefix: "p" | "e"): Key {
  return { id: `${prefix}-${randomBytes(4).toString("hex")}`, secret: createSecretKey(randomBytes(KEY_BYTES)) };
}

/**
 * HMAC-SHA-256 of a token (or of any Secret value) under a pepper; 32 bytes. A token's 256 random bits need no slow
 * hash (NIST SP 800-63B, 5.1.1.2: secrets of 112 bits or more).
 */
export function hashToken(plaintext: string | Buffer, pepper: Key): Buffer {
  return createHmac("sha256", pepper.secret).update(plaintext).digest();
}

/** The key that new rows are made with; the oldest where none is active yet. */
export function currentKey(keys: Keys, now: Date): Key {
  return keys.find((key) => isActive(key, now)) ?? keys.at(-1) ?? keys[0];
}

/** When another key becomes the current one; undefined when none is in waiting. */
export function nextActivation(keys: Keys, now: Date): Date | undefined {
  const times = keys.flatMap((key) => (key.activeFrom === undefined || isActive(key, now) ? [] : [key.activeFrom]));
  return times.length === 0 ? undefined : new Date(Math.min(...times.map((time) => time.getTime())));
}

function isActive({ activeFrom }: Key, now: Date): boolean {
  return activeFrom === undefined || activeFrom <= now;
}

/** The pepper that a row names; undefined when the ring lacks it. */
export function findPepper(keyring: Keyring, keyId: string): Key | undefined {
  return keyring.peppers.find((key) => key.id === keyId);
}

/** Compares two hashes in constant time. */
export function isSameHash(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
