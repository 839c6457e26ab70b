/*
 * Refusals for the audit trail. Whoever tries a secret again and again costs one entry a minute for each token, and one statement
 * for all of them.
 */
import type { Queryable } from "../../postgres/database.ts";
import { recordFailures, type TokenFailure } from "../../postgres/verifier-reports.ts";
import { isFailureReason } from "../../token/verdict.ts";
import type { Uses } from "./uses.ts";
import { createWaiting } from "./waiting.ts";

/** Collects refusals. */
export interface Refusals {
  note(uses: Uses, why: string, atMs: number, address: string | undefined): void;
  /** Reports them in one statement. Throws the database's errors; what could not be reported is kept. */
  flush(): Promise<void>;
}

/** The database records one a minute for each token. */
const SILENCE_MS = 60_000;

/** Begins with no refusals, and keeps at most `REPORTS_PER_CALL`. */
export function createRefusals(db: Queryable): Refusals {
  const waiting = createWaiting<TokenFailure>(db, recordFailures);
  return {
    note(uses, why, atMs, address) {
      if (uses.refusedMs !== undefined && Math.abs(atMs - uses.refusedMs) < SILENCE_MS) return;
      if (waiting.isFull || !isFailureReason(why)) return;
      uses.refusedMs = atMs;
      waiting.add({ id: uses.id, why, address });
    },
    flush: waiting.flush,
  };
}
