/*
 * The last step of a dead partition, once nobody can write to it any longer: it is dropped and recorded in one transaction.
 */
import type { Queryable } from "../database.ts";
import type { Leaf } from "./batches.ts";
import { formatTableName } from "./identifiers.ts";
import { type CleanupTarget, eventOf, keyAsText, TARGET_ROW } from "./target.ts";

/** How many rows a partition had, and when they were counted, by the database's clock. */
export interface PartitionCount {
  readonly rows: number;
  readonly at: string;
}

/**
 * Drops a detached partition and records it in the audit trail, in one transaction; returns how many rows it had. With audit
 * "rows" their keys are read. Otherwise nothing is read if `counted` is known, and the trail says when the rows were counted;
 * if it is not known, they are counted now, when nobody can change them.
 */
export async function dropPartition(
  session: Queryable,
  target: CleanupTarget,
  partition: Leaf & { readonly name: string },
  { runId, counted }: { readonly runId: string; readonly counted: PartitionCount | undefined },
): Promise<number> {
  await session.query({ text: "begin" });
  try {
    await session.query({ text: `lock table ${partition.sql} in access exclusive mode` });
    const rows =
      target.audit === "rows"
        ? await recordKeys(session, target, partition, runId)
        : await recordPartition(session, target, partition, { runId, counted });
    await session.query({ text: `drop table ${partition.sql}` });
    await session.query({
      text: `with noted as (delete from apitoken.detached_partitions where relation = $1)
             update apitoken.cleanup_runs set deleted = deleted + $2 where id = $3`,
      values: [partition.oid, rows, runId],
    });
    await session.query({ text: "commit" });
    return rows;
  } catch (error) {
    await session.query({ text: "rollback" }).catch(() => {}); // the first error is the cause
    throw error;
  }
}

/** The keys of this many blocks are one event: an array in Postgres is limited to 1 GiB. */
const BLOCKS_PER_EVENT = 8_192;

async function recordKeys(
  session: Queryable,
  target: CleanupTarget,
  partition: Leaf & { readonly name: string },
  runId: string,
): Promise<number> {
  const [trail] = await session.query<{ rows: string }>({
    text: `with gone as (
             select count(*) as rows, array_agg(${keyAsText(target)}) as row_keys
             from ${partition.sql} as ${TARGET_ROW} group by tableoid, (ctid::text::point)[0]::bigint / ${BLOCKS_PER_EVENT}
           ), trail as materialized (
             select rows, apitoken.record_cleaned($1, 'Expired',
               jsonb_build_object('run', $2::bigint, 'table', $3::text, 'partition', $4::text, 'rows', rows), row_keys)
             from gone)
           select coalesce(sum(rows), 0) as rows from trail`,
    values: [eventOf(target), runId, formatTableName(target), partition.name],
  });
  return Number(trail?.rows ?? 0);
}

async function recordPartition(
  session: Queryable,
  target: CleanupTarget,
  partition: Leaf & { readonly name: string },
  { runId, counted }: { readonly runId: string; readonly counted: PartitionCount | undefined },
): Promise<number> {
  const rows = counted?.rows ?? (await countPartition(session, partition));
  if (target.audit === "none") return rows;
  await session.query({
    text: `select apitoken.record_cleaned('PartitionDropped', 'Expired', jsonb_strip_nulls(jsonb_build_object(
             'run', $1::bigint, 'table', $2::text, 'partition', $3::text, 'rows', $4::bigint, 'counted_at', $5::text)), null)`,
    values: [runId, formatTableName(target), partition.name, rows, counted?.at ?? null],
  });
  return rows;
}

async function countPartition(session: Queryable, partition: Leaf): Promise<number> {
  const [row] = await session.query<{ count: string }>({ text: `select count(*) from ${partition.sql}` });
  return Number(row?.count ?? 0);
}
