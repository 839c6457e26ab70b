/*
 * The tokens that a verifier knows. Three rules keep it from saying yes to what is dead. A token is suspect from when a change
 * of it is heard of until its row has been read again. What was being read meanwhile is suspect, too. And what was dead when
 * it was read stays dead, whatever is read later: no row can bring it back (apitoken.refuse_revival).
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
import { createKnownToken, type KnownToken } from "./known-token.ts";

/** A reading of rows. What is heard while it continues makes suspect what it returns. */
export interface MemoryReading {
  /** Keeps a row that was read at `atMs` of the database's time, and returns what is known of its token now. */
  keep(row: VerifiableToken, atMs: number): KnownToken;
  /** Forgets a token that has no row. */
  forget(id: string): void;
  /** All accepted tokens have been read: those that were not among them are suspect. */
  wasComplete(): void;
  end(): void;
}

/** The known tokens by their ids, at most `limit`. Those that have not been used for a while make room for new ones. */
export interface TokenMemory {
  get(id: string): KnownToken | undefined;
  beginReading(): MemoryReading;
  /** A token has changed, was revoked or deleted. */
  hearChange(id: string): void;
  readonly size: number;
}

/** Creates an empty memory. */
export function createTokenMemory(limit: number): TokenMemory {
  const tokens = new Map<string, KnownToken>();
  const readings = new Set<Set<string>>();
  let readingsBegun = 0;

  const makeRoom = () => {
    for (const [id, token] of tokens) {
      tokens.delete(id);
      if (!token.isRecent) return;
      token.isRecent = false;
      tokens.set(id, token);
    }
  };
  const keep = (row: VerifiableToken, atMs: number, reading: number, isSuspect: boolean): KnownToken => {
    const before = tokens.get(row.id);
    if (before?.isEnded) return before;
    const known = createKnownToken(row, atMs, before);
    known.readIn = reading;
    known.isSuspect = isSuspect && !known.isEnded;
    if (before === undefined && tokens.size >= limit) makeRoom();
    tokens.set(row.id, known);
    return known;
  };

  return {
    get: (id) => tokens.get(id),
    beginReading() {
      const changed = new Set<string>();
      readings.add(changed);
      readingsBegun += 1;
      const reading = readingsBegun;
      return {
        keep: (row, atMs) => keep(row, atMs, reading, changed.has(row.id)),
        forget(id) {
          if (!changed.has(id)) tokens.delete(id);
        },
        wasComplete() {
          for (const token of tokens.values()) token.isSuspect ||= token.readIn < reading && !token.isEnded;
        },
        end: () => void readings.delete(changed),
      };
    },
    hearChange(id) {
      const known = tokens.get(id);
      if (known !== undefined) known.isSuspect = !known.isEnded;
      for (const changed of readings) changed.add(id);
    },
    get size() {
      return tokens.size;
    },
  };
}
