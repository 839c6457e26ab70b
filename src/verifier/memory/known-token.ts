/*
 * What a verifier keeps of a row: as little as it takes to answer, and ready to be judged. A hundred thousand of them must fit
 * into a small pod.
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
import { type PreparedToken, prepareToken } from "../../token/verdict.ts";
import { createUses, type Uses } from "../uses/uses.ts";
import { CompactToken } from "./compact-token.ts";

/** A row, ready to be judged, and what has happened to its token since it was last reported. */
export interface KnownToken {
  readonly row: VerifiableToken;
  readonly prepared: PreparedToken;
  /** Whether it was dead when it was read. */
  readonly isEnded: boolean;
  /** Whether it has changed since it was read: only its row can tell how. */
  isSuspect: boolean;
  /** The number of the reading that it comes from. */
  readIn: number;
  /** The keyed digest of the plaintext that has passed the full check; undefined before. */
  seen: Buffer | undefined;
  /** Whether it was asked for since the search for room passed it. */
  isRecent: boolean;
  /** The answer to a gateway as it is sent, by state; made when it is first asked for. */
  answers: Partial<Record<string, readonly string[]>> | undefined;
  /** What is to be reported of its uses; one object for all rows that the token has had. */
  readonly uses: Uses;
}

/** A row that was read at `atMs` of the database's time. Whoever has shown the plaintext of `before` need not do so again. */
export function createKnownToken(row: VerifiableToken, atMs: number, before: KnownToken | undefined): KnownToken {
  const compact = new CompactToken(row);
  const prepared = row.isEndRequested ? endNow(prepareToken(compact)) : prepareToken(compact);
  return {
    row: compact,
    prepared,
    isEnded: atMs >= prepared.acceptedUntilMs,
    isSuspect: false,
    readIn: 0,
    seen: before?.row.hash.equals(row.hash) === true ? before.seen : undefined,
    isRecent: false,
    answers: undefined,
    uses: before?.uses ?? createUses(row.id),
  };
}

/** As if the controller had already written what the holder has asked for. */
function endNow(prepared: PreparedToken): PreparedToken {
  return {
    ...prepared,
    end: "Revoked",
    liveUntilMs: Number.NEGATIVE_INFINITY,
    acceptedUntilMs: Number.NEGATIVE_INFINITY,
  };
}
