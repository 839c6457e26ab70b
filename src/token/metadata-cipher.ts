/*
 * Metadata may name people, so the database stores it encrypted: AES-256-GCM with a random 96-bit nonce (NIST SP 800-38D,
 * 8.2.2), a new one for every encryption. The token's id is the associated data, so one row's metadata is useless in another.
 */
import { createCipheriv, createDecipheriv, randomBytes } from "node:crypto";
import type { Key, Keyring } from "./keyring.ts";
import type { TokenMetadata } from "./model.ts";

const ALGORITHM = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Encrypted metadata, and the id of its key. `bytes` are nonce, ciphertext and tag. */
export interface EncryptedMetadata {
  readonly bytes: Buffer;
  readonly keyId: string;
}

/** Encrypts the metadata of a token; undefined if there is none. */
export function encryptMetadata(metadata: TokenMetadata, tokenId: string, key: Key): EncryptedMetadata | undefined {
  if (Object.keys(metadata).length === 0) return undefined;
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(ALGORITHM, key.secret, nonce, { authTagLength: TAG_BYTES }).setAAD(
    Buffer.from(tokenId),
  );
  const text = JSON.stringify(metadata);
  const bytes = Buffer.concat([nonce, cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return { bytes, keyId: key.id };
}

/**
 * The metadata of a token; undefined if it cannot be read: it is damaged or another token's, or the keyring lacks its key
 * or has different bytes under the key's id.
 */
export function decryptMetadata(
  encrypted: EncryptedMetadata | undefined,
  tokenId: string,
  { encryption }: Pick<Keyring, "encryption">,
): TokenMetadata | undefined {
  if (encrypted === undefined) return {};
  const key = encryption.find(({ id }) => id === encrypted.keyId);
  return key && open(encrypted.bytes, tokenId, key);
}

function open(sealed: Buffer, tokenId: string, key: Key): TokenMetadata | undefined {
  if (sealed.length < NONCE_BYTES + TAG_BYTES) return undefined;
  const nonce = sealed.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv(ALGORITHM, key.secret, nonce, { authTagLength: TAG_BYTES })
    .setAAD(Buffer.from(tokenId))
    .setAuthTag(sealed.subarray(-TAG_BYTES));
  try {
    const bytes = Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
    return asMetadata(JSON.parse(bytes.toString("utf8")));
  } catch {
    return undefined;
  }
}

function asMetadata(value: unknown): TokenMetadata | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  return Object.values(value).every((item) => typeof item === "string") ? (value as TokenMetadata) : undefined;
}
