/*
 * Refusals for the audit trail. Whoever tries a secret again and again costs one entry a minute for each token, and one statement
 * for all of them.
 */
import type { Queryable } from "../../postgres/database.ts";
import { REPORTS_PER_CALL, recordFailures, type TokenFailure } from "../../postgres/verifier-reports.ts";
import { isFailureReason } from "../../token/verdict.ts";
import type { Uses } from "./uses.ts";

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
  let waiting: TokenFailure[] = [];
  return {
    note(uses, why, atMs, address) {
      if (Math.abs(atMs - uses.refusedMs) < SILENCE_MS) return;
      if (waiting.length >= REPORTS_PER_CALL || !isFailureReason(why)) return;
      uses.refusedMs = atMs;
      waiting.push({ id: uses.id, why, address });
    },
    async flush() {
      const batch = waiting;
      if (batch.length === 0) return;
      waiting = [];
      try {
        await recordFailures(db, batch);
      } catch (error) {
        waiting = [...batch, ...waiting].slice(0, REPORTS_PER_CALL);
        throw error;
      }
    },
  };
}
