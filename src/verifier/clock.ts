/*
 * Whether a token has expired is decided by the database's clock. A verifier asks it far less often than it verifies, so it
 * continues counting from the last answer with a clock that nobody can set: the machine's own time may jump by hours.
 */
import { performance } from "node:perf_hooks";

/** The database's time as far as it is known. */
export interface VerifierClock {
  /** The database's time in ms since 1970; the machine's until the database has told its own. */
  nowMs(): number;
  /** The same at a moment of `performance.now()`. */
  at(moment: number): number;
  /** Sets the clock by the database's time at a moment between two of `performance.now()`. */
  set(databaseNow: Date, askedAtMs: number, answeredAtMs: number): void;
  /** How far the database's clock is ahead of the machine's, in ms. */
  readonly aheadMs: number;
  /** Whether the database has told its time. */
  readonly isSet: boolean;
}

/** Creates a clock that shows the machine's time. */
export function createVerifierClock(): VerifierClock {
  let startMs = Date.now() - performance.now();
  let isSet = false;
  const nowMs = () => startMs + performance.now();
  return {
    nowMs,
    at: (moment) => startMs + moment,
    set(databaseNow, askedAtMs, answeredAtMs) {
      const databaseMs = databaseNow.getTime();
      const [least, most] = [databaseMs - answeredAtMs, databaseMs - askedAtMs];
      // A slow answer proves little, and so it changes little: what agrees with it stays.
      startMs = isSet ? Math.min(Math.max(startMs, least), most) : (least + most) / 2;
      isSet = true;
    },
    get aheadMs() {
      return nowMs() - Date.now();
    },
    get isSet() {
      return isSet;
    },
  };
}
