/*
 * One batch of deletions. It must be short enough to disturb nobody, and complete in itself: a run that is killed after any
 * batch has deleted nothing that is not recorded.
 */

import type { Queryable } from "../database.ts";
import { findCascadeColumns, formatCascadeCount } from "./cascades.ts";
import { isTrue } from "./condition.ts";
import type { ByReason, Cutoffs } from "./counts.ts";
import { formatDueAlone, formatDueRows, type Range, rangeValues } from "./due.ts";
import { hasExpiredByAny } from "./families.ts";
import { formatTableName, quoteIdentifier, quoteLiteral } from "./identifiers.ts";
import { cutoffsAt, findLinks } from "./references.ts";
import { asTimestamp, type CleanupTarget, eventOf, hasExpired, isOwnTable, keyAsText } from "./target.ts";
import { wholeTree } from "./tree.ts";

/**
 * What a batch does with a row that another session has locked: wait until lock_timeout ends the batch, or leave the row
 * for the next run.
 */
export type OnLockedRow = "wait" | "skip";

/** A table that stores rows: the target itself, or one of its partitions. */
export interface Leaf {
  readonly oid: string;
  /** The quoted name, for SQL. */
  readonly sql: string;
}

/** How many rows were deleted, and how many rows of other tables went with them by ON DELETE CASCADE, in all and by table. */
export interface Deleted extends ByReason {
  readonly cascaded: number;
  readonly taken: Readonly<Record<string, number>>;
}

export const NOTHING_DELETED: Deleted = { expired: 0, revoked: 0, cascaded: 0, taken: {} };

export function addDeleted(left: Deleted, right: Deleted): Deleted {
  const tables = new Set([...Object.keys(left.taken), ...Object.keys(right.taken)]);
  return {
    expired: left.expired + right.expired,
    revoked: left.revoked + right.revoked,
    cascaded: left.cascaded + right.cascaded,
    taken: Object.fromEntries(
      [...tables].map((table) => [table, (left.taken[table] ?? 0) + (right.taken[table] ?? 0)]),
    ),
  };
}

/** How many blocks the leaf has now. Rows that are inserted later are live and need not be visited. */
export async function countBlocks(db: Queryable, leaf: Leaf): Promise<number> {
  const [row] = await db.query<{ blocks: string }>({
    text: "select pg_relation_size($1::oid::regclass) / current_setting('block_size')::bigint as blocks",
    values: [leaf.oid],
  });
  return Number(row?.blocks ?? 0);
}

/** The tables that store the rows, ordered by name: the target's partitions, or the target itself and its children. */
export async function findLeaves(db: Queryable, target: CleanupTarget): Promise<Leaf[]> {
  return db.query<{ oid: string; sql: string }>({
    text: `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as sql
           from ${wholeTree("$1::oid")} tree join pg_class c on c.oid = tree.relid join pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' order by 2`,
    values: [target.oid],
  });
}

export interface BatchOptions {
  /** With a TimeRange, `maxRows` must be set. */
  readonly range: Range;
  /** The row of cleanup_runs that counts the deleted rows. */
  readonly runId: string;
  readonly cutoffs: Cutoffs;
  readonly onLockedRow: OnLockedRow;
  /** The largest number of rows to delete. If it is set, locked rows are skipped even if `onLockedRow` says to wait. */
  readonly maxRows: number | undefined;
}

/** What a batch has deleted. `last` is the latest time of the rows of a TimeRange; undefined if there were none. */
export interface BatchResult extends Deleted {
  readonly last: string | undefined;
}

/**
 * Deletes the dead rows of a range that are past their retention. Deletion, audit trail and the count in cleanup_runs are
 * one statement, and so one transaction. A row that was changed meanwhile is checked again under its lock (Postgres manual,
 * 13.2.1), so a row that was extended survives.
 *
 * The statement has no name, so that it is planned each time: a plan for any range of blocks may be bad for this range.
 */
export async function deleteBatch(
  db: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: BatchOptions,
): Promise<BatchResult> {
  const [row] = await db.query<{
    expired: string;
    revoked: string;
    taken: Record<string, number> | null;
    last: string | null;
  }>({ text: formatBatch(target, leaf, options), values: [options.runId, ...rangeValues(options.range)] });
  const taken = row?.taken ?? {};
  return {
    expired: Number(row?.expired ?? 0),
    revoked: Number(row?.revoked ?? 0),
    cascaded: Object.values(taken).reduce((sum, rows) => sum + rows, 0),
    taken,
    last: row?.last ?? undefined,
  };
}

/** What `counted` returns is read only once: it has everything that the later parts need. */
function formatBatch(target: CleanupTarget, leaf: Leaf, options: Omit<BatchOptions, "runId">): string {
  const hasTrail = target.audit !== "none";
  return `with recursive ${isWholeRange(target, options) ? formatRange(target, options) : formatDeletion(target, leaf, options)}${
    hasTrail ? formatTrail(target) : ""
  }, tally as (
    update apitoken.cleanup_runs set deleted = deleted + expired + revoked
    from counted where id = $1 and expired + revoked > 0
  )
  select expired, revoked, last, taken from counted${hasTrail ? ", (select count(*) from trail) as recorded" : ""}`;
}

/** Whether the schema's function for our own table can delete the whole batch without knowing anything else. */
function isWholeRange(target: CleanupTarget, { range, onLockedRow, maxRows }: Omit<BatchOptions, "runId">): boolean {
  const hasOwnKey = target.audit !== "rows" || (target.key.length === 1 && target.key[0] === "id");
  const isPlain = target.references.length === 0 && hasOwnKey;
  return isOwnTable(target) && isPlain && "fromBlock" in range && onLockedRow === "wait" && maxRows === undefined;
}

function formatRange(target: CleanupTarget, { cutoffs }: Omit<BatchOptions, "runId">): string {
  return `counted as materialized (
    select expired, revoked, expired_keys, revoked_keys, null::text as last, null::jsonb as taken
    from apitoken.delete_dead_range($2::tid, $3::tid, ${asTimestamp(cutoffs.expiredBefore)},
      ${asTimestamp(cutoffs.revokedBefore)}, ${target.audit === "rows"})
  )`;
}

function formatDeletion(target: CleanupTarget, leaf: Leaf, options: Omit<BatchOptions, "runId">): string {
  const { cutoffs, range, onLockedRow, maxRows } = options;
  const expiredBefore = asTimestamp(cutoffs.expiredBefore);
  const isWaiting = onLockedRow === "wait" && maxRows === undefined;
  const time = "time" in range ? range.time : undefined;
  const select = `select target.ctid from only ${leaf.sql} as target where ${formatDueRows(target, leaf.sql, options)}`;
  const where = isWaiting
    ? formatDueRows(target, leaf.sql, options)
    : `target.ctid = any(array(${select} for update skip locked)) and ${formatDueAlone(target, cutoffs)}`;
  const cascades = formatCascadeCount(target, "taken");
  const columns = findCascadeColumns(target).map((column) => quoteIdentifier(column));
  const expired =
    findLinks(target).length > 0
      ? hasExpiredByAny(target, cutoffsAt(asTimestamp(cutoffs.now)))
      : isTrue(hasExpired(target, expiredBefore));
  const returned = [
    `${expired} as has_expired`,
    ...(target.audit === "rows" ? [`${keyAsText(target)} as row_key`] : []),
    ...(time === undefined ? [] : [`target.${quoteIdentifier(time.column)} as died`]),
    ...(cascades === undefined ? [] : ["target.tableoid as relation"]),
    ...(cascades === undefined ? [] : columns.map((column, place) => `target.${column} as cascade_${place}`)),
  ].join(", ");
  // Of our own table the role may delete nothing; the function checks once more what it is given.
  const deletion = isOwnTable(target)
    ? `select ${returned} from apitoken.delete_dead_tokens(array(${select}), ${expiredBefore},
         ${asTimestamp(cutoffs.revokedBefore)}, ${!isWaiting}) as target`
    : `delete from only ${leaf.sql} as target where ${where} returning ${returned}`;
  const keys = (reason: string) =>
    target.audit === "rows" ? `array_agg(row_key) filter (where ${reason})` : "null::text[]";
  const taken = ["relation as tableoid", ...columns.map((column, place) => `cascade_${place} as ${column}`)].join(", ");
  return `gone as (
    ${deletion}
  )${cascades === undefined ? "" : `, taken as (select ${taken} from gone), ${cascades.parts}`}, counted as materialized (
    select count(*) filter (where has_expired) as expired, count(*) filter (where not has_expired) as revoked,
           ${keys("has_expired")} as expired_keys, ${keys("not has_expired")} as revoked_keys,
           ${time === undefined ? "null::text" : "max(died)::text"} as last, ${cascades?.counts ?? "null::jsonb"} as taken
    from gone
  )`;
}

function formatTrail(target: CleanupTarget): string {
  return `, trail as materialized (
    select apitoken.record_cleaned(${quoteLiteral(eventOf(target))}, reason,
             jsonb_build_object('run', $1::bigint, 'table', ${quoteLiteral(formatTableName(target))}, 'rows', rows), row_keys)
    from counted, lateral (values ('Expired', expired, expired_keys), ('Revoked', revoked, revoked_keys))
      as by_reason (reason, rows, row_keys)
    where rows > 0)`;
}
