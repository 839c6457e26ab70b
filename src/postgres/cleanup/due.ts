/*
 * Which rows of a leaf a batch is about: those that are due, in a range of blocks, of times, or of single rows.
 */
import type { Cutoffs } from "./counts.ts";
import { quoteIdentifier, quoteLiteral } from "./identifiers.ts";
import { cutoffsAt, findConditions } from "./references.ts";
import { asTimestamp, type CleanupTarget, hasExpired, type IndexedTime, isDue, wasRevoked } from "./target.ts";
import { latestPassed, type TimeColumn } from "./times.ts";

/** The blocks of a leaf that a batch deletes from. */
export interface BlockRange {
  readonly fromBlock: number;
  /** The first block after the range. */
  readonly toBlock: number;
}

/** The dead rows that a batch deletes: those that an index on this time finds, the earliest first. */
export interface TimeRange extends IndexedTime {
  /** Where the previous batch ended; undefined: from the first row. */
  readonly from: string | undefined;
}

/** Rows by their places, as far as they are due. With `time`, the batch returns the latest of these times. */
export interface RowList {
  readonly places: readonly string[];
  readonly time?: TimeColumn | undefined;
}

export type Range = BlockRange | TimeRange | RowList;

/** The values of `$2` and `$3`. */
export function rangeValues(range: Range): unknown[] {
  if ("places" in range) return [range.places];
  return "time" in range ? [] : [`(${range.fromBlock},0)`, `(${range.toBlock},0)`];
}

/** A TID range scan reads in the order of the disk: it needs no index and never meets the rows of earlier batches. */
const IN_RANGE = "target.ctid >= $2::tid and target.ctid < $3::tid";

/** SQL: whether a row is due, and nothing keeps it. */
export function formatDue(target: CleanupTarget, { now, expiredBefore, revokedBefore }: Cutoffs): string {
  const due = isDue(target, asTimestamp(expiredBefore), asTimestamp(revokedBefore));
  return [due, ...findConditions(target, cutoffsAt(asTimestamp(now)))].join(" and ");
}

/** SQL: the condition of the rows of a range that are due, then their order and number, for a query of one leaf. */
export function formatDueRows(
  target: CleanupTarget,
  {
    range,
    cutoffs,
    maxRows,
  }: { readonly range: Range; readonly cutoffs: Cutoffs; readonly maxRows: number | undefined },
): string {
  const isTimeRange = "reason" in range;
  const within = isTimeRange
    ? formatTimeRange(target, range, cutoffs)
    : "places" in range
      ? "target.ctid = any ($2::tid[])"
      : IN_RANGE;
  const order = isTimeRange ? ` order by target.${quoteIdentifier(range.time.column)}` : "";
  const limit = maxRows === undefined ? "" : ` limit ${Math.max(0, Math.floor(maxRows))}`;
  return `${within} and ${formatDue(target, cutoffs)}${order}${limit}`;
}

/** Uses one of the times only, so that its index can be read in order. */
function formatTimeRange(target: CleanupTarget, { time, reason, from }: TimeRange, cutoffs: Cutoffs): string {
  const column = quoteIdentifier(time.column);
  const died =
    reason === "expired"
      ? hasExpired(target, asTimestamp(cutoffs.expiredBefore))
      : wasRevoked(target, asTimestamp(cutoffs.revokedBefore));
  const before = latestPassed(time, asTimestamp(reason === "expired" ? cutoffs.expiredBefore : cutoffs.revokedBefore));
  const start = from === undefined ? "" : ` and target.${column} >= ${quoteLiteral(from)}::${time.type}`;
  return `target.${column} <= ${before} and ${died}${start}`;
}
