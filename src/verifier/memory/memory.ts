/*
 * The tokens that a verifier knows. Three rules keep it from saying yes to what is dead. A token is suspect from when a change
 * of it is heard of until its row has been read again. What was being read meanwhile is suspect, too. And what was dead when
 * it was read stays dead, whatever is read later: no row can bring it back (apitoken.refuse_revival).
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
import { KnownToken } from "./known-token.ts";
import { createTokenTable } from "./token-table.ts";

/** A reading of rows. What is heard while it continues makes suspect what it returns. */
export interface MemoryReading {
  /** Keeps a row that was read at `atMs` of the database's time, and returns what is known of its token now. */
  keep(row: VerifiableToken, atMs: number): KnownToken;
  /** Forgets a token that has no row. */
  forget(id: string): void;
  /**
   * All accepted tokens have been read: those that were not among them are suspect. `hadRoom` is false if only as many were
   * read as memory has room for.
   */
  wasComplete(hadRoom: boolean): void;
  end(): void;
}

/** The known tokens by their ids, at most `limit`. Those that have not been used for a while make room for new ones. */
export interface TokenMemory {
  get(id: string): KnownToken | undefined;
  /** The same for a token that somebody shows: from then on it is next to others in use. */
  use(id: string): KnownToken | undefined;
  /** The token whose plaintext has this digest, if that was noted lately: what is found has passed the full check. */
  recall(seen: string): KnownToken | undefined;
  /** A token that `use` has just found was shown with the digest in its `seen`. */
  note(token: KnownToken): void;
  beginReading(): MemoryReading;
  /** A token was issued, has changed, was revoked or deleted. */
  hearChange(id: string): void;
  /**
   * Whether no accepted token had this id when what has been heard was committed: all are in memory, this one is not, and nothing
   * was heard of it.
   */
  isAbsent(id: string): boolean;
  /** Tokens that something was heard of and that were not read since, at most `count`; none while memory lacks others as well. */
  listNews(count: number): readonly string[];
  /** A block on an owner has changed. It may have revoked any of the owner's tokens: they are not notified one by one. */
  hearBlockChange(owner: string): void;
  readonly size: number;
  /** The ids of all known tokens at this moment. */
  readonly ids: readonly string[];
  /** Keeps a row of a snapshot that was true at `atMs` of the database's time, unless something is known of its token already. */
  restore(row: VerifiableToken, atMs: number, isSuspect: boolean): void;
}

/** More than that are not kept one by one: they are found when everything is read again. */
const MOST_NEWS = 10_000;
const NEVER = -1;

/** So many owners are kept whose blocks have changed since everything was read; beyond that every token is suspect. */
const MOST_OWNERS = 10_000;

/** Creates an empty memory. */
export function createTokenMemory(limit: number): TokenMemory {
  const tokens = createTokenTable();
  const { use, recall, note } = tokens;
  const readings = new Set<Set<string>>();
  let readingsBegun = 0;
  /** Heard of, and not read since. */
  let news = new Set<string>();
  /** Whether memory holds all accepted tokens but those in the news. */
  let isWhole = false;
  /** How many tokens that were not dead had to make room. */
  let dropped = 0;
  /** The last reading that had begun when a block's change was heard of, by owner: what it and earlier ones read is suspect. */
  const blockChanges = new Map<string, number>();
  /** The same for all owners that are not in it. */
  let otherBlockChanges = NEVER;

  /** The token, which is suspect if a block on its owner has changed since it was read. */
  const doubt = (token: KnownToken | undefined): KnownToken | undefined => {
    const isQuiet = blockChanges.size === 0 && otherBlockChanges === NEVER;
    if (isQuiet || token === undefined || token.isEnded) return token;
    token.isSuspect ||= (blockChanges.get(token.owner) ?? otherBlockChanges) >= token.readIn;
    return token;
  };
  const makeRoom = () => {
    for (const [id, token] of tokens) {
      tokens.delete(id);
      if (!token.isRecent) {
        if (token.isEnded) return;
        dropped += 1;
        isWhole = false;
        return;
      }
      token.isRecent = false;
      tokens.set(id, token);
    }
  };
  const keep = (row: VerifiableToken, atMs: number, reading: number, isSuspect: boolean): KnownToken => {
    const before = tokens.get(row.id);
    if (before?.isEnded) {
      news.delete(row.id);
      return before;
    }
    // What has not changed stays as it is, with its answers: everything is read again every ten minutes.
    const isSame = before !== undefined && atMs < before.acceptedUntilMs && before.isLike(row);
    const known = isSame ? before : new KnownToken(row, atMs, before);
    known.readIn = reading;
    known.isSuspect = isSuspect && !known.isEnded;
    if (before === undefined && tokens.size >= limit) makeRoom();
    tokens.set(row.id, known);
    if (!known.isSuspect) news.delete(row.id);
    return known;
  };
  const hearNews = (id: string, isKnown: boolean) => {
    if (news.size < MOST_NEWS) news.add(id);
    else isWhole &&= isKnown;
  };

  return {
    get: (id) => doubt(tokens.get(id)),
    use: (id) => doubt(use(id)),
    recall: (seen) => doubt(recall(seen)),
    note,
    beginReading() {
      const changed = new Set<string>();
      readings.add(changed);
      readingsBegun += 1;
      const reading = readingsBegun;
      const droppedBefore = dropped;
      return {
        keep: (row, atMs) => keep(row, atMs, reading, changed.has(row.id)),
        forget(id) {
          if (changed.has(id)) return;
          tokens.delete(id);
          news.delete(id);
        },
        wasComplete(hadRoom) {
          for (const token of tokens.values()) token.isSuspect ||= token.readIn < reading && !token.isEnded;
          // What was heard of before it began was committed before, so it has been read if it is accepted.
          news = new Set([...changed].slice(0, MOST_NEWS));
          isWhole = hadRoom && dropped === droppedBefore && changed.size <= MOST_NEWS;
          for (const [owner, lastReading] of blockChanges) if (lastReading < reading) blockChanges.delete(owner);
          if (otherBlockChanges < reading) otherBlockChanges = NEVER;
        },
        end: () => void readings.delete(changed),
      };
    },
    hearChange(id) {
      const known = tokens.get(id);
      if (known !== undefined) known.isSuspect = !known.isEnded;
      if (known?.isEnded !== true) hearNews(id, known !== undefined);
      for (const changed of readings) changed.add(id);
    },
    isAbsent: (id) => isWhole && !news.has(id) && !tokens.has(id),
    listNews(count) {
      return isWhole ? [...news.values().take(count)] : [];
    },
    hearBlockChange(owner) {
      if (blockChanges.size >= MOST_OWNERS) {
        blockChanges.clear();
        otherBlockChanges = readingsBegun;
      }
      blockChanges.set(owner, readingsBegun);
    },
    get size() {
      return tokens.size;
    },
    get ids() {
      return [...tokens.keys()];
    },
    restore(row, atMs, isSuspect) {
      if (!tokens.has(row.id) && tokens.size < limit) keep(row, atMs, 0, isSuspect);
    },
  };
}
