/*
 * From a token string to what it is worth: the one path that every way of verifying a token takes. It brings together the
 * row (Postgres), the keys and the hash, and leaves the decision to token/verdict.ts.
 */
import type { Queryable } from "../postgres/database.ts";
import { findToken, type TokenRecord } from "../postgres/tokens.ts";
import type { TokenHasher } from "../runtime/token-hash.ts";
import { findPepper, hashToken, type Keyring } from "../token/keyring.ts";
import { decryptMetadata } from "../token/metadata-cipher.ts";
import type { TokenMetadata } from "../token/model.ts";
import { parseTokenId } from "../token/token-string.ts";
import { judgeToken, type TokenRequest } from "../token/verdict.ts";

/** What tokens are looked up with; the program that verifies owns all three. */
export interface LookupParts {
  readonly db: Queryable;
  readonly keyring: Keyring;
  readonly hasher: TokenHasher;
}

/** A valid token; `scopes` are those that it has now, which in the grace after its expiry are fewer. */
export interface VerifiedToken extends TokenRecord {
  /** Undefined if it cannot be read, for example because the keyring lacks its key. */
  readonly metadata: TokenMetadata | undefined;
}

/**
 * The token with this plaintext, if it is valid: well-formed, known, with the right hash, accepted by the database's clock
 * and good for the request. Undefined otherwise, without a reason. Malformed strings never reach the database. Throws a
 * DatabaseUnavailableError.
 */
export async function verifyToken(
  { db, keyring, hasher }: LookupParts,
  plaintext: string,
  request: TokenRequest = {},
): Promise<VerifiedToken | undefined> {
  const id = parseTokenId(plaintext);
  const found = id === undefined ? undefined : await findToken(db, id);
  if (found === undefined) return undefined;
  const { token } = found;
  const pepper = findPepper(keyring, token.keyId);
  const verdict = judgeToken(token, found, request);
  if (pepper === undefined || verdict.kind === "inactive") return undefined;
  if (!(await hasher.isMatch(hashToken(plaintext, pepper), token))) return undefined;
  return { ...token, scopes: verdict.scopes, metadata: decryptMetadata(token.encryptedMetadata, token.id, keyring) };
}
