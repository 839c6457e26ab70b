import { isSameHash } from "../token/keyring.ts";
import { bcryptCompare, bcryptHash } from "./bcrypt.ts";

/** How rows hash their tokens: by the keyed hash alone, or by bcrypt of it. */
export type HashMethod =
  | { readonly algorithm: "hmac-sha256" }
  /** `rounds` is the logarithm of the number of rounds. */
  | { readonly algorithm: "bcrypt"; readonly rounds: number };

/** A token's hash as its row holds it. */
export interface TokenHash {
  readonly hash: Buffer;
  readonly hashAlgorithm: HashMethod["algorithm"];
}

/** A pass looks at the same Secret and the same row again and again; what was not asked for lately goes first. */
const ANSWERS_KEPT = 50_000;
const answers = new Map<string, Promise<boolean>>();

/** What a row is to hold of a token; `fingerprint` is the token's HMAC-SHA-256 under the row's pepper. */
export async function makeTokenHash(fingerprint: Buffer, method: HashMethod): Promise<TokenHash> {
  if (method.algorithm === "hmac-sha256") return { hash: fingerprint, hashAlgorithm: "hmac-sha256" };
  const hash = await bcryptHash(bcryptInput(fingerprint), method.rounds);
  remember(answerKey(fingerprint, hash), Promise.resolve(true));
  return { hash: Buffer.from(hash), hashAlgorithm: "bcrypt" };
}

/** Whether a row's hash is that of the token with this fingerprint, under the row's pepper. */
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

/** bcrypt takes 72 bytes, and none that is zero: 44 characters of base64 stand for the 32 bytes. */
function bcryptInput(fingerprint: Buffer): string {
  return fingerprint.toString("base64");
}

function answerKey(fingerprint: Buffer, hash: string): string {
  return `${fingerprint.toString("base64")} ${hash}`;
}

function remember(key: string, answer: Promise<boolean>): void {
  answers.delete(key); // a Map keeps the order in which keys came
  answers.set(key, answer);
  const [eldest] = answers.keys();
  if (answers.size > ANSWERS_KEPT && eldest !== undefined) answers.delete(eldest);
}
