/*
 * One batch of deletions. It must be short enough to disturb nobody, and complete in itself: a run that is killed after any
 * batch has deleted nothing that is not recorded.
 */
import type { Queryable } from "../database.ts";
import type { ReferenceFacts } from "./catalog.ts";
import type { ByReason, Cutoffs } from "./counts.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "./identifiers.ts";
import {
  asTimestamp,
  type CleanupTarget,
  eventOf,
  findObstacles,
  hasPassed,
  isDue,
  isOwnTable,
  keyAsText,
  type TimeColumn,
} from "./target.ts";

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

/** The blocks of a leaf that a batch deletes from. */
export interface BlockRange {
  readonly fromBlock: number;
  /** The first block after the range. */
  readonly toBlock: number;
}

/** The dead rows that a batch deletes: those that an index on this time finds, the earliest first. */
export interface TimeRange {
  readonly time: TimeColumn;
  /** Where the previous batch ended; undefined: from the first row. */
  readonly from: string | undefined;
}

/** How many rows were deleted, and how many rows of other tables with them by ON DELETE CASCADE, counted one level deep. */
export interface Deleted extends ByReason {
  readonly cascaded: number;
}

export const NOTHING_DELETED: Deleted = { expired: 0, revoked: 0, cascaded: 0 };

export function addDeleted(left: Deleted, right: Deleted): Deleted {
  return {
    expired: left.expired + right.expired,
    revoked: left.revoked + right.revoked,
    cascaded: left.cascaded + right.cascaded,
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

/** The tables that store the rows: the target's leaf partitions, ordered by name, or the target itself. */
export async function findLeaves(db: Queryable, target: CleanupTarget): Promise<Leaf[]> {
  if (!target.isPartitioned) return [{ oid: target.oid, sql: quoteTable(target) }];
  return db.query<{ oid: string; sql: string }>({
    text: `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as sql
           from pg_partition_tree($1::oid::regclass) tree
             join pg_class c on c.oid = tree.relid join pg_namespace n on n.oid = c.relnamespace
           where tree.isleaf and c.relkind = 'r' order by 2`,
    values: [target.oid],
  });
}

export interface BatchOptions {
  /** With a TimeRange, `maxRows` must be set. */
  readonly range: BlockRange | TimeRange;
  /** The row of cleanup_runs that counts the deleted rows. */
  readonly runId: string;
  readonly cutoffs: Cutoffs;
  readonly onLockedRow: OnLockedRow;
  /** The largest number of rows to delete. If it is set, locked rows are skipped even if `onLockedRow` says to wait. */
  readonly maxRows: number | undefined;
}

/**
 * Deletes the dead rows of a range that are past their retention. Deletion, audit trail and the count in cleanup_runs are
 * one statement, and so one transaction. A row that was changed meanwhile is checked again under its lock (Postgres manual,
 * 13.2.1), so a row that was extended survives.
 *
 * The statement has no name, so that it is planned each time: a plan for any range of blocks may be bad for this range.
 * `last` is the latest time of the deleted rows of a TimeRange.
 */
export async function deleteBatch(
  db: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: BatchOptions,
): Promise<Deleted & { readonly last: string | undefined }> {
  const { range, runId } = options;
  const [row] = await db.query<{ expired: string; revoked: string; cascaded: string; last: string | null }>({
    text: formatBatch(target, leaf, options),
    values: [runId, ...("time" in range ? [] : [`(${range.fromBlock},0)`, `(${range.toBlock},0)`])],
  });
  return {
    expired: Number(row?.expired ?? 0),
    revoked: Number(row?.revoked ?? 0),
    cascaded: Number(row?.cascaded ?? 0),
    last: row?.last ?? undefined,
  };
}

/** A TID range scan reads in the order of the disk: it needs no index and never meets the rows of earlier batches. */
const IN_RANGE = "ctid >= $2::tid and ctid < $3::tid";

/** What `counted` returns is read only once: it has everything that the later parts need. */
function formatBatch(target: CleanupTarget, leaf: Leaf, options: Omit<BatchOptions, "runId">): string {
  const hasTrail = target.audit !== "none";
  return `with ${isWholeRange(target, options) ? formatRange(target, options) : formatDeletion(target, leaf, options)}${
    hasTrail ? formatTrail(target) : ""
  }, tally as (
    update apitoken.cleanup_runs set deleted = deleted + expired + revoked
    from counted where id = $1 and expired + revoked > 0
  )
  select expired, revoked, last, cascaded from counted${hasTrail ? ", (select count(*) from trail) as recorded" : ""}`;
}

/** Whether the schema's function for our own table can delete the whole batch without knowing anything else. */
function isWholeRange(target: CleanupTarget, { range, onLockedRow, maxRows }: Omit<BatchOptions, "runId">): boolean {
  const hasOwnKey = target.audit !== "rows" || (target.key.length === 1 && target.key[0] === "id");
  const isPlain = target.references.length === 0 && hasOwnKey;
  return isOwnTable(target) && isPlain && !("time" in range) && onLockedRow === "wait" && maxRows === undefined;
}

function formatRange(target: CleanupTarget, { cutoffs }: Omit<BatchOptions, "runId">): string {
  return `counted as materialized (
    select expired, revoked, expired_keys, revoked_keys, null::text as last, 0 as cascaded
    from apitoken.delete_dead_range($2::tid, $3::tid, ${asTimestamp(cutoffs.expiredBefore)},
      ${asTimestamp(cutoffs.revokedBefore)}, ${target.audit === "rows"})
  )`;
}

function formatDeletion(
  target: CleanupTarget,
  leaf: Leaf,
  { cutoffs, range, onLockedRow, maxRows }: Omit<BatchOptions, "runId">,
): string {
  const expiredBefore = asTimestamp(cutoffs.expiredBefore);
  const revokedBefore = asTimestamp(cutoffs.revokedBefore);
  const due = [isDue(target, expiredBefore, revokedBefore), ...findObstacles(target)].join(" and ");
  const inRange = `${"time" in range ? formatTimeRange(target, range, cutoffs) : IN_RANGE} and ${due}`;
  const order = "time" in range ? ` order by ${quoteIdentifier(range.time.column)}` : "";
  const limit = maxRows === undefined ? "" : ` limit ${Math.max(0, Math.floor(maxRows))}`;
  const isWaiting = onLockedRow === "wait" && maxRows === undefined;
  const select = `select ctid from only ${leaf.sql} as target where ${inRange}${order}${limit}`;
  const where = isWaiting ? inRange : `ctid = any(array(${select} for update skip locked)) and ${due}`;
  const cascades = target.references.filter(({ onDelete }) => onDelete === "cascade");
  const cascadeColumns = [...new Set(cascades.flatMap(({ referencedColumns }) => referencedColumns))];
  const returned = [
    `coalesce(${hasPassed(target.expiresAt, expiredBefore)}, false) as has_expired`,
    ...(target.audit === "rows" ? [`${keyAsText(target)} as row_key`] : []),
    ...("time" in range ? [`${quoteIdentifier(range.time.column)} as died`] : []),
    ...cascadeColumns.map((column) => `${quoteIdentifier(column)} as ${quoteIdentifier(`cascade_${column}`)}`),
  ].join(", ");
  // Of our own table the role may delete nothing; the function checks once more what it is given.
  const deletion = isOwnTable(target)
    ? `select ${returned} from apitoken.delete_dead_tokens(array(${select}), ${expiredBefore}, ${revokedBefore},
         ${!isWaiting}) as target`
    : `delete from only ${leaf.sql} as target where ${where} returning ${returned}`;
  const keys = (reason: string) =>
    target.audit === "rows" ? `array_agg(row_key) filter (where ${reason})` : "null::text[]";
  return `gone as (
    ${deletion}
  ), counted as materialized (
    select count(*) filter (where has_expired) as expired, count(*) filter (where not has_expired) as revoked,
           ${keys("has_expired")} as expired_keys, ${keys("not has_expired")} as revoked_keys,
           ${"time" in range ? "max(died)::text" : "null::text"} as last,
           ${cascades.length === 0 ? "0" : cascades.map(countCascaded).join(" + ")} as cascaded
    from gone
  )`;
}

/** Uses one of the times only, so that its index can be read in order. */
function formatTimeRange(target: CleanupTarget, { time, from }: TimeRange, cutoffs: Cutoffs): string {
  const isExpiry = time.column === target.expiresAt.column;
  const before = asTimestamp(isExpiry ? cutoffs.expiredBefore : cutoffs.revokedBefore);
  const start = from === undefined ? "" : ` and ${quoteIdentifier(time.column)} >= ${quoteLiteral(from)}::${time.type}`;
  return `${hasPassed(time, before)}${start}`;
}

function formatTrail(target: CleanupTarget): string {
  return `, trail as materialized (
    select apitoken.record_cleaned(${quoteLiteral(eventOf(target))}, reason,
             jsonb_build_object('run', $1::bigint, 'table', ${quoteLiteral(target.name)}, 'rows', rows), row_keys)
    from counted, lateral (values ('Expired', expired, expired_keys), ('Revoked', revoked, revoked_keys))
      as by_reason (reason, rows, row_keys)
    where rows > 0)`;
}

/** Counts in the snapshot from before the deletion, which is what the whole statement sees. */
function countCascaded(reference: ReferenceFacts): string {
  const matches = reference.columns.map(
    (column, place) =>
      `referring.${quoteIdentifier(column)} = gone.${quoteIdentifier(`cascade_${reference.referencedColumns[place]}`)}`,
  );
  return `(select count(*) from gone join ${quoteTable(reference)} as referring on ${matches.join(" and ")})`;
}
