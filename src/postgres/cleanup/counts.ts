/*
 * How many rows a table has and how many of them are dead. The safety limits and the report of a run compare these numbers from
 * before and after it, so they must be cheap even for tables of many gigabytes.
 */

import type { Queryable } from "../database.ts";
import { formatCondition, isTrue } from "./condition.ts";
import { formatStuck } from "./families.ts";
import { quoteLiteral, quoteTable } from "./identifiers.ts";
import { cutoffsAt, findConditions } from "./references.ts";
import {
  asTimestamp,
  belongs,
  type CleanupTarget,
  hasExpired,
  hasExpiry,
  isDue,
  TARGET_ROW,
  wasRevoked,
} from "./target.ts";
import { passedAt } from "./times.ts";
import { wholeTree } from "./tree.ts";

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

/** The rows of a target by state; a row that is both expired and revoked counts as expired. */
export interface RowCounts {
  readonly total: number;
  readonly live: number;
  /** Of the live ones those that nothing but a revocation ends. */
  readonly withoutExpiry: number;
  readonly expired: number;
  readonly revoked: number;
  /** Dead and past their retention: a run deletes these. Always exact. */
  readonly due: ByReason;
  /** Past their retention, but kept because other rows refer to them. */
  readonly held: number;
  /** The time of death of the row that has been dead the longest and is not held. */
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
  /** The rows that it would delete if nothing kept them: what keeps them may be gone when it comes to them. */
  readonly held: number;
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
  without_expiry: string;
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
      held: Number(row.held),
    },
  ]);
  return {
    counts: {
      total,
      live: total - expired - revoked,
      withoutExpiry: sum((row) => row.without_expiry),
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
  const expired = isTrue(hasExpired(target, now));
  const revoked = isTrue(wasRevoked(target, now));
  const pastExpiry = isTrue(hasExpired(target, asTimestamp(cutoffs.expiredBefore)));
  const pastRevocation = isTrue(wasRevoked(target, asTimestamp(cutoffs.revokedBefore)));
  const cutoffOf = cutoffsAt(now);
  const conditions = findConditions(target, cutoffOf);
  // Worked out once for each row that is due, and not at each place where it is used, which OFFSET 0 prevents.
  const free = `case when ${pastExpiry} or ${pastRevocation} then ${conditions.join(" and ")} else true end`;
  const stuck = formatStuck(target, cutoffOf);
  const isFree = stuck !== undefined ? "stuck.place is null" : conditions.length === 0 ? "true" : "reach.is_free";
  const reach =
    stuck !== undefined
      ? `left join ${stuck} as stuck on stuck.tableoid = target.tableoid and stuck.place = target.ctid`
      : conditions.length === 0
        ? ""
        : `cross join lateral (select ${free} as is_free offset 0) as reach`;
  const oldest = `min(${formatDeath(target, now)}) filter (where ${isFree})`;
  const isDivided = target.isPartitioned || target.hasChildren;
  return `select ${isDivided ? "target.tableoid::text" : quoteLiteral(target.oid)} as leaf, count(*) as total,
                 count(*) filter (where not ${hasExpiry(target)} and not ${revoked}) as without_expiry,
                 count(*) filter (where ${expired}) as expired,
                 count(*) filter (where ${revoked} and not ${expired}) as revoked,
                 count(*) filter (where ${pastExpiry} and ${isFree}) as due_expired,
                 count(*) filter (where ${pastRevocation} and not ${pastExpiry} and ${isFree}) as due_revoked,
                 count(*) filter (where (${pastExpiry} or ${pastRevocation}) and not (${isFree})) as held,
                 ${oldest} as oldest_dead_at
          from ${quoteTable(target)} as target ${reach} where ${isDeadOnly ? isDue(target, now, now) : belongs(target)}
          ${isDivided ? "group by target.tableoid" : ""}`;
}

/** SQL: when the row died, as far as that has happened by a moment; null if it has not, or if nothing says when. */
function formatDeath({ expiresAt, revokedAt, revoked }: CleanupTarget, moment: string): string {
  const died = expiresAt === undefined ? [] : [passedAt(expiresAt, moment, TARGET_ROW)];
  if (revokedAt !== undefined) {
    const passed = passedAt(revokedAt, moment, TARGET_ROW);
    // Of a row that is not revoked, the time says something else, such as when it was last changed.
    died.push(revoked === undefined ? passed : `case when ${formatCondition(revoked, TARGET_ROW)} then ${passed} end`);
  }
  return died.length === 0 ? "null::timestamptz" : `least(${died.join(", ")})`;
}

/** When the row died that has been dead the longest of those that are still within their retention. */
export async function findOldestWaiting(
  db: Queryable,
  target: CleanupTarget,
  { now, expiredBefore, revokedBefore }: Cutoffs,
): Promise<Date | undefined> {
  const moment = asTimestamp(now);
  const due = isDue(target, asTimestamp(expiredBefore), asTimestamp(revokedBefore));
  const [row] = await db.query<{ oldest: Date | null }>({
    text: `select min(${formatDeath(target, moment)}) as oldest from ${quoteTable(target)} as target
           where ${isDue(target, moment, moment)} and (${due}) is not true`,
  });
  return row?.oldest ?? undefined;
}

const HEALTH = `
  select coalesce(sum(pg_table_size(c.oid)), 0) as table_bytes, coalesce(sum(pg_indexes_size(c.oid)), 0) as index_bytes,
         coalesce(sum(s.n_dead_tup), 0) as dead_tuples, min(greatest(s.last_vacuum, s.last_autovacuum)) as vacuumed_at,
         json_object_agg(c.oid::text, greatest(c.reltuples, 0)::bigint) filter (where c.relkind <> 'p') as estimated_rows
  from ${wholeTree("$1::oid")} tree join pg_class c on c.oid = tree.relid
    left join pg_stat_user_tables s on s.relid = c.oid`;
