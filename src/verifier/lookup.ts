/*
 * From a token string to what it is worth: the one path that every way of verifying a token takes. It brings together memory,
 * the rows in Postgres, the keys and the hash, and leaves the decision to token/verdict.ts. There are three answers. "No" rests
 * on a row that was read, on a string that cannot be a token, or on the proof that there is no row; whatever keeps it from these
 * is "unknown", never "no".
 */
import { hash as digestOf, randomBytes } from "node:crypto";
import type { TokenHasher } from "../runtime/token-hash.ts";
import { findPepper, hashToken, type Keyring } from "../token/keyring.ts";
import type { RateStanding } from "../token/rate-limit.ts";
import { ID_END, ID_START, parseTokenId } from "../token/token-string.ts";
import { type InactiveReason, judgePrepared, type TokenRequest } from "../token/verdict.ts";
import type { VerifierClock } from "./clock.ts";
import { createAllowance } from "./limits/allowance.ts";
import type { Blockages } from "./memory/blockages.ts";
import type { Finder } from "./memory/finder.ts";
import type { KnownToken } from "./memory/known-token.ts";
import type { TokenMemory } from "./memory/memory.ts";
import type { Prover } from "./memory/prover.ts";
import type { Truth } from "./memory/truth.ts";

/** Why a token is refused. */
export type RefusalReason = "Malformed" | "Unknown" | "WrongSecret" | "TooManyFailures" | InactiveReason;

/** Why it cannot be said whether a token is good. */
export type Obstacle = "DatabaseUnavailable" | "Overloaded" | "KeyUnknown";

export type Answer =
  /** `scopes` are those that it has now: in the grace after its expiry they are fewer. */
  | {
      readonly kind: "yes";
      readonly token: KnownToken;
      readonly scopes: readonly string[];
      readonly isInGrace: boolean;
      /** It is not from the database, and nobody can revoke it but by hand. */
      readonly isBreakGlass?: true;
      /** How far it is from its limit, if the request counts for it. */
      readonly rate?: RateStanding;
    }
  /** `token` is set if the string was that token's, whose use it is; `claimed` if only its id was that token's. */
  | {
      readonly kind: "no";
      readonly why: RefusalReason;
      readonly token?: KnownToken | undefined;
      readonly claimed?: KnownToken;
    }
  | { readonly kind: "unknown"; readonly why: Obstacle };

/** What an answer becomes once the request has been counted. A good token may have been used too often. */
export type CountedAnswer =
  | Answer
  | { readonly kind: "limited"; readonly token: KnownToken; readonly rate: RateStanding };

/** Tokens that are not in the database. */
export interface EmergencyTokens {
  /** What a token is worth; undefined if there is none with this id. */
  judge(id: string, plaintext: string, request: TokenRequest): Answer | undefined;
}

export interface LookupParts {
  readonly memory: TokenMemory;
  readonly blockages: Blockages;
  readonly truth: Truth;
  readonly prover: Prover;
  readonly finder: Finder;
  readonly clock: VerifierClock;
  readonly hasher: TokenHasher;
  /** Tokens that need no database; undefined if there are none. */
  readonly breakGlass?: EmergencyTokens | undefined;
  /** The keyring as it is now: it is read again when it changes. */
  readonly keyring: () => Keyring;
  /** Whether an answer came from memory. */
  readonly onSource?: (source: "memory" | "row" | "outage") => void;
}

/**
 * How much an answer may cost the database: as much as is usual, hardly anything, or a look at the row in any case, so that the
 * reason of a refusal is exact.
 */
export type Effort = "usual" | "sparing" | "thorough";

/** Says what the token with this plaintext is worth for a request; at once if memory suffices. Never rejects. */
export type Lookup = (plaintext: string, request: TokenRequest, effort?: Effort) => Answer | Promise<Answer>;

const MALFORMED: Answer = { kind: "no", why: "Malformed" };
const UNKNOWN_TOKEN: Answer = { kind: "no", why: "Unknown" };

/** How many bcrypt comparisons may be in progress; each takes tens of milliseconds of a core. */
const BCRYPTS_AT_ONCE = 32;

/**
 * How many tokens that are not in memory are looked up although that could be saved: if memory holds all that are accepted, only to
 * learn whether one of them is dead, whose use is worth reporting.
 */
const STRANGERS = { perSecond: 20, atOnce: 200 };

const DIGEST_BYTES = 32;

/**
 * Compares two digests, as bytes in texts, in constant time. `timingSafeEqual` takes buffers, and to fill two of them takes longer than
 * the digest. Both digests are keyed with a secret that nobody knows, so how far they agree says nothing about a token.
 */
function isSameDigest(one: string, other: string): boolean {
  let difference = 0;
  for (let place = 0; place < DIGEST_BYTES; place += 1) difference |= one.charCodeAt(place) ^ other.charCodeAt(place);
  return difference === 0;
}

/** Creates the look-up. */
export function createLookup(parts: LookupParts): Lookup {
  const { memory, blockages, truth, prover, finder, clock, hasher, breakGlass, onSource } = parts;
  const strangers = createAllowance(STRANGERS);
  const secret = randomBytes(32).toString("base64");
  let bcrypts = 0;

  /** As constant in time for a token that nobody knows as for one that is known. */
  const digest = (plaintext: string) => digestOf("sha256", secret + plaintext, "binary");
  const blank = randomBytes(DIGEST_BYTES).toString("latin1");

  const decide = (known: KnownToken, blockedFromMs: number, request: TokenRequest): Answer => {
    const nowMs = clock.nowMs();
    // What was dead when it was read is dead, even if this clock is behind the database's.
    const judgedAtMs = known.isEnded ? Number.POSITIVE_INFINITY : nowMs;
    const verdict = judgePrepared(known, judgedAtMs, nowMs >= blockedFromMs, request);
    return verdict.kind === "active"
      ? { kind: "yes", token: known, scopes: verdict.scopes, isInGrace: verdict.isInGrace }
      : { kind: "no", why: verdict.why, token: known };
  };

  /** The full check, which every token passes once: checksum, and the hash of its row. */
  const check = (plaintext: string, seen: string, known: KnownToken): boolean | Promise<boolean> | Obstacle => {
    if (parseTokenId(plaintext) === undefined) return false;
    const pepper = findPepper(parts.keyring(), known.keyId);
    if (pepper === undefined) return "KeyUnknown";
    if (known.hashAlgorithm === "bcrypt" && bcrypts >= BCRYPTS_AT_ONCE) return "Overloaded";
    const note = (isMatch: boolean) => {
      if (isMatch) known.seen = seen;
      return isMatch;
    };
    const isMatch = hasher.isMatch(hashToken(plaintext, pepper), known);
    if (typeof isMatch === "boolean") return note(isMatch);
    bcrypts += 1;
    return isMatch.then(note).finally(() => {
      bcrypts -= 1;
    });
  };

  const judge = (
    known: KnownToken,
    blockedFromMs: number,
    plaintext: string,
    request: TokenRequest,
  ): Answer | Promise<Answer> => {
    known.isRecent = true;
    const seen = digest(plaintext);
    const isSeen = isSameDigest(seen, known.seen ?? blank);
    if (isSeen) return decide(known, blockedFromMs, request);
    const checked = known.seen === undefined ? check(plaintext, seen, known) : false;
    if (typeof checked === "string") return { kind: "unknown", why: checked };
    const settle = (isMatch: boolean): Answer =>
      isMatch ? decide(known, blockedFromMs, request) : { kind: "no", why: "WrongSecret", claimed: known };
    return typeof checked === "boolean" ? settle(checked) : checked.then(settle);
  };

  const ask = async (id: string, plaintext: string, request: TokenRequest): Promise<Answer> => {
    const finding = await finder.find(id);
    if (finding.kind === "found") {
      onSource?.("row");
      return finding.token === undefined
        ? refuseUnknown(plaintext)
        : judge(finding.token, finding.blockedFromMs, plaintext, request);
    }
    return fromMemoryAlone(id, plaintext, request) ?? { kind: "unknown", why: finding.why };
  };

  /** What memory says while the database says nothing; undefined if that is not to be trusted. */
  const fromMemoryAlone = (id: string, plaintext: string, request: TokenRequest) => {
    const known = memory.get(id);
    if (known === undefined || known.isSuspect || truth.standing() === "outdated") return undefined;
    const blockedFromMs = blockages.find(known.owner);
    if (blockedFromMs === undefined) return undefined;
    onSource?.("outage");
    return judge(known, blockedFromMs, plaintext, request);
  };

  /** Asks about a token that is not in memory, while that is cheap; otherwise waits for the proof that it does not exist. */
  const askAboutStranger = async (
    id: string,
    plaintext: string,
    request: TokenRequest,
    effort: Effort,
  ): Promise<Answer> => {
    const isAbsent = () => truth.standing() === "fresh" && memory.isAbsent(id);
    const mustSave = effort === "sparing" || (effort === "usual" && isAbsent());
    if (!mustSave || strangers.take()) return ask(id, plaintext, request);
    if (!isAbsent()) return { kind: "no", why: "TooManyFailures" };
    const isProved = await prover.whenProved();
    if (!isAbsent()) return ask(id, plaintext, request);
    if (!isProved) return { kind: "unknown", why: "DatabaseUnavailable" };
    onSource?.("memory");
    return refuseUnknown(plaintext);
  };

  const refuseUnknown = (plaintext: string): Answer => {
    isSameDigest(digest(plaintext), blank);
    return UNKNOWN_TOKEN;
  };

  return (plaintext, request, effort = "usual") => {
    const id = plaintext.slice(ID_START, ID_END);
    const known = memory.get(id);
    if (known === undefined) {
      if (parseTokenId(plaintext) === undefined) return MALFORMED;
      return breakGlass?.judge(id, plaintext, request) ?? askAboutStranger(id, plaintext, request, effort);
    }
    if (known.isEnded) return judge(known, Number.POSITIVE_INFINITY, plaintext, request);
    const standing = truth.standing();
    if (standing === "fresh" && !known.isSuspect) {
      const blockedFromMs = blockages.find(known.owner);
      if (blockedFromMs !== undefined) {
        onSource?.("memory");
        return judge(known, blockedFromMs, plaintext, request);
      }
    }
    if (finder.isAway) {
      const answer = fromMemoryAlone(id, plaintext, request);
      if (answer !== undefined) return answer;
    }
    return ask(id, plaintext, request);
  };
}
