/*
 * Dropping a partition whose rows are all due costs almost nothing compared with deleting the rows. Finding and detaching it take
 * several transactions, between which a run may be killed, so every step is recorded.
 */
import type { Queryable } from "../database.ts";
import { sqlState } from "../errors.ts";
import type { Leaf } from "./batches.ts";
import { formatConstant } from "./condition.ts";
import { formatTableName, quoteIdentifier } from "./identifiers.ts";
import { asTimestamp, type CleanupTarget } from "./target.ts";
import { isMeant, latestPassed, type TimeColumn } from "./times.ts";

/**
 * A partition, at any level, that is divided by the target's expiry column alone and whose rows are all due: no value within its
 * bounds is a time that has not passed, or one that means "no time".
 */
export interface DeadPartition extends Leaf {
  readonly name: string;
  /** Its parent; a quoted name, for SQL. */
  readonly parentSql: string;
  /** Next to a default partition, Postgres cannot detach a partition concurrently. */
  readonly hasDefaultSibling: boolean;
  /** Somebody has begun to detach it: an earlier run if `isNoted`, a person otherwise. */
  readonly isDetachPending: boolean;
  readonly isNoted: boolean;
  /** Views, functions or foreign keys refer to it and not to the whole table, so it cannot be dropped. */
  readonly hasDependents: boolean;
  /** A user-defined trigger has to run when rows are deleted. */
  readonly hasDeleteTriggers: boolean;
  /** Whether the session's role owns partition and parent, which detaching and dropping require. */
  readonly isOwned: boolean;
  /** The oids of the tables that store its rows; only its own if it is not partitioned further. */
  readonly leaves: readonly string[];
}

interface PartitionRow {
  oid: string;
  sql: string;
  name: string;
  parent_sql: string;
  lower_bound: string;
  upper_bound: string;
  has_default_sibling: boolean;
  is_detach_pending: boolean;
  is_noted: boolean;
  has_dependents: boolean;
  has_delete_triggers: boolean;
  is_owned: boolean;
  leaves: string[];
}

/**
 * All partitions below the target, including those that are being detached, which pg_partition_tree omits. The upper bound is
 * that of FOR VALUES FROM (…) TO (…) with one column, as text.
 */
const FIND = `
  with recursive tree as (
    select $1::oid as relid, 0 as level
    union all
    select i.inhrelid, tree.level + 1 from tree join pg_inherits i on i.inhparent = tree.relid
  )
  select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as sql, n.nspname || '.' || c.relname as name,
         format('%I.%I', pn.nspname, p.relname) as parent_sql,
         substring(pg_get_expr(c.relpartbound, c.oid) from ' FROM \\(''?([^'']*?)''?\\) TO ') as lower_bound,
         substring(pg_get_expr(c.relpartbound, c.oid) from ' TO \\(''?([^'']*?)''?\\)$') as upper_bound,
         pt.partdefid <> 0 as has_default_sibling, i.inhdetachpending as is_detach_pending,
         exists (select from apitoken.detached_partitions noted where noted.relation = c.oid) as is_noted,
         exists (select from pg_depend d where d.refclassid = 'pg_class'::regclass and d.deptype = 'n'
                 and d.classid in ('pg_rewrite'::regclass, 'pg_proc'::regclass) and d.refobjid = any(below.relations))
           or exists (select from pg_constraint f where f.contype = 'f' and f.confrelid = any(below.relations))
           as has_dependents,
         exists (select from pg_trigger t where t.tgrelid in ($1::oid, c.oid) and not t.tgisinternal
                 and t.tgtype & 8 = 8 and t.tgenabled <> 'D') as has_delete_triggers,
         pg_has_role(c.relowner, 'USAGE') and pg_has_role(p.relowner, 'USAGE') as is_owned, below.leaves
  from tree join pg_class c on c.oid = tree.relid join pg_namespace n on n.oid = c.relnamespace
    join pg_inherits i on i.inhrelid = c.oid
    join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    join pg_partitioned_table pt on pt.partrelid = p.oid
    join pg_attribute a on a.attrelid = p.oid and a.attname = $2
    cross join lateral (
      select array_agg(relid::oid) as relations, array_agg(relid::oid::text) filter (where isleaf) as leaves
      from pg_partition_tree(c.oid)) as below
  where pt.partstrat = 'r' and pt.partnatts = 1 and pt.partattrs[0] = a.attnum and c.relkind in ('r', 'p')
    and pg_get_expr(c.relpartbound, c.oid) ~ ' FROM \\((''[^'']*''|[0-9]+)\\) TO \\((''[^'']*''|[0-9]+)\\)$'
  order by tree.level, 2`;

/** The expiry of a target by which its partitions can be dropped: one column, and nothing else decides about a row. */
export function findDividingTime({ expiresAt = [], where }: CleanupTarget): TimeColumn | undefined {
  const [time] = expiresAt;
  return expiresAt.length === 1 && where.length === 0 && time?.plusSeconds === undefined ? time : undefined;
}

/** The partitions whose rows are all due by their bounds; of each branch the topmost. */
export async function findDeadPartitions(
  db: Queryable,
  target: CleanupTarget,
  expiredBefore: string,
): Promise<DeadPartition[]> {
  const time = findDividingTime(target);
  if (!target.isPartitioned || time === undefined) return [];
  const partitions = await db.query<PartitionRow>({ text: FIND, values: [target.oid, time.column] });
  if (partitions.length === 0) return [];
  const column = quoteIdentifier(time.column);
  const never = time.never
    .map(formatConstant)
    .map((value) => `not (${value} between bounds.${column} and bounds.upper)`);
  const verdicts = await db.query<{ is_dead: boolean }>({
    text: `select ${[`upper <= ${latestPassed(time, asTimestamp(expiredBefore))}`, isMeant(time, "bounds"), ...never].join(" and ")} as is_dead
           from (select lower_text::${time.type} as ${column}, upper_text::${time.type} as upper, place
                 from unnest($1::text[], $2::text[]) with ordinality as texts (lower_text, upper_text, place)) as bounds
           order by place`,
    values: [partitions.map(({ lower_bound }) => lower_bound), partitions.map(({ upper_bound }) => upper_bound)],
  });
  const dead = partitions.filter((_, index) => verdicts[index]?.is_dead);
  const parents = new Set(dead.map(({ sql }) => sql));
  return dead
    .filter(({ parent_sql }) => !parents.has(parent_sql))
    .map((row) => ({
      oid: row.oid,
      sql: row.sql,
      name: row.name,
      parentSql: row.parent_sql,
      hasDefaultSibling: row.has_default_sibling,
      isDetachPending: row.is_detach_pending,
      isNoted: row.is_noted,
      hasDependents: row.has_dependents,
      hasDeleteTriggers: row.has_delete_triggers,
      isOwned: row.is_owned,
      leaves: row.leaves,
    }));
}

/** Records that a partition is about to be detached, so that the next run can drop it if this one is killed in between. */
export async function notePartition(db: Queryable, target: CleanupTarget, partition: DeadPartition): Promise<void> {
  await db.query({
    text: `insert into apitoken.detached_partitions (relation, partition_name, target) values ($1, $2, $3)
           on conflict (relation) do update set partition_name = $2, target = $3, noted_at = now()`,
    values: [partition.oid, partition.name, formatTableName(target)],
  });
}

/** Detaches a partition while others keep reading and writing. Finishes a detach that was interrupted. */
export async function detachPartition(db: Queryable, partition: DeadPartition): Promise<void> {
  const way = partition.isDetachPending ? "finalize" : "concurrently";
  await db.query({ text: `alter table ${partition.parentSql} detach partition ${partition.sql} ${way}` });
}

/** Whether a detach failed because another one is in progress or unfinished: Postgres allows one at a time. */
export function isDetachBlocked(error: unknown): boolean {
  return sqlState(error) === "55000";
}

/**
 * The partitions of a target that an earlier run has detached and not dropped. Records of partitions that are still attached
 * are deleted, unless their detach is unfinished: if their owner detaches one some day, the cleanup must not drop it.
 */
export async function findDetachedPartitions(
  db: Queryable,
  target: CleanupTarget,
): Promise<(Leaf & { name: string })[]> {
  await db.query({
    text: `delete from apitoken.detached_partitions noted where target = $1 and not exists (
             select from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.oid = noted.relation and n.nspname || '.' || c.relname = noted.partition_name
               and (not c.relispartition or exists (
                 select from pg_inherits i where i.inhrelid = c.oid and i.inhdetachpending)))`,
    values: [formatTableName(target)],
  });
  return db.query<Leaf & { name: string }>({
    text: `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as sql, noted.partition_name as name
           from apitoken.detached_partitions noted join pg_class c on c.oid = noted.relation
             join pg_namespace n on n.oid = c.relnamespace
           where noted.target = $1 and not c.relispartition order by 2`,
    values: [formatTableName(target)],
  });
}
