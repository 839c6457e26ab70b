/*
 * What only the doctor asks: whether the schema is whole and what the database has recorded for a cluster.
 */
import type { Queryable } from "./database.ts";
import type { OwnerBlockRow } from "./owner-blocks.ts";
import { type PostgresTime, toDate } from "./time.ts";

/** A cluster's block in the database, and what the database has of its owner in all clusters. */
export interface ExaminedBlock extends OwnerBlockRow {
  readonly acceptedTokens: number;
  /** Whether the block has ever erased the owner. */
  readonly hasErased: boolean;
  /** Rows of an owner that was erased, and events that name such an owner: counted up to one. */
  readonly tokenRows: number;
  readonly namedEvents: number;
}

/** The blocks that the database has recorded for a cluster. */
export async function findRecordedBlocks(db: Queryable, clusterId: string): Promise<ExaminedBlock[]> {
  const rows = await db.query<{
    uid: string;
    name: string;
    owner: string;
    reason: string;
    effective_at: PostgresTime;
    has_erased: boolean;
    accepted: string;
    rows: number;
    events: number;
  }>({
    text: `select uid, name, owner, reason, effective_at, erased_at is not null as has_erased,
             (select count(*) from apitoken.tokens t where t.owner = b.owner and apitoken.is_accepted(t, now())) as accepted,
             (erased_at is not null and exists (select from apitoken.tokens t where t.owner = b.owner))::integer as rows,
             (erased_at is not null and exists (
               select from apitoken.security_events e where e.owner = b.owner))::integer as events
           from apitoken.blocked_owners b where cluster_id = $1`,
    values: [clusterId],
  });
  return rows.map((row) => ({
    uid: row.uid,
    name: row.name,
    owner: row.owner,
    reason: row.reason,
    effectiveAt: toDate(row.effective_at),
    acceptedTokens: Number(row.accepted),
    hasErased: row.has_erased,
    tokenRows: row.rows,
    namedEvents: row.events,
  }));
}

/** The months (as 2026-01), from this one to `monthsAhead` months from now, for which the audit trail has no partition. */
export async function findMissingEventMonths(db: Queryable, monthsAhead: number): Promise<string[]> {
  const rows = await db.query<{ month: string }>({
    text: `select to_char(start, 'YYYY-MM') as month
           from generate_series(0, $1::integer) as number,
             lateral (select date_trunc('month', now() at time zone 'UTC') + make_interval(months => number)) as m (start)
           where not exists (
             select from pg_catalog.pg_inherits i join pg_catalog.pg_class c on c.oid = i.inhrelid
             where i.inhparent = 'apitoken.security_events'::regclass
               and c.relname = 'security_events_' || to_char(start, 'YYYY_MM'))
           order by start`,
    values: [monthsAhead],
  });
  return rows.map(({ month }) => month);
}

/** The triggers that write the audit trail, report changes, and keep ended tokens ended, with their tables. */
const TRIGGERS = {
  record_issue: "tokens",
  record_change: "tokens",
  record_delete: "tokens",
  record_truncation: "tokens",
  refuse_revival: "tokens",
  report_block_change: "blocked_owners",
};

/** The triggers that are missing, and those that are disabled ("D") or fire on replicas only ("R"). */
export async function findFaultyTriggers(db: Queryable): Promise<{ name: string; isMissing: boolean }[]> {
  const rows = await db.query<{ name: string; is_missing: boolean }>({
    text: `select wanted.name, t.oid is null as is_missing from unnest($1::text[], $2::text[]) as wanted (name, relation)
           left join pg_catalog.pg_trigger t
             on t.tgrelid = ('apitoken.' || relation)::regclass and t.tgname = wanted.name and not t.tgisinternal
           where t.oid is null or t.tgenabled in ('D', 'R')
           order by wanted.name`,
    values: [Object.keys(TRIGGERS), Object.values(TRIGGERS)],
  });
  return rows.map(({ name, is_missing }) => ({ name, isMissing: is_missing }));
}

/** The row of a cluster whose token has one of these hashes. */
export async function findTokenByHash(
  db: Queryable,
  clusterId: string,
  hashes: readonly Buffer[],
): Promise<{ readonly id: string; readonly isAccepted: boolean } | undefined> {
  const [row] = await db.query<{ id: string; is_accepted: boolean }>({
    text: `select id, apitoken.is_accepted(t, now()) as is_accepted
           from apitoken.tokens t where cluster_id = $1 and hash = any($2) limit 1`,
    values: [clusterId, hashes],
  });
  return row && { id: row.id, isAccepted: row.is_accepted };
}
