/*
 * How a token is stored. HMAC-SHA-256 is enough for 256 random bits; bcrypt is for those whose rules demand it, and is so slow
 * that its answers are remembered. Failed guesses are remembered apart: no number of them displaces a real token's answer.
 */
import { isSameHash } from "../token/keyring.ts";
import { createBcrypt } from "./bcrypt.ts";

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

/** A `fingerprint` is the token's HMAC-SHA-256 under the row's pepper. */
export interface TokenHasher {
  /** The hash of a new row. */
  hash(fingerprint: Buffer, method: HashMethod): Promise<TokenHash>;
  /** Whether a row's hash was made from the token with this fingerprint. At once if no bcrypt is needed to know. */
  isMatch(fingerprint: Buffer, stored: TokenHash): boolean | Promise<boolean>;
}

/** How many answers of bcrypt are kept. The least recently used ones are dropped first. */
export interface AnswerLimits {
  readonly matches: number;
  /** A Secret that somebody edited is compared in every pass, so it pays to remember these, too. */
  readonly mismatches: number;
}

const DEFAULT_LIMITS: AnswerLimits = { matches: 50_000, mismatches: 5_000 };

/** A program makes one and hands it on: it owns a thread and the remembered answers. */
export function createTokenHasher(limits: AnswerLimits = DEFAULT_LIMITS): TokenHasher {
  const bcrypt = createBcrypt();
  const matches = createRecentKeys(limits.matches);
  const mismatches = createRecentKeys(limits.mismatches);
  const pending = new Map<string, Promise<boolean>>();

  const compare = async (key: string, fingerprint: Buffer, text: string) => {
    try {
      const isMatch = await bcrypt.compare(bcryptInput(fingerprint), text);
      (isMatch ? matches : mismatches).add(key);
      return isMatch;
    } finally {
      pending.delete(key);
    }
  };
  return {
    async hash(fingerprint, method) {
      if (method.algorithm === "hmac-sha256") return { hash: fingerprint, hashAlgorithm: "hmac-sha256" };
      const text = await bcrypt.hash(bcryptInput(fingerprint), method.rounds);
      matches.add(answerKey(fingerprint, text));
      return { hash: Buffer.from(text), hashAlgorithm: "bcrypt" };
    },
    isMatch(fingerprint, { hash, hashAlgorithm }) {
      if (hashAlgorithm === "hmac-sha256") return isSameHash(fingerprint, hash);
      const text = hash.toString();
      const key = answerKey(fingerprint, text);
      if (matches.has(key)) return true;
      if (mismatches.has(key)) return false;
      const answer = pending.get(key) ?? compare(key, fingerprint, text);
      pending.set(key, answer);
      return answer;
    },
  };
}

/** bcrypt takes at most 72 bytes, none of them zero, so it gets the 32 bytes as 44 characters of base64. */
function bcryptInput(fingerprint: Buffer): string {
  return fingerprint.toString("base64");
}

function answerKey(fingerprint: Buffer, hash: string): string {
  return `${fingerprint.toString("base64")} ${hash}`;
}

/** The keys that were added or asked for last: a Set keeps the order of insertion. */
function createRecentKeys(limit: number) {
  const keys = new Set<string>();
  const add = (key: string) => {
    keys.delete(key);
    keys.add(key);
    const [eldest] = keys;
    if (keys.size > limit && eldest !== undefined) keys.delete(eldest);
  };
  return {
    add,
    has(key: string): boolean {
      if (!keys.has(key)) return false;
      add(key);
      return true;
    },
  };
}
