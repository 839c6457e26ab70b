import type { RowCounts } from "../postgres/cleanup/counts.ts";
import type { ServerState } from "../postgres/cleanup/pressure.ts";

/** Small tables may be emptied: there a part says little. */
const SMALL_TABLE_ROWS = 1_000;

/**
 * Why a run must not delete so much of a table: a wrong clock or a wrong retention would look just so. Undefined when
 * it may. Nothing has been deleted yet when this is asked.
 */
export function findExcess(
  table: string,
  counts: Pick<RowCounts, "total" | "due">,
  maxFraction: number,
): string | undefined {
  const due = counts.due.expired + counts.due.revoked;
  if (counts.total <= SMALL_TABLE_ROWS || due <= counts.total * maxFraction) return undefined;
  const percent = (part: number) => `${Math.floor(part * 1_000) / 10} %`;
  return (
    `${due} of ${counts.total} rows of ${table} (${percent(due / counts.total)}) would be deleted, more than the ` +
    `${percent(maxFraction)} that --max-fraction allows. Nothing was deleted. Check the database's clock and the ` +
    "retentions; if this is right, run once with a higher --max-fraction."
  );
}

/** Between computers whose clocks somebody looks after there are seconds; here one of the two is plainly wrong. */
const CLOCKS_APART_MS = 24 * 3_600_000;
const CLOCKS_NOTICED_MS = 5 * 60_000;

/** Why nothing may be deleted in this database now; undefined when it may. */
export function findObstruction({
  isStandby,
  isReadOnly,
  clockDifferenceMs,
  lastRunAhead,
}: ServerState): string | undefined {
  if (isStandby) {
    return "This server is a standby and takes no writes. Let DATABASE_URL lead to the primary.";
  }
  if (isReadOnly) return "Transactions are read-only here (default_transaction_read_only). Nothing was deleted.";
  if (Math.abs(clockDifferenceMs) > CLOCKS_APART_MS) {
    return `The database's clock is ${describeDifference(clockDifferenceMs)} this machine's. One of the two is wrong, and by the wrong one live rows may look dead. Nothing was deleted; set the clocks right.`;
  }
  if (lastRunAhead !== undefined) {
    return `The database's clock was set back: the last run began at ${lastRunAhead.toISOString()}, which lies ahead. What was expired then may be live now. Nothing was deleted; set the clock right, or wait.`;
  }
  return undefined;
}

/** What of the clocks deserves a warning, though the database's alone decides. */
export function findClockWarning({ clockDifferenceMs }: ServerState): string | undefined {
  return Math.abs(clockDifferenceMs) <= CLOCKS_NOTICED_MS
    ? undefined
    : `the database's clock is ${describeDifference(clockDifferenceMs)} this machine's; the database's decides`;
}

function describeDifference(differenceMs: number): string {
  const minutes = Math.round(Math.abs(differenceMs) / 60_000);
  return `${minutes} minutes ${differenceMs > 0 ? "ahead of" : "behind"}`;
}
