/*
 * How a snapshot is sealed: AES-256-GCM under a key that HKDF derives from the keyring and from a salt of the file's own. The text
 * is sealed in records, so that neither writing nor reading needs all of it in memory. The number of a record and whether it is
 * the last one are its nonce: records cannot be left out, exchanged or appended. Nonces are never used twice, because the key
 * belongs to one file.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import { currentKey, KEY_BYTES, type Key, type Keyring } from "../../token/keyring.ts";

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const SALT_BYTES = 32;
export const TAG_BYTES = 16;

/** The last character is the version of everything that follows. */
const MAGIC = Buffer.from("apitoken-snapshot-1");
const PURPOSE = "apitoken verifier snapshot";

/** The beginning of a file: magic, the length of the key's id, the id, and the salt. */
export const LONGEST_HEAD_BYTES = MAGIC.length + 1 + 255 + SALT_BYTES;

/** Seals the records of one file, in their order. */
export interface Sealer {
  readonly head: Buffer;
  /** `isLast` ends the file. */
  seal(text: Buffer, isLast: boolean): Buffer;
}

/** Opens the records of one file, in their order. */
export interface Opener {
  readonly headBytes: number;
  /** The text of a record; undefined if it is not the next one as it was sealed. */
  open(record: Buffer, isLast: boolean): Buffer | undefined;
}

/** Prepares a new file, under the encryption key that is current at `now`. */
export function createSealer({ encryption }: Pick<Keyring, "encryption">, now: Date): Sealer {
  const key = currentKey(encryption, now);
  const salt = randomBytes(SALT_BYTES);
  const id = Buffer.from(key.id);
  const head = Buffer.concat([MAGIC, Buffer.from([id.length]), id, salt]);
  const secret = deriveKey(key, salt);
  let number = 0;
  return {
    head,
    seal(text, isLast) {
      const options = { authTagLength: TAG_BYTES };
      const cipher = createCipheriv(ALGORITHM, secret, nonceOf(number, isLast), options).setAAD(head);
      number += 1;
      return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
    },
  };
}

/** Why a file cannot be opened. */
export type SealFault = "version" | "key";

/** Prepares the opening of a file, from its first bytes. */
export function createOpener(start: Buffer, { encryption }: Pick<Keyring, "encryption">): Opener | SealFault {
  if (!start.subarray(0, MAGIC.length).equals(MAGIC)) return "version";
  const saltAt = MAGIC.length + 1 + (start[MAGIC.length] ?? 0);
  const id = start.subarray(MAGIC.length + 1, saltAt).toString();
  const key = encryption.find((candidate) => candidate.id === id);
  if (key === undefined) return "key";
  const head = start.subarray(0, saltAt + SALT_BYTES);
  const secret = deriveKey(key, head.subarray(saltAt));
  let number = 0;
  return {
    headBytes: head.length,
    open(record, isLast) {
      const options = { authTagLength: TAG_BYTES };
      const decipher = createDecipheriv(ALGORITHM, secret, nonceOf(number, isLast), options)
        .setAAD(head)
        .setAuthTag(record.subarray(-TAG_BYTES));
      number += 1;
      try {
        return Buffer.concat([decipher.update(record.subarray(0, -TAG_BYTES)), decipher.final()]);
      } catch {
        return undefined;
      }
    },
  };
}

function deriveKey({ secret }: Key, salt: Buffer): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, PURPOSE, KEY_BYTES));
}

function nonceOf(number: number, isLast: boolean): Buffer {
  const nonce = Buffer.alloc(NONCE_BYTES);
  nonce.writeUInt32BE(number, 0);
  nonce[NONCE_BYTES - 1] = Number(isLast);
  return nonce;
}
