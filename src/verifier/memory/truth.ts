/*
 * Whether what a verifier knows may be answered from memory, as a function of time alone. All times are those of
 * `performance.now()`, which nobody can set.
 */
import { performance } from "node:perf_hooks";

/** What answers may rest on. */
export type Standing =
  /** Everything that was committed until a moment ago has been heard. */
  | "fresh"
  /** The row must be asked; if the database does not answer, known tokens may be served from memory. */
  | "doubtful"
  /** The row must be asked, and nothing else counts. */
  | "outdated";

export interface TruthLimits {
  /** How old memory may be and still count. */
  readonly staleAfterMs: number;
  /** How old it may be while the database does not answer. */
  readonly outageMs: number;
}

/** Keeps the moment up to which everything is known. */
export interface Truth {
  /** The connection that listens is there. Memory counts when everything has been read from now on. */
  beginListening(): void;
  /** All rows and blocks have been read since then: whatever was committed before this moment is known. */
  completeReading(beganAtMs: number): void;
  /** Whatever was committed before this moment has been heard. */
  prove(sentAtMs: number): void;
  /** The connection that listens is gone, or something may have been missed. */
  lose(): void;
  /** A snapshot was loaded, which was true this long ago. */
  restore(ageMs: number): void;
  /** What answers may rest on at `nowMs`. */
  standing(nowMs?: number): Standing;
  /** Since when memory has not been proved, in ms. */
  readonly ageMs: number;
  /** Whether memory has once been complete. */
  readonly isComplete: boolean;
}

/** Begins with nothing known. */
export function createTruth({ staleAfterMs, outageMs }: TruthLimits, now = () => performance.now()): Truth {
  let isListening = false;
  let isRead = false;
  let provenAtMs = Number.NEGATIVE_INFINITY;
  let wasComplete = false;
  return {
    beginListening() {
      isListening = true;
      isRead = false;
    },
    completeReading(beganAtMs) {
      isRead = isListening;
      wasComplete = true;
      // An outage may begin before the first proof.
      if (isRead) provenAtMs = Math.max(provenAtMs, beganAtMs);
    },
    prove(sentAtMs) {
      if (isListening && isRead) provenAtMs = Math.max(provenAtMs, sentAtMs);
    },
    lose() {
      isListening = false;
      isRead = false;
    },
    restore(ageMs) {
      provenAtMs = Math.max(provenAtMs, now() - ageMs);
      wasComplete = true;
    },
    standing(nowMs = now()) {
      const ageMs = nowMs - provenAtMs;
      if (isRead && ageMs <= staleAfterMs) return "fresh";
      return ageMs <= outageMs ? "doubtful" : "outdated";
    },
    get ageMs() {
      return now() - provenAtMs;
    },
    get isComplete() {
      return wasComplete;
    },
  };
}
