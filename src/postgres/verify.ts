import { findPepper, hashToken, isSameHash, type Keyring } from "../token/keyring.ts";
import { parseTokenId } from "../token/token-string.ts";
import type { Queryable } from "./database.ts";
import { findToken, type TokenRecord } from "./tokens.ts";

/**
 * The row of a token string, if the token is valid: well-formed, known, its hash right, and live by the database's
 * clock. In the grace after its expiry it is valid for the policy's grace scopes only. Malformed strings never reach
 * the database.
 */
export async function verifyToken(
  db: Queryable,
  keyring: Keyring,
  plaintext: string,
): Promise<TokenRecord | undefined> {
  const id = parseTokenId(plaintext);
  const token = id === undefined ? undefined : await findToken(db, id);
  const pepper = token && findPepper(keyring, token.keyId);
  if (token === undefined || pepper === undefined || token.validity === "dead") return undefined;
  if (!isSameHash(hashToken(plaintext, pepper), token.hash)) return undefined;
  if (token.validity === "live") return token;
  return { ...token, scopes: token.scopes.filter((scope) => token.grace?.scopes.includes(scope)) };
}
