import type { TokenCounts } from "../postgres/cleanup-tokens.ts";

/** Small tables may be emptied: there a part says little. */
const SMALL_TABLE_ROWS = 1_000;

/**
 * Why a run must not delete so much of a table: a wrong clock or a wrong retention would look just so. Undefined when
 * it may. Nothing has been deleted yet when this is asked.
 */
export function findExcess(table: string, counts: TokenCounts, maxFraction: number): string | undefined {
  const due = counts.due.expired + counts.due.revoked;
  if (counts.total <= SMALL_TABLE_ROWS || due <= counts.total * maxFraction) return undefined;
  const percent = (part: number) => `${Math.floor(part * 1_000) / 10} %`;
  return (
    `${due} of ${counts.total} rows of ${table} (${percent(due / counts.total)}) would be deleted, more than the ` +
    `${percent(maxFraction)} that --max-fraction allows. Nothing was deleted. Check the database's clock and the ` +
    "retentions; if this is right, run once with a higher --max-fraction."
  );
}
