/*
 * What a verifier keeps of a row: as little as it takes to answer, and ready to be judged. A hundred thousand of them must fit
 * into a small pod, all in use, so each is one object of plain values. A Date or a Buffer takes more than all texts of a row.
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
import { shareText } from "../../runtime/sharing.ts";
import type { EncryptedMetadata } from "../../token/metadata-cipher.ts";
import type { Grace } from "../../token/model.ts";
import type { RateLimit } from "../../token/rate-limit.ts";
import { acceptedUntilMs, liveUntilMs } from "../../token/validity.ts";
import { type PreparedToken, reasonOfEnd } from "../../token/verdict.ts";
import { createUses, type Uses } from "../uses/uses.ts";
import { shareTerms, type TokenTerms } from "./terms.ts";

/** Of so many tokens answers are kept. */
const MOST_ANSWERED = 4_096;

/** An answer by its name, and the next one of the same token. There are few, and a Map of them would be three objects. */
interface Answers {
  readonly name: string;
  readonly answer: unknown;
  readonly next: Answers | undefined;
}

/** A row, ready to be judged, and what has happened to its token since it was last reported. Reads like the row. */
export class KnownToken implements VerifiableToken, PreparedToken {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  readonly terms: TokenTerms;
  readonly encryptedMetadata: EncryptedMetadata | undefined;
  readonly isEndRequested: boolean;
  /** Whether it was dead when it was read. */
  readonly isEnded: boolean;
  /** Whether it has changed since it was read: only its row can tell how. */
  isSuspect = false;
  /** Whether it was asked for since the search for room passed it. */
  isRecent = false;
  /** Whether it was copied when it was first used. */
  isGathered = false;
  /** The number of the reading that it comes from. */
  readIn = 0;
  #answers: Answers | undefined;
  /** The keyed digest of the plaintext that has passed the full check, as bytes in a text; undefined before. It is set once. */
  seen: string | undefined;
  readonly #hash: string;
  /** Whole seconds are small integers, which take no memory of their own. Nobody needs to know it better. */
  readonly #issuedSeconds: number;
  readonly #expiresMs: number;
  readonly #revokedMs: number | undefined;
  #uses: Uses | undefined;

  /** A row that was read at `atMs` of the database's time. Whoever has shown the plaintext of `before` need not do so again. */
  constructor(row: VerifiableToken, atMs: number, before?: KnownToken, id = row.id) {
    this.id = id;
    this.namespace = shareText(row.namespace);
    this.name = row.name;
    this.owner = shareText(row.owner);
    this.terms = shareTerms(row);
    this.encryptedMetadata = row.encryptedMetadata;
    this.isEndRequested = row.isEndRequested;
    this.#hash = row.hash.toString("latin1");
    this.#issuedSeconds = Math.floor(row.issuedAt.getTime() / 1_000);
    this.#expiresMs = row.expiresAt.getTime();
    this.#revokedMs = row.revokedAt?.getTime();
    this.seen = before !== undefined && before.#hash === this.#hash ? before.seen : undefined;
    this.#uses = before === undefined ? undefined : before.#uses;
    this.#answers = undefined;
    this.isEnded = atMs >= this.acceptedUntilMs;
  }

  /** Whether this row says the same as the one that this was made from. */
  isLike(row: VerifiableToken): boolean {
    return (
      shareTerms(row) === this.terms &&
      row.owner === this.owner &&
      row.namespace === this.namespace &&
      row.name === this.name &&
      row.isEndRequested === this.isEndRequested &&
      row.expiresAt.getTime() === this.#expiresMs &&
      row.revokedAt?.getTime() === this.#revokedMs &&
      row.hash.toString("latin1") === this.#hash &&
      isSameMetadata(row.encryptedMetadata, this.encryptedMetadata)
    );
  }

  /**
   * A copy, its id included, for a token that is used for the first time. V8 puts objects that are made at the same time next to each
   * other. Rows are read in the order of their ids, so without the copies the tokens in use would be anywhere among all others.
   */
  gather(): KnownToken {
    const atMs = this.isEnded ? Number.POSITIVE_INFINITY : Number.NEGATIVE_INFINITY;
    const copy = new KnownToken(this, atMs, this, Buffer.from(this.id, "latin1").toString("latin1"));
    copy.isSuspect = this.isSuspect;
    copy.isRecent = this.isRecent;
    copy.readIn = this.readIn;
    copy.isGathered = true;
    return copy;
  }

  get scopes(): readonly string[] {
    return this.terms.scopes;
  }

  get allowedCidrs(): readonly string[] {
    return this.terms.allowedCidrs;
  }

  get grace(): Grace | undefined {
    return this.terms.grace;
  }

  get rateLimit(): RateLimit | undefined {
    return this.terms.rateLimit;
  }

  get hashAlgorithm(): VerifiableToken["hashAlgorithm"] {
    return this.terms.hashAlgorithm;
  }

  get keyId(): string {
    return this.terms.keyId;
  }

  get hash(): Buffer {
    return Buffer.from(this.#hash, "latin1");
  }

  get issuedAt(): Date {
    return new Date(this.#issuedSeconds * 1_000);
  }

  get expiresAt(): Date {
    return new Date(this.#expiresMs);
  }

  /** Whether its end is set, as in its overlap. */
  get isEnding(): boolean {
    return this.#revokedMs !== undefined;
  }

  get revokedAt(): Date | undefined {
    return this.#revokedMs === undefined ? undefined : new Date(this.#revokedMs);
  }

  /** Once its holder has ended it, as if the controller had already written so. */
  get liveUntilMs(): number {
    return this.isEndRequested ? Number.NEGATIVE_INFINITY : liveUntilMs(this.#expiresMs, this.#revokedMs);
  }

  get acceptedUntilMs(): number {
    if (this.isEndRequested) return Number.NEGATIVE_INFINITY;
    return acceptedUntilMs(this.#expiresMs, this.#revokedMs, this.terms.graceMs);
  }

  get end(): PreparedToken["end"] {
    return this.isEndRequested ? "Revoked" : reasonOfEnd(this.#revokedMs, this.acceptedUntilMs);
  }

  /** What is to be reported of its uses; one object for all rows that the token has had since it was first used. */
  get uses(): Uses {
    this.#uses ??= createUses(this.id);
    return this.#uses;
  }

  /** The answer of this name that was kept, each name with its own type; undefined if there is none, or none any more. */
  findAnswer<Kept>(name: string): Kept | undefined {
    let kept = this.#answers;
    while (kept !== undefined && kept.name !== name) kept = kept.next;
    return kept?.answer as Kept | undefined;
  }

  /** Keeps an answer as it is sent, for a while: to make it takes longer than to find the token. Returns it. */
  keepAnswer<Kept>(name: string, answer: Kept): Kept {
    if (this.#answers === undefined) {
      const oldest = KnownToken.#answered[KnownToken.#nextAnswered];
      if (oldest !== undefined) oldest.#answers = undefined;
      KnownToken.#answered[KnownToken.#nextAnswered] = this;
      KnownToken.#nextAnswered = (KnownToken.#nextAnswered + 1) % MOST_ANSWERED;
    }
    this.#answers = { name, answer, next: this.#answers };
    return answer;
  }

  /** The tokens with answers: the oldest loses its own to the next one. */
  static readonly #answered: (KnownToken | undefined)[] = [];
  static #nextAnswered = 0;
}

function isSameMetadata(one: EncryptedMetadata | undefined, other: EncryptedMetadata | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  return one.keyId === other.keyId && one.bytes.equals(other.bytes);
}
