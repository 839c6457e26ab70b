import {
  asMoment,
  asTimestamp,
  type CleanupTarget,
  findObstacles,
  hasPassed,
  isDue,
  isRevoked,
} from "./cleanup-target.ts";
import type { Queryable } from "./database.ts";
import { quoteTable } from "./identifiers.ts";

/** Before these times a row's death must lie, to the microsecond of the database's clock. */
export interface Cutoffs {
  readonly now: string;
  readonly expiredBefore: string;
  readonly revokedBefore: string;
}

export interface ByReason {
  readonly expired: number;
  readonly revoked: number;
}

/** Rows by what is the matter with them; a row that is both expired and revoked counts as expired. */
export interface RowCounts {
  readonly total: number;
  readonly live: number;
  readonly expired: number;
  readonly revoked: number;
  /** Dead, and past their retention: what a run deletes. Always exact. */
  readonly due: ByReason;
  /** Past their retention as well, but other rows refer to them: they stay. */
  readonly held: number;
  /** The time of death of the row that has been dead the longest. */
  readonly oldestDeadAt: Date | undefined;
  /** Whether `total` and `live` are the planner's estimate: a large table is not read through to count them. */
  readonly isEstimate: boolean;
  readonly tableBytes: number;
  readonly indexBytes: number;
  /** Deleted row versions that no vacuum has cleared away yet. */
  readonly deadTuples: number;
  readonly vacuumedAt: Date | undefined;
}

/** Rows, whatever they died of. */
export function countRows({ expired, revoked }: ByReason): number {
  return expired + revoked;
}

/** A table larger than this (1 GiB in blocks of 8 KiB) is not read through just to be counted. */
const LARGEST_COUNTED_BYTES = 2 ** 30;

/** The cutoffs of a run that begins now, by the database's clock: the pod's may be wrong. */
export async function chooseCutoffs(
  db: Queryable,
  { expiredMs, revokedMs }: CleanupTarget["retention"],
): Promise<Cutoffs> {
  const [row] = await db.query<{ now: string; expired_before: string; revoked_before: string }>({
    text: `select now()::text as now, (now() - make_interval(secs => $1))::text as expired_before,
                  (now() - make_interval(secs => $2))::text as revoked_before`,
    values: [expiredMs / 1_000, revokedMs / 1_000],
  });
  if (row === undefined) throw new Error("the database did not tell its time");
  return { now: row.now, expiredBefore: row.expired_before, revokedBefore: row.revoked_before };
}

interface Health {
  table_bytes: string;
  index_bytes: string;
  dead_tuples: string;
  vacuumed_at: Date | null;
  estimated_rows: string;
}

/** Counts a table's rows in one statement and so in one snapshot, partitions included. */
export async function countTarget(db: Queryable, target: CleanupTarget, cutoffs: Cutoffs): Promise<RowCounts> {
  const [health] = await db.query<Health>({ text: HEALTH, values: [target.oid] });
  const tableBytes = Number(health?.table_bytes ?? 0);
  const isEstimate = tableBytes > LARGEST_COUNTED_BYTES;
  const [row] = await db.query<Record<string, string> & { oldest_dead_at: Date | null }>({
    text: formatCount(target, cutoffs, isEstimate),
  });
  if (row === undefined) throw new Error("the database did not count");
  const expired = Number(row.expired);
  const revoked = Number(row.revoked);
  const total = isEstimate ? Math.max(Number(health?.estimated_rows), expired + revoked) : Number(row.total);
  return {
    total,
    live: total - expired - revoked,
    expired,
    revoked,
    due: { expired: Number(row.due_expired), revoked: Number(row.due_revoked) },
    held: Number(row.held),
    oldestDeadAt: row.oldest_dead_at ?? undefined,
    isEstimate,
    tableBytes,
    indexBytes: Number(health?.index_bytes ?? 0),
    deadTuples: Number(health?.dead_tuples ?? 0),
    vacuumedAt: health?.vacuumed_at ?? undefined,
  };
}

/** One pass over the table; of a large one over its dead rows alone, which indexes lead to. */
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
  return `select count(*) as total,
                 count(*) filter (where ${expired}) as expired,
                 count(*) filter (where ${revoked} and not ${expired}) as revoked,
                 count(*) filter (where ${pastExpiry} and ${isFree}) as due_expired,
                 count(*) filter (where ${pastRevocation} and not ${pastExpiry} and ${isFree}) as due_revoked,
                 count(*) filter (where (${pastExpiry} or ${pastRevocation}) and not (${isFree})) as held,
                 min(least(${asMoment(target.expiresAt)}${died})) filter (where ${expired} or ${revoked}) as oldest_dead_at
          from ${quoteTable(target)} as target${isDeadOnly ? ` where ${isDue(target, now, now)}` : ""}`;
}

/** SQL: a relation and all its partitions; pg_partition_tree alone returns nothing for a table without any. */
export function withPartitions(oid: string): string {
  return `(select ${oid} as relid union select relid::oid from pg_partition_tree(${oid}::regclass))`;
}

const HEALTH = `
  select coalesce(sum(pg_table_size(c.oid)), 0) as table_bytes, coalesce(sum(pg_indexes_size(c.oid)), 0) as index_bytes,
         coalesce(sum(s.n_dead_tup), 0) as dead_tuples, min(greatest(s.last_vacuum, s.last_autovacuum)) as vacuumed_at,
         coalesce(sum(greatest(c.reltuples, 0)) filter (where c.relkind <> 'p'), 0)::bigint as estimated_rows
  from ${withPartitions("$1::oid")} tree join pg_class c on c.oid = tree.relid
    left join pg_stat_user_tables s on s.relid = c.oid`;
