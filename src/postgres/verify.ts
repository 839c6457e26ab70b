import { isHashOf } from "../runtime/token-hash.ts";
import { findPepper, hashToken, type Keyring } from "../token/keyring.ts";
import { decryptMetadata } from "../token/metadata-cipher.ts";
import type { TokenMetadata } from "../token/model.ts";
import { parseTokenId } from "../token/token-string.ts";
import type { Queryable } from "./database.ts";
import { findToken, type TokenRecord } from "./tokens.ts";

/** What is known of a valid token. */
export interface VerifiedToken extends TokenRecord {
  /** Undefined when it cannot be read, as under a key that the ring lacks. */
  readonly metadata: TokenMetadata | undefined;
}

/**
 * The row of a token string, if the token is valid: well-formed, known, its hash right, and live by the database's
 * clock. In the grace after its expiry it is valid for the policy's grace scopes only. Malformed strings never reach
 * the database.
 */
export async function verifyToken(
  db: Queryable,
  keyring: Keyring,
  plaintext: string,
): Promise<VerifiedToken | undefined> {
  const id = parseTokenId(plaintext);
  const token = id === undefined ? undefined : await findToken(db, id);
  const pepper = token && findPepper(keyring, token.keyId);
  if (token === undefined || pepper === undefined || token.validity === "dead") return undefined;
  if (!(await isHashOf(hashToken(plaintext, pepper), token))) return undefined;
  const metadata = decryptMetadata(token.encryptedMetadata, token.id, keyring);
  if (token.validity === "live") return { ...token, metadata };
  return { ...token, metadata, scopes: token.scopes.filter((scope) => token.grace?.scopes.includes(scope)) };
}
