/*
 * How a token is stored. HMAC-SHA-256 is enough for 256 random bits; bcrypt is for those whose rules demand it, and is so slow
 * that its answers are remembered.
 */
import { isSameHash } from "../token/keyring.ts";
import { bcryptCompare, bcryptHash } from "./bcrypt.ts";

/** How rows hash their tokens: with the keyed hash alone, or with bcrypt of the keyed hash. */
export type HashMethod =
  | { readonly algorithm: "hmac-sha256" }
  /** `rounds` is the base-2 logarithm of the number of rounds. */
  | { readonly algorithm: "bcrypt"; readonly rounds: number };

/** A token's hash as it is in its row. */
export interface TokenHash {
  readonly hash: Buffer;
  readonly hashAlgorithm: HashMethod["algorithm"];
}

/** Passes compare the same Secret with the same row again and again. The least recently used answers are dropped first. */
const ANSWERS_KEPT = 50_000;
const answers = new Map<string, Promise<boolean>>();

/** The hash of a new row; `fingerprint` is the token's HMAC-SHA-256 under the row's pepper. */
export async function makeTokenHash(fingerprint: Buffer, method: HashMethod): Promise<TokenHash> {
  if (method.algorithm === "hmac-sha256") return { hash: fingerprint, hashAlgorithm: "hmac-sha256" };
  const hash = await bcryptHash(bcryptInput(fingerprint), method.rounds);
  remember(answerKey(fingerprint, hash), Promise.resolve(true));
  return { hash: Buffer.from(hash), hashAlgorithm: "bcrypt" };
}

/** Whether a row's hash was made from the token with this fingerprint, which was made with the row's pepper. */
export function isHashOf(fingerprint: Buffer, { hash, hashAlgorithm }: TokenHash): boolean | Promise<boolean> {
  if (hashAlgorithm === "hmac-sha256") return isSameHash(fingerprint, hash);
  const text = hash.toString();
  const key = answerKey(fingerprint, text);
  const known = answers.get(key);
  if (known !== undefined) {
    remember(key, known);
    return known;
  }
  const answer = bcryptCompare(bcryptInput(fingerprint), text);
  answer.catch(() => answers.delete(key));
  remember(key, answer);
  return answer;
}

/** bcrypt takes at most 72 bytes, none of them zero, so it gets the 32 bytes as 44 characters of base64. */
function bcryptInput(fingerprint: Buffer): string {
  return fingerprint.toString("base64");
}

function answerKey(fingerprint: Buffer, hash: string): string {
  return `${fingerprint.toString("base64")} ${hash}`;
}

function remember(key: string, answer: Promise<boolean>): void {
  answers.delete(key); // a Map keeps the order of insertion
  answers.set(key, answer);
  const [eldest] = answers.keys();
  if (answers.size > ANSWERS_KEPT && eldest !== undefined) answers.delete(eldest);
}
