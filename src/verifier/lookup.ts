/*
 * From a token string to what it is worth: the one path that every way of verifying a token takes. It brings together memory,
 * the rows in Postgres, the keys and the hash, and leaves the decision to token/verdict.ts. There are three answers. "No" rests
 * on a row that was read, on a string that cannot be a token, or on the proof that there is no row; whatever keeps it from these
 * is "unknown", never "no".
 */
import { hash as digestOf, randomBytes } from "node:crypto";
import { performance } from "node:perf_hooks";
import { chain, type Soon } from "../runtime/chain.ts";
import type { TokenHasher } from "../runtime/token-hash.ts";
import { findPepper, hashToken, type Keyring } from "../token/keyring.ts";
import type { RateStanding } from "../token/rate-limit.ts";
import { ID_END, ID_START, LONGEST_TOKEN, parseTokenId } from "../token/token-string.ts";
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
      /** When that was decided, in ms of the database's time. */
      readonly atMs: number;
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
export type Lookup = (plaintext: string, request: TokenRequest, effort?: Effort) => Soon<Answer>;

const MALFORMED: Answer = { kind: "no", why: "Malformed" };
const UNKNOWN_TOKEN: Answer = { kind: "no", why: "Unknown" };

/** How many bcrypt comparisons may be in progress; each takes tens of milliseconds of a core. */
const BCRYPTS_AT_ONCE = 32;

/**
 * How many tokens that are not in memory are looked up although that could be saved: if memory holds all that are accepted, only to
 * learn whether one of them is dead, whose use is worth reporting.
 */
const STRANGERS = { perSecond: 20, atOnce: 200 };

/** A string that somebody has shown, and what stands for it. */
interface Shown {
  readonly plaintext: string;
  readonly digest: string;
}

/** Creates the look-up. Times are those of `performance.now()`. */
export function createLookup(parts: LookupParts, now = () => performance.now()): Lookup {
  const { memory, prover, finder, hasher, breakGlass, onSource } = parts;
  // V8 keeps an object with getters as a dictionary, in which each request would have to look for these.
  const { recall, use, note } = memory;
  const { find: findBlockage } = parts.blockages;
  const { standing } = parts.truth;
  const { at: databaseAt } = parts.clock;
  const strangers = createAllowance(STRANGERS);
  const secret = randomBytes(32).toString("base64");
  let bcrypts = 0;

  /**
   * What stands for a plaintext that was shown. It is keyed with a secret that nobody knows, so nobody can tell from the time that it
   * takes to compare or to find it how much of a guess is right.
   */
  const digest = (plaintext: string) => digestOf("sha256", secret + plaintext, "binary");

  const decide = (known: KnownToken, blockedFromMs: number, request: TokenRequest, moment = now()): Answer => {
    const nowMs = databaseAt(moment);
    // What was dead when it was read is dead, even if this clock is behind the database's.
    const judgedAtMs = known.isEnded ? Number.POSITIVE_INFINITY : nowMs;
    const verdict = judgePrepared(known, judgedAtMs, nowMs >= blockedFromMs, request);
    return verdict.kind === "active"
      ? { kind: "yes", token: known, scopes: verdict.scopes, isInGrace: verdict.isInGrace, atMs: nowMs }
      : { kind: "no", why: verdict.why, token: known };
  };

  /** The full check, which every token passes once: checksum, and the hash of its row. */
  const check = ({ plaintext, digest }: Shown, known: KnownToken): Soon<boolean> | Obstacle => {
    if (parseTokenId(plaintext) === undefined) return false;
    const pepper = findPepper(parts.keyring(), known.keyId);
    if (pepper === undefined) return "KeyUnknown";
    if (known.hashAlgorithm === "bcrypt" && bcrypts >= BCRYPTS_AT_ONCE) return "Overloaded";
    const settle = (isMatch: boolean) => {
      if (isMatch) known.seen ??= digest;
      return isMatch;
    };
    const isMatch = hasher.isMatch(hashToken(plaintext, pepper), known);
    if (typeof isMatch === "boolean") return settle(isMatch);
    bcrypts += 1;
    return isMatch.then(settle).finally(() => {
      bcrypts -= 1;
    });
  };

  /** What a token is worth that has the id of the one that was shown. */
  const judge = (
    known: KnownToken,
    blockedFromMs: number,
    shown: Shown,
    request: TokenRequest,
    moment?: number,
  ): Soon<Answer> => {
    known.isRecent = true;
    if (known.seen === shown.digest) return decide(known, blockedFromMs, request, moment);
    const checked = known.seen === undefined ? check(shown, known) : false;
    if (typeof checked === "string") return { kind: "unknown", why: checked };
    const settle = (isMatch: boolean): Answer =>
      isMatch ? decide(known, blockedFromMs, request) : { kind: "no", why: "WrongSecret", claimed: known };
    return chain(checked, settle);
  };

  const ask = async (id: string, shown: Shown, request: TokenRequest): Promise<Answer> => {
    const finding = await finder.find(id);
    if (finding.kind === "found") {
      onSource?.("row");
      return finding.token === undefined ? UNKNOWN_TOKEN : judge(finding.token, finding.blockedFromMs, shown, request);
    }
    return fromMemoryAlone(id, shown, request) ?? { kind: "unknown", why: finding.why };
  };

  /** What memory says while the database says nothing; undefined if that is not to be trusted. */
  const fromMemoryAlone = (id: string, shown: Shown, request: TokenRequest) => {
    const known = memory.get(id);
    if (known === undefined || known.isSuspect || standing() === "outdated") return undefined;
    const blockedFromMs = findBlockage(known.owner);
    if (blockedFromMs === undefined) return undefined;
    onSource?.("outage");
    return judge(known, blockedFromMs, shown, request);
  };

  /** Asks about a token that is not in memory, while that is cheap; otherwise waits for the proof that it does not exist. */
  const askAboutStranger = async (id: string, shown: Shown, request: TokenRequest, effort: Effort): Promise<Answer> => {
    const isAbsent = () => standing() === "fresh" && memory.isAbsent(id);
    const wasAbsent = isAbsent();
    const mustSave = effort === "sparing" || (effort === "usual" && wasAbsent);
    if (!mustSave || strangers.take()) return ask(id, shown, request);
    if (!wasAbsent) return { kind: "no", why: "TooManyFailures" };
    const isProved = await prover.whenProved();
    if (!isAbsent()) return ask(id, shown, request);
    if (!isProved) return { kind: "unknown", why: "DatabaseUnavailable" };
    onSource?.("memory");
    return UNKNOWN_TOKEN;
  };

  /** The token with this id; if it is the one that was shown, it is found by its digest from now on. */
  const find = (id: string, seen: string): KnownToken | undefined => {
    const known = use(id);
    if (known !== undefined && known.seen === seen) note(known);
    return known;
  };

  return (plaintext, request, effort = "usual") => {
    if (plaintext.length > LONGEST_TOKEN) return MALFORMED;
    const shown = { plaintext, digest: digest(plaintext) };
    const recalled = recall(shown.digest);
    const id = recalled?.id ?? plaintext.slice(ID_START, ID_END);
    const known = recalled ?? find(id, shown.digest);
    if (known === undefined) {
      if (parseTokenId(plaintext) === undefined) return MALFORMED;
      return breakGlass?.judge(id, plaintext, request) ?? askAboutStranger(id, shown, request, effort);
    }
    if (known.isEnded) return judge(known, Number.POSITIVE_INFINITY, shown, request);
    const moment = now();
    if (!known.isSuspect && standing(moment) === "fresh") {
      const blockedFromMs = findBlockage(known.owner);
      if (blockedFromMs !== undefined) {
        onSource?.("memory");
        return judge(known, blockedFromMs, shown, request, moment);
      }
    }
    if (finder.isAway) {
      const answer = fromMemoryAlone(id, shown, request);
      if (answer !== undefined) return answer;
    }
    return ask(id, shown, request);
  };
}
