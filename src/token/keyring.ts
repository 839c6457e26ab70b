/*
 * The secret keys without which the database is worthless to a thief: hashes cannot be checked nor metadata read. Keys are
 * replaced while tokens that were made with the old ones keep working, so a keyring has several of each kind.
 */
import { createHmac, createSecretKey, type KeyObject, randomBytes, timingSafeEqual } from "node:crypto";

/** A secret key with the id by which rows name it. */
export interface Key {
  readonly id: string;
  /** 32 bytes; a KeyObject does not end up in a log by accident. */
  readonly secret: KeyObject;
  /** Not used for new rows before, so that every program has read the key by then. Undefined: active at once. */
  readonly activeFrom?: Date | undefined;
}

/**
 * The keys that are kept outside the database: peppers for token hashes and encryption keys for metadata. Of each kind the
 * first active key is the current one; those after it are kept for rows that still name them. The key for pseudonyms is never
 * rotated: an erased owner can be recognised by the pseudonym alone, because the name is gone.
 */
export interface Keyring {
  readonly peppers: Keys;
  readonly encryption: Keys;
  readonly pseudonym: Key;
}

export type Keys = readonly [Key, ...Key[]];

/** The length of every key in bytes: the output of SHA-256, and the key of AES-256. */
export const KEY_BYTES = 32;

/** A keyring with one new key of each kind. */
export function createKeyring(): Keyring {
  return { peppers: [createKey("p")], encryption: [createKey("e")], pseudonym: createKey("n") };
}

/** A new random key whose id starts with the prefix. */
export function createKey(prefix: "p" | "e" | "n"): Key {
  return { id: `${prefix}-${randomBytes(4).toString("hex")}`, secret: createSecretKey(randomBytes(KEY_BYTES)) };
}

/**
 * HMAC-SHA-256 of a token (or of any Secret value) under a pepper; 32 bytes. A token's 256 random bits need no slow
 * hash (NIST SP 800-63B, 5.1.1.2: secrets of 112 bits or more).
 */
export function hashToken(plaintext: string | Buffer, pepper: Key): Buffer {
  return createHmac("sha256", pepper.secret).update(plaintext).digest();
}

/**
 * What the audit trail has instead of an erased owner's name: always the same for an owner, whatever keys are rotated, and not to
 * be traced back without the keyring.
 */
export function pseudonymOf(owner: string, { pseudonym }: Keyring): string {
  return `erased-${createHmac("sha256", pseudonym.secret).update(`owner ${owner}`).digest("hex").slice(0, 32)}`;
}

/** The key for new rows; the oldest key if none is active yet. */
export function currentKey(keys: Keys, now: Date): Key {
  return keys.find((key) => isActive(key, now)) ?? keys.at(-1) ?? keys[0];
}

/** When another key becomes the current one; undefined if no key waits for its time. */
export function nextActivation(keys: Keys, now: Date): Date | undefined {
  const times = keys.flatMap((key) => (key.activeFrom === undefined || isActive(key, now) ? [] : [key.activeFrom]));
  return times.length === 0 ? undefined : new Date(Math.min(...times.map((time) => time.getTime())));
}

function isActive({ activeFrom }: Key, now: Date): boolean {
  return activeFrom === undefined || activeFrom <= now;
}

/** The pepper that a row names; undefined if the keyring lacks it. */
export function findPepper(keyring: Keyring, keyId: string): Key | undefined {
  return keyring.peppers.find((key) => key.id === keyId);
}

/** Compares two hashes in constant time. */
export function isSameHash(left: Uint8Array, right: Uint8Array): boolean {
  return left.length === right.length && timingSafeEqual(left, right);
}
