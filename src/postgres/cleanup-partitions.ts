import type { Leaf } from "./cleanup-batches.ts";
import { withPartitions } from "./cleanup-counts.ts";
import { asTimestamp, type CleanupTarget, eventOf, keyAsText, momentAs } from "./cleanup-target.ts";
import type { Queryable } from "./database.ts";
import { sqlState } from "./errors.ts";
import { quoteLiteral } from "./identifiers.ts";

/** A partition, at whatever level, that is cut by the target's expiry column alone and whose every row is due. */
export interface DeadPartition extends Leaf {
  readonly name: string;
  /** What it is a partition of, as it stands in SQL. */
  readonly parentSql: string;
  /** With a default partition beside it Postgres cannot detach it concurrently. */
  readonly hasDefaultSibling: boolean;
  /** An earlier run has begun to detach it. */
  readonly isDetachPending: boolean;
  /** Whether the session's role owns both, as detaching and dropping need it. */
  readonly isOwned: boolean;
  readonly bytes: number;
}

interface PartitionRow {
  oid: string;
  sql: string;
  name: string;
  parent_sql: string;
  upper_bound: string;
  has_default_sibling: boolean;
  is_detach_pending: boolean;
  is_owned: boolean;
  bytes: string;
}

/**
 * All partitions below the target, those that are being detached as well (which pg_partition_tree leaves out). The
 * upper bound is that of FOR VALUES FROM (…) TO (…) with one column; text of the catalog.
 */
const FIND = `
  with recursive tree as (
    select $1::oid as relid, 0 as level
    union all
    select i.inhrelid, tree.level + 1 from tree join pg_inherits i on i.inhparent = tree.relid
  )
  select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as sql, n.nspname || '.' || c.relname as name,
         format('%I.%I', pn.nspname, p.relname) as parent_sql,
         substring(pg_get_expr(c.relpartbound, c.oid) from ' TO \\(''?([^'']*?)''?\\)$') as upper_bound,
         pt.partdefid <> 0 as has_default_sibling, i.inhdetachpending as is_detach_pending,
         pg_has_role(c.relowner, 'USAGE') and pg_has_role(p.relowner, 'USAGE') as is_owned,
         (select coalesce(sum(pg_total_relation_size(leaf.relid)), 0) from pg_partition_tree(c.oid) leaf) as bytes
  from tree join pg_class c on c.oid = tree.relid join pg_namespace n on n.oid = c.relnamespace
    join pg_inherits i on i.inhrelid = c.oid
    join pg_class p on p.oid = i.inhparent join pg_namespace pn on pn.oid = p.relnamespace
    join pg_partitioned_table pt on pt.partrelid = p.oid
    join pg_attribute a on a.attrelid = p.oid and a.attname = $2
  where pt.partstrat = 'r' and pt.partnatts = 1 and pt.partattrs[0] = a.attnum and c.relkind in ('r', 'p')
    and pg_get_expr(c.relpartbound, c.oid) ~ ' TO \\((''[^'']*''|[0-9]+)\\)$'
  order by tree.level, 2`;

/** The partitions whose upper bound is not after the cutoff: the topmost of each branch. */
export async function findDeadPartitions(
  db: Queryable,
  target: CleanupTarget,
  expiredBefore: string,
): Promise<DeadPartition[]> {
  if (!target.isPartitioned) return [];
  const partitions = await db.query<PartitionRow>({ text: FIND, values: [target.oid, target.expiresAt.column] });
  if (partitions.length === 0) return [];
  const cutoff = momentAs(target.expiresAt, asTimestamp(expiredBefore));
  const verdicts = await db.query<{ is_dead: boolean }>({
    text: `select bound::${target.expiresAt.type} <= ${cutoff} as is_dead
           from unnest($1::text[]) with ordinality as bounds (bound, place) order by place`,
    values: [partitions.map(({ upper_bound }) => upper_bound)],
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
      isOwned: row.is_owned,
      bytes: Number(row.bytes),
    }));
}

/** Notes what is about to be detached, so that the next run can drop it should this one be killed in between. */
export async function notePartition(db: Queryable, target: CleanupTarget, partition: DeadPartition): Promise<void> {
  await db.query({
    text: `insert into apitoken.detached_partitions (relation, partition_name, target) values ($1, $2, $3)
           on conflict (relation) do update set partition_name = $2, target = $3, noted_at = now()`,
    values: [partition.oid, partition.name, target.name],
  });
}

/** Detaches it; others may go on reading and writing meanwhile. A detach that was interrupted is finished. */
export async function detachPartition(db: Queryable, partition: DeadPartition): Promise<void> {
  const way = partition.isDetachPending ? "finalize" : "concurrently";
  await db.query({ text: `alter table ${partition.parentSql} detach partition ${partition.sql} ${way}` });
}

/** Whether a detach failed because another one is under way, or half done: Postgres allows one at a time. */
export function isDetachBlocked(error: unknown): boolean {
  return sqlState(error) === "55000";
}

/** The partitions of a target that an earlier run has noted and that are no longer attached to anything. */
export async function findDetachedPartitions(
  db: Queryable,
  target: CleanupTarget,
): Promise<(Leaf & { name: string })[]> {
  await db.query({
    text: `delete from apitoken.detached_partitions noted where target = $1 and not exists (
             select from pg_class c join pg_namespace n on n.oid = c.relnamespace
             where c.oid = noted.relation and n.nspname || '.' || c.relname = noted.partition_name)`,
    values: [target.name],
  });
  return db.query<Leaf & { name: string }>({
    text: `select c.oid::text as oid, format('%I.%I', n.nspname, c.relname) as sql, noted.partition_name as name
           from apitoken.detached_partitions noted join pg_class c on c.oid = noted.relation
             join pg_namespace n on n.oid = c.relnamespace
           where noted.target = $1 and not c.relispartition order by 2`,
    values: [target.name],
  });
}

/**
 * Drops a detached partition with its record in the trail, in one transaction; returns how many rows went. Their keys
 * are read for audit "rows" alone; else, where the planner knows their number well enough, nothing is read at all.
 */
export async function dropPartition(
  session: Queryable,
  target: CleanupTarget,
  partition: Leaf & { readonly name: string },
  runId: string,
): Promise<number> {
  await session.query({ text: "begin" });
  try {
    await session.query({ text: `lock table ${partition.sql} in access exclusive mode` });
    const rows = await recordPartition(session, target, partition, runId);
    await session.query({ text: `drop table ${partition.sql}` });
    await session.query({
      text: `with noted as (delete from apitoken.detached_partitions where relation = $1)
             update apitoken.cleanup_runs set deleted = deleted + $2 where id = $3`,
      values: [partition.oid, rows, runId],
    });
    await session.query({ text: "commit" });
    return rows;
  } catch (error) {
    await session.query({ text: "rollback" }).catch(() => {}); // the first error says more
    throw error;
  }
}

/** So many blocks' keys make one event: an array in Postgres ends at 1 GiB. */
const BLOCKS_PER_EVENT = 8_192;

async function recordPartition(
  session: Queryable,
  target: CleanupTarget,
  partition: Leaf & { readonly name: string },
  runId: string,
): Promise<number> {
  const rows = await countPartition(session, partition, target.audit === "rows");
  if (target.audit === "none") return rows;
  const detail = `jsonb_build_object('run', $1::bigint, 'table', ${quoteLiteral(target.name)},
    'partition', ${quoteLiteral(partition.name)}, 'rows', `;
  await session.query({
    text:
      target.audit === "rows"
        ? `insert into apitoken.security_events (event, reason, actor, detail, row_keys)
           select ${quoteLiteral(eventOf(target))}, 'Expired', apitoken.current_actor(), ${detail} count(*)), array_agg(${keyAsText(target)})
           from ${partition.sql} group by tableoid, (ctid::text::point)[0]::bigint / ${BLOCKS_PER_EVENT}`
        : `insert into apitoken.security_events (event, reason, actor, detail)
           values ('PartitionDropped', 'Expired', apitoken.current_actor(), ${detail} ${rows}))`,
    values: [runId],
  });
  return rows;
}

async function countPartition(session: Queryable, partition: Leaf, isExact: boolean): Promise<number> {
  const [estimate] = await session.query<{ rows: string; is_known: boolean }>({
    text: `select coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint as rows, bool_and(c.reltuples >= 0) as is_known
           from ${withPartitions("$1::oid")} tree join pg_class c on c.oid = tree.relid
           where c.relkind <> 'p'`,
    values: [partition.oid],
  });
  if (!isExact && estimate?.is_known) return Number(estimate.rows);
  const [row] = await session.query<{ count: string }>({ text: `select count(*) from ${partition.sql}` });
  return Number(row?.count ?? 0);
}
