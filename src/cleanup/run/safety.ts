/*
 * The checks that keep a run from deleting live rows because a clock, a retention or the server is not what it should be.
 */
import { countRows, type RowCounts } from "../../postgres/cleanup/counts.ts";
import type { ServerState } from "../../postgres/cleanup/pressure.ts";
import { Fault } from "../../runtime/fault.ts";

/** A few rows may all go: a fraction says little about them. */
const FEWEST_ROWS = 20;

/**
 * Why a run must not delete such a large part of a table: that is what a wrong clock or retention looks like. Undefined if
 * it may. Nothing has been deleted yet when this is asked.
 */
export function findExcess(
  table: string,
  counts: Pick<RowCounts, "total" | "due">,
  maxFraction: number,
): Fault | undefined {
  const due = countRows(counts.due);
  return isExcess(due, counts.total, maxFraction)
    ? createExcess(`${due} of ${counts.total} rows of ${table}`, due / counts.total, maxFraction)
    : undefined;
}

/** The same for the rows of other tables that would go with them by ON DELETE CASCADE. */
export function findCascadeExcess(
  table: string,
  cascades: readonly { readonly table: string; readonly rows: number; readonly total: number }[],
  maxFraction: number,
): Fault | undefined {
  const worst = cascades.find(({ rows, total }) => isExcess(rows, total, maxFraction));
  if (worst === undefined) return undefined;
  const what = `with dead rows of ${table}, ${worst.rows} of ${worst.total} rows of ${worst.table}`;
  return createExcess(what, worst.rows / worst.total, maxFraction);
}

function isExcess(rows: number, total: number, maxFraction: number): boolean {
  return total >= FEWEST_ROWS && rows > total * maxFraction;
}

function createExcess(what: string, share: number, maxFraction: number): Fault {
  const percent = (part: number) => `${Math.floor(part * 1_000) / 10} %`;
  return new Fault({
    faultCode: "APITOKEN_E_TOO_MANY_ROWS",
    problem:
      `${what} (${percent(share)}) would be deleted, more than the ${percent(maxFraction)} that --max-fraction allows. ` +
      "Nothing was deleted",
    remedy:
      "check the database's clock and the retentions, and if they are right, run once with a higher --max-fraction",
  });
}

/** Synchronised clocks differ by less than a second: beyond this, one of the two is wrong. */
const CLOCKS_APART_MS = 24 * 3_600_000;
const CLOCKS_NOTICED_MS = 5 * 60_000;

/** Why nothing may be deleted in this database now; undefined if it may. */
export function findObstruction({
  isStandby,
  isReadOnly,
  clockDifferenceMs,
  lastRunAhead,
}: ServerState): Fault | undefined {
  if (isStandby) {
    return new Fault({
      faultCode: "APITOKEN_E_DATABASE_READ_ONLY",
      problem: "This server is a standby and takes no writes",
      remedy: "point DATABASE_URL at the primary",
    });
  }
  if (isReadOnly) {
    return new Fault({
      faultCode: "APITOKEN_E_DATABASE_READ_ONLY",
      problem: "Transactions are read-only in this database. Nothing was deleted",
      remedy: "set default_transaction_read_only to off",
    });
  }
  if (Math.abs(clockDifferenceMs) > CLOCKS_APART_MS) {
    return new Fault({
      faultCode: "APITOKEN_E_CLOCK_WRONG",
      problem:
        `The database's clock is ${describeDifference(clockDifferenceMs)} this machine's. One of them is wrong, and ` +
        "live rows could look dead. Nothing was deleted",
      remedy: "correct the clocks",
    });
  }
  if (lastRunAhead !== undefined) {
    return new Fault({
      faultCode: "APITOKEN_E_CLOCK_WRONG",
      problem:
        `The database's clock was set back: the last run began at ${lastRunAhead.toISOString()}, which is in the ` +
        "future. What was expired then may be live now. Nothing was deleted",
      remedy: "correct the clock, or wait",
    });
  }
  return undefined;
}

/** A warning about clocks that differ noticeably, although only the database's decides. */
export function findClockWarning({ clockDifferenceMs }: ServerState): string | undefined {
  return Math.abs(clockDifferenceMs) <= CLOCKS_NOTICED_MS
    ? undefined
    : `the database's clock is ${describeDifference(clockDifferenceMs)} this machine's; the database's decides`;
}

function describeDifference(differenceMs: number): string {
  const minutes = Math.round(Math.abs(differenceMs) / 60_000);
  return `${minutes} minutes ${differenceMs > 0 ? "ahead of" : "behind"}`;
}
