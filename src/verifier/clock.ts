/*
 * Whether a token has expired is decided by the database's clock. A verifier asks it far less often than it verifies, so it
 * continues counting from the last answer with a clock that nobody can set: the machine's own time may jump by hours.
 */

/** The database's time as far as it is known. */
export interface VerifierClock {
  /** The database's time in ms since 1970; the machine's until the database has told its own. */
  nowMs(): number;
  /** Sets the clock by an answer of the database. The times are those of `performance.now()`. */
  set(databaseNow: Date, askedAtMs: number, answeredAtMs: number): void;
  /** How far the database's clock is ahead of the machine's, in ms. */
  readonly aheadMs: number;
  /** Whether the database has told its time. */
  readonly isSet: boolean;
}

/** An answer that took longer says too little about when it was given, but more than the machine's own time does. */
const LONGEST_ROUND_TRIP_MS = 1_000;

/** Creates a clock that shows the machine's time. */
export function createVerifierClock(): VerifierClock {
  let startMs = Date.now() - performance.now();
  let isSet = false;
  const nowMs = () => startMs + performance.now();
  return {
    nowMs,
    set(databaseNow, askedAtMs, answeredAtMs) {
      if (isSet && answeredAtMs - askedAtMs > LONGEST_ROUND_TRIP_MS) return;
      isSet = true;
      startMs = databaseNow.getTime() - (askedAtMs + answeredAtMs) / 2;
    },
    get aheadMs() {
      return nowMs() - Date.now();
    },
    get isSet() {
      return isSet;
    },
  };
}
