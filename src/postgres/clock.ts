/*
 * Whether a token has expired is decided by the database's clock, also while the database does not answer: so the
 * difference to the local clock is remembered.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "./database.ts";

/** The database's clock, as far as it is known. */
export interface DatabaseClock {
  /** The database's time; the local time until the database has answered once. */
  now(): Date;
  /** Compares the clocks again. Returns whether the database answered. */
  compare(): Promise<boolean>;
}

/** Long enough for a busy database; whoever asks must not wait for an outage to end. */
const PATIENCE_MS = 1_000;

export function createDatabaseClock(db: Queryable): DatabaseClock {
  let aheadMs = 0;
  const ask = async () => {
    const [row] = await db.query<{ now: Date }>({ name: "read-clock", text: "select now() as now" });
    if (row !== undefined) aheadMs = row.now.getTime() - Date.now();
    return row !== undefined;
  };
  return {
    now: () => new Date(Date.now() + aheadMs),
    compare() {
      const answer = ask().catch(() => false);
      return Promise.race([answer, delay(PATIENCE_MS, false, { ref: false })]);
    },
  };
}
