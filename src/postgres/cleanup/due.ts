/*
 * Which rows of a leaf a batch is about: those that are due, in a range of blocks, of times, or of single rows.
 */
import type { Cutoffs } from "./counts.ts";
import { formatStuck, formatStuckAmong, isDueInFamily, isLast, isNotAmong } from "./families.ts";
import { quoteIdentifier, quoteLiteral } from "./identifiers.ts";
import { cutoffsAt, findConditions, findLinks } from "./references.ts";
import { asTimestamp, type CleanupTarget, hasExpired, type IndexedTime, isDue, wasRevoked } from "./target.ts";
import { latestPassed } from "./times.ts";

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

/** Rows by their places, as far as they are due. */
export interface RowList {
  readonly places: readonly string[];
}

export type Range = BlockRange | TimeRange | RowList;

/** The values of `$2` and `$3`. */
export function rangeValues(range: Range): unknown[] {
  if ("places" in range) return [range.places];
  return "time" in range ? [] : [`(${range.fromBlock},0)`, `(${range.toBlock},0)`];
}

/** SQL: whether a row is due and no other table keeps it: all that has to be judged again when the row has changed. */
export function formatDueAlone(target: CleanupTarget, { now, expiredBefore, revokedBefore }: Cutoffs): string {
  const due = isDue(target, asTimestamp(expiredBefore), asTimestamp(revokedBefore));
  return [due, ...findConditions(target, cutoffsAt(asTimestamp(now)))].join(" and ");
}

/** SQL: whether a row is due, and nothing keeps it. Looks at the whole table if its rows refer to each other. */
export function formatDue(target: CleanupTarget, cutoffs: Cutoffs): string {
  const stuck = formatStuck(target, cutoffsAt(asTimestamp(cutoffs.now)));
  return [formatDueAlone(target, cutoffs), ...(stuck === undefined ? [] : [isNotAmong(stuck)])].join(" and ");
}

export interface DueRowsOptions {
  readonly range: Range;
  readonly cutoffs: Cutoffs;
  readonly maxRows: number | undefined;
}

/**
 * SQL: the condition of the rows of a range that are due, then their order and number, for a query of one leaf. A range of times
 * may have rows that are stuck, which a list of the same rows leaves out.
 */
export function formatDueRows(
  target: CleanupTarget,
  leafSql: string,
  { range, cutoffs, maxRows }: DueRowsOptions,
): string {
  const isTimeRange = "reason" in range;
  const conditions = isTimeRange
    ? [formatTimeRange(target, range, cutoffs), formatDueAlone(target, cutoffs)]
    : formatPlaces(target, leafSql, range, cutoffs);
  const last = isLast(target);
  const order = isTimeRange ? ` order by target.${quoteIdentifier(range.time.column)}` : "";
  const limit = maxRows === undefined ? "" : ` limit ${Math.max(0, Math.floor(maxRows))}`;
  return `${[...conditions, ...(last === undefined ? [] : [last])].join(" and ")}${order}${limit}`;
}

/** A TID range scan reads in the order of the disk: it needs no index and never meets the rows of earlier batches. */
function formatPlaces(target: CleanupTarget, leafSql: string, range: BlockRange | RowList, cutoffs: Cutoffs): string[] {
  const cutoffOf = cutoffsAt(asTimestamp(cutoffs.now));
  const isList = "places" in range;
  const within = (row: string) =>
    isList ? `${row}.ctid = any ($2::tid[])` : `${row}.ctid >= $2::tid and ${row}.ctid < $3::tid`;
  if (findLinks(target).length === 0) return [within("target"), formatDueAlone(target, cutoffs)];
  // Rows of another target of the table go with those that they refer to, so a list may have them, too.
  const due = isList
    ? [isDueInFamily(target, cutoffOf, "target"), ...findConditions(target, cutoffOf)].join(" and ")
    : formatDueAlone(target, cutoffs);
  const start = `${within("member")} and ${isDueInFamily(target, cutoffOf, "member")}`;
  const stuck = formatStuckAmong(target, cutoffOf, leafSql, start);
  return [within("target"), due, ...(stuck === undefined ? [] : [isNotAmong(stuck)])];
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
