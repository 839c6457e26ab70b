/*
 * How many rows a table has and how many of them are dead. The safety limits and the report of a run compare these numbers from
 * before and after it, so they must be cheap even for tables of many gigabytes.
 */
import type { Queryable } from "../database.ts";
import { quoteLiteral, quoteTable } from "./identifiers.ts";
import { asMoment, asTimestamp, type CleanupTarget, findObstacles, hasPassed, isDue, isRevoked } from "./target.ts";

/** A row is due if it died before these times. Text, because a Date would lose the microseconds. */
export interface Cutoffs {
  readonly now: string;
  readonly expiredBefore: string;
  readonly revokedBefore: string;
}

export interface ByReason {
  readonly expired: number;
  readonly revoked: number;
}

/** The rows of a table by state; a row that is both expired and revoked counts as expired. */
export interface RowCounts {
  readonly total: number;
  readonly live: number;
  readonly expired: number;
  readonly revoked: number;
  /** Dead and past their retention: a run deletes these. Always exact. */
  readonly due: ByReason;
  /** Past their retention, but kept because other rows refer to them. */
  readonly held: number;
  /** The time of death of the row that has been dead the longest. */
  readonly oldestDeadAt: Date | undefined;
  /** Whether `total` and `live` are the planner's estimate, because the table is too large to count them. */
  readonly isEstimate: boolean;
  readonly tableBytes: number;
  readonly indexBytes: number;
  /** Deleted row versions that no vacuum has removed yet. */
  readonly deadTuples: number;
  readonly vacuumedAt: Date | undefined;
}

/** What a run expects in one of the tables that store the rows. */
export interface LeafCounts {
  /** All rows; the planner's estimate if the target's total is one. */
  readonly total: number;
  /** The rows that a run deletes. Always exact. */
  readonly due: number;
}

/** The number of rows, whatever the reason. */
export function countRows({ expired, revoked }: ByReason): number {
  return expired + revoked;
}

/** A table larger than this (1 GiB) is not read completely just to count it. */
const LARGEST_COUNTED_BYTES = 2 ** 30;

/** The cutoffs of a run that starts now, by the database's clock, because the pod's may be wrong. */
export async function chooseCutoffs(
  db: Queryable,
  { expiredMs, revokedMs }: CleanupTarget["retention"],
): Promise<Cutoffs> {
  const [row] = await db.query<{ now: string; expired_before: string; revoked_before: string }>({
    text: `select now()::text as now, (now() - make_interval(secs => $1))::text as expired_before,
                  (now() - make_interval(secs => $2))::text as revoked_before`,
    values: [expiredMs / 1_000, revokedMs / 1_000],
  });
  if (row === undefined) throw new Error("the database did not return its time");
  return { now: row.now, expiredBefore: row.expired_before, revokedBefore: row.revoked_before };
}

interface Health {
  table_bytes: string;
  index_bytes: string;
  dead_tuples: string;
  vacuumed_at: Date | null;
  /** The planner's estimates, by the oid of each leaf. */
  estimated_rows: Record<string, number> | null;
}

interface LeafRow {
  leaf: string;
  total: string;
  expired: string;
  revoked: string;
  due_expired: string;
  due_revoked: string;
  held: string;
  oldest_dead_at: Date | null;
}

/** Counts a table's rows, including those of its partitions: see `countLeaves`. */
export async function countTarget(db: Queryable, target: CleanupTarget, cutoffs: Cutoffs): Promise<RowCounts> {
  return (await countLeaves(db, target, cutoffs)).counts;
}

/**
 * Counts a table's rows in one statement and so in one snapshot: the sums, and the numbers of each leaf by its oid. Leaves
 * without rows may be missing.
 */
export async function countLeaves(
  db: Queryable,
  target: CleanupTarget,
  cutoffs: Cutoffs,
): Promise<{ readonly counts: RowCounts; readonly leaves: ReadonlyMap<string, LeafCounts> }> {
  const [health] = await db.query<Health>({ text: HEALTH, values: [target.oid] });
  const tableBytes = Number(health?.table_bytes ?? 0);
  const isEstimate = tableBytes > LARGEST_COUNTED_BYTES;
  const rows = await db.query<LeafRow>({ text: formatCount(target, cutoffs, isEstimate) });
  const estimates = health?.estimated_rows ?? {};
  const sum = (of: (row: LeafRow) => string) => rows.reduce((total, row) => total + Number(of(row)), 0);
  const expired = sum((row) => row.expired);
  const revoked = sum((row) => row.revoked);
  const estimate = Object.values(estimates).reduce((total, value) => total + value, 0);
  const total = isEstimate ? Math.max(estimate, expired + revoked) : sum((row) => row.total);
  const died = rows.flatMap(({ oldest_dead_at }) => (oldest_dead_at === null ? [] : [oldest_dead_at.getTime()]));
  const leaves = rows.map((row): [string, LeafCounts] => [
    row.leaf,
    {
      total: Math.max(Number(row.total), isEstimate ? (estimates[row.leaf] ?? 0) : 0),
      due: Number(row.due_expired) + Number(row.due_revoked),
    },
  ]);
  return {
    counts: {
      total,
      live: total - expired - revoked,
      expired,
      revoked,
      due: { expired: sum((row) => row.due_expired), revoked: sum((row) => row.due_revoked) },
      held: sum((row) => row.held),
      oldestDeadAt: died.length === 0 ? undefined : new Date(died.reduce((first, next) => Math.min(first, next))),
      isEstimate,
      tableBytes,
      indexBytes: Number(health?.index_bytes ?? 0),
      deadTuples: Number(health?.dead_tuples ?? 0),
      vacuumedAt: health?.vacuumed_at ?? undefined,
    },
    leaves: new Map(leaves),
  };
}

/** Reads the table once. With `isDeadOnly`, for large tables, it reads only the dead rows, which indexes find. */
function formatCount(target: CleanupTarget, cutoffs: Cutoffs, isDeadOnly: boolean): string {
  const now = asTimestamp(cutoffs.now);
  const expired = `coalesce(${hasPassed(target.expiresAt, now)}, false)`;
  const revoked = `coalesce(${isRevoked(target, now) ?? "false"}, false)`;
  const expiredBefore = asTimestamp(cutoffs.expiredBefore);
  const revokedBefore = asTimestamp(cutoffs.revokedBefore);
  const pastExpiry = `coalesce(${hasPassed(target.expiresAt, expiredBefore)}, false)`;
  const pastRevocation = `coalesce(${isRevoked(target, revokedBefore) ?? "false"}, false)`;
  const isFree = findObstacles(target).join(" and ") || "true";
  const died = target.revokedAt === undefined ? "" : `, ${asMoment(target.revokedAt)}`;
  const leaf = target.isPartitioned ? "tableoid::text" : quoteLiteral(target.oid);
  return `select ${leaf} as leaf, count(*) as total,
                 count(*) filter (where ${expired}) as expired,
                 count(*) filter (where ${revoked} and not ${expired}) as revoked,
                 count(*) filter (where ${pastExpiry} and ${isFree}) as due_expired,
                 count(*) filter (where ${pastRevocation} and not ${pastExpiry} and ${isFree}) as due_revoked,
                 count(*) filter (where (${pastExpiry} or ${pastRevocation}) and not (${isFree})) as held,
                 min(least(${asMoment(target.expiresAt)}${died})) filter (where ${expired} or ${revoked}) as oldest_dead_at
          from ${quoteTable(target)} as target${isDeadOnly ? ` where ${isDue(target, now, now)}` : ""}
          ${target.isPartitioned ? "group by tableoid" : ""}`;
}

/** SQL: a relation and all its partitions; pg_partition_tree alone returns nothing for a plain table. */
function withPartitions(oid: string): string {
  return `(select ${oid} as relid union select relid::oid from pg_partition_tree(${oid}::regclass))`;
}

const HEALTH = `
  select coalesce(sum(pg_table_size(c.oid)), 0) as table_bytes, coalesce(sum(pg_indexes_size(c.oid)), 0) as index_bytes,
         coalesce(sum(s.n_dead_tup), 0) as dead_tuples, min(greatest(s.last_vacuum, s.last_autovacuum)) as vacuumed_at,
         json_object_agg(c.oid::text, greatest(c.reltuples, 0)::bigint) filter (where c.relkind <> 'p') as estimated_rows
  from ${withPartitions("$1::oid")} tree join pg_class c on c.oid = tree.relid
    left join pg_stat_user_tables s on s.relid = c.oid`;
