/*
 * What `cleanup stats` shows in addition to the counts: who has the rows, and how the table has grown.
 */

import type { Queryable } from "../database.ts";
import { isTrue } from "./condition.ts";
import { quoteIdentifier, quoteTable } from "./identifiers.ts";
import type { CleanupTarget } from "./target.ts";
import { asTimestamp, belongs, hasExpired, wasRevoked } from "./target.ts";

/** An owner's rows in a target. */
export interface OwnerCount {
  readonly owner: string;
  readonly total: number;
  readonly live: number;
}

/** The owners with the most rows; empty if the target has no column for the owner. */
export async function findTopOwners(
  db: Queryable,
  target: CleanupTarget,
  now: string,
  limit: number,
): Promise<OwnerCount[]> {
  if (target.owner === undefined) return [];
  const at = asTimestamp(now);
  const dead = [hasExpired(target, at), wasRevoked(target, at)].map(isTrue);
  const rows = await db.query<{ owner: string | null; total: string; live: string }>({
    text: `select ${quoteIdentifier(target.owner)}::text as owner, count(*) as total,
                  count(*) filter (where not (${dead.join(" or ")})) as live
           from ${quoteTable(target)} as target where ${belongs(target)} group by 1 order by 2 desc, 1 limit ${Math.floor(limit)}`,
  });
  return rows.map(({ owner, total, live }) => ({ owner: owner ?? "-", total: Number(total), live: Number(live) }));
}

/** What an earlier run recorded about a target. */
export interface TargetHistory {
  readonly runId: string;
  readonly startedAt: Date;
  readonly outcome: string;
  readonly rowsBefore: number;
  readonly deleted: number;
  readonly sizeBytes: number;
}

/** The last runs' records about a target, newest first. */
export async function findHistory(db: Queryable, table: string, limit: number): Promise<TargetHistory[]> {
  const rows = await db.query<{
    id: string;
    started_at: Date;
    outcome: string | null;
    rows: string;
    deleted: string;
    size: string;
  }>({
    text: `select r.id::text as id, r.started_at, r.outcome, (t->'before'->>'total')::bigint as rows,
                  (t->'deleted'->>'expired')::bigint + (t->'deleted'->>'revoked')::bigint + (
                    select coalesce(sum((p->>'rows')::bigint), 0) from jsonb_array_elements(t->'partitions'->'dropped') as p
                  ) as deleted,
                  (t->'before'->>'tableBytes')::bigint + (t->'before'->>'indexBytes')::bigint as size
           from apitoken.cleanup_runs r, jsonb_array_elements(r.targets) as t
           where t->>'table' = $1 order by r.id desc limit $2`,
    values: [table, limit],
  });
  return rows.map((row) => ({
    runId: row.id,
    startedAt: row.started_at,
    outcome: row.outcome ?? "failed",
    rowsBefore: Number(row.rows),
    deleted: Number(row.deleted),
    sizeBytes: Number(row.size),
  }));
}
