import type { Queryable } from "./database.ts";

/** Before these times a row's death must lie, to the microsecond of the database's clock. */
export interface Cutoffs {
  readonly expiredBefore: string;
  readonly revokedBefore: string;
}

/** Rows by what is the matter with them; a row that is both expired and revoked counts as expired. */
export interface TokenCounts {
  readonly total: number;
  readonly live: number;
  readonly expired: number;
  readonly revoked: number;
  /** Dead, and past their retention: what a run deletes. */
  readonly due: ByReason;
  /** The time of death of the row that has been dead the longest. */
  readonly oldestDeadAt: Date | undefined;
  /** Of table and indexes. */
  readonly sizeBytes: number;
}

export interface ByReason {
  readonly expired: number;
  readonly revoked: number;
}

/** How rows that go are recorded in the audit trail: each, one line for a batch, or not at all. */
export type CleanupAudit = "rows" | "summary" | "none";

/**
 * What a batch does about a row that another session has locked: wait for it, until lock_timeout ends the batch, or
 * leave the row for the next run.
 */
export type OnLockedRow = "wait" | "skip";

/** Which part of the table a batch deletes from, for which run. */
export interface BatchRange {
  /** The row of cleanup_runs that counts what goes. */
  readonly runId: string;
  readonly fromBlock: number;
  /** The first block after the range. */
  readonly toBlock: number;
}

/** The cutoffs of a run that begins now, by the database's clock: the pod's may be wrong. */
export async function chooseCutoffs(db: Queryable, expiredMs: number, revokedMs: number): Promise<Cutoffs> {
  const [row] = await db.query<{ expired_before: string; revoked_before: string }>({
    text: `select (now() - make_interval(secs => $1))::text as expired_before,
                  (now() - make_interval(secs => $2))::text as revoked_before`,
    values: [expiredMs / 1_000, revokedMs / 1_000],
  });
  if (row === undefined) throw new Error("the database did not tell its time");
  return { expiredBefore: row.expired_before, revokedBefore: row.revoked_before };
}

/** Counts the rows of apitoken.tokens: one pass over the table, in one snapshot. */
export async function countTokens(db: Queryable, { expiredBefore, revokedBefore }: Cutoffs): Promise<TokenCounts> {
  const [row] = await db.query<Record<string, string> & { oldest_dead_at: Date | null }>({
    text: `select count(*) as total,
                  count(*) filter (where expires_at > now() and (revoked_at is null or revoked_at > now())) as live,
                  count(*) filter (where expires_at <= now()) as expired,
                  count(*) filter (where expires_at > now() and revoked_at <= now()) as revoked,
                  count(*) filter (where expires_at <= $1) as due_expired,
                  count(*) filter (where expires_at > $1 and revoked_at <= $2) as due_revoked,
                  min(least(expires_at, revoked_at)) filter (where expires_at <= now() or revoked_at <= now())
                    as oldest_dead_at,
                  pg_total_relation_size('apitoken.tokens') as size_bytes
           from apitoken.tokens`,
    values: [expiredBefore, revokedBefore],
  });
  if (row === undefined) throw new Error("the database did not count");
  return {
    total: Number(row.total),
    live: Number(row.live),
    expired: Number(row.expired),
    revoked: Number(row.revoked),
    due: { expired: Number(row.due_expired), revoked: Number(row.due_revoked) },
    oldestDeadAt: row.oldest_dead_at ?? undefined,
    sizeBytes: Number(row.size_bytes),
  };
}

/** How many blocks the table has now. Rows that come later are live and need no visit. */
export async function countBlocks(db: Queryable): Promise<number> {
  const [row] = await db.query<{ blocks: string }>({
    text: "select pg_relation_size('apitoken.tokens') / current_setting('block_size')::bigint as blocks",
  });
  return Number(row?.blocks ?? 0);
}

/** What a run deletes. That no such row is live, the policy cleanup_delete of row-level security says once more. */
const IS_DUE = "(expires_at <= $3 or revoked_at <= $4)";

/** Read in the order of the disk (a TID range scan): needs no index, and never meets the entries of earlier batches. */
const IN_RANGE = "ctid >= $1::tid and ctid < $2::tid";

const WHERE: Readonly<Record<OnLockedRow, string>> = {
  wait: IN_RANGE,
  skip: `ctid = any(array(select ctid from apitoken.tokens where ${IN_RANGE} and ${IS_DUE} for update skip locked))`,
};

const COUNT = `count(*) filter (where has_expired) as expired, count(*) filter (where not has_expired) as revoked`;

/** Subselects, so that what is the same for all rows is asked once. Sorted, so that neighbours meet in the index. */
const RECORD: Readonly<Record<CleanupAudit, string>> = {
  rows: `, trail as (
    insert into apitoken.security_events (event, reason, actor, address,
                                          cluster_id, namespace, name, resource_uid, token_id, revision, owner)
    select 'TokenCleaned', case when has_expired then 'Expired' else 'Revoked' end,
           (select apitoken.current_actor()), (select inet_client_addr()),
           cluster_id, namespace, name, resource_uid, id, revision, owner
    from gone order by id)`,
  summary: `, trail as (
    insert into apitoken.security_events (event, actor, detail)
    select 'TokensCleaned', apitoken.current_actor(), jsonb_build_object('run', $5::bigint, 'expired', expired, 'revoked', revoked)
    from (select ${COUNT} from gone having count(*) > 0) as counted)`,
  none: "",
};

/**
 * Deletes the dead rows of a range of blocks that are past their retention, in one statement and so one transaction,
 * with their record in the audit trail and their number in cleanup_runs. A row that was changed meanwhile is judged
 * anew under its lock (Postgres manual, 13.2.1), so an extended token survives.
 *
 * Planned anew each time, because the values decide: a plan for any range of blocks may well not be one for this range.
 */
export async function deleteDeadTokens(
  db: Queryable,
  { runId, fromBlock, toBlock }: BatchRange,
  { expiredBefore, revokedBefore }: Cutoffs,
  audit: CleanupAudit,
  onLockedRow: OnLockedRow,
): Promise<ByReason> {
  const columns = audit === "rows" ? ", cluster_id, namespace, name, resource_uid, id, revision, owner" : "";
  const [row] = await db.query<{ expired: string; revoked: string }>({
    text: `with gone as (
             delete from apitoken.tokens where ${WHERE[onLockedRow]} and ${IS_DUE}
             returning expires_at <= $3 as has_expired${columns}
           )${RECORD[audit]}, tally as (
             update apitoken.cleanup_runs set deleted = deleted + counted.rows
             from (select count(*) as rows from gone) as counted
             where id = $5 and counted.rows > 0
           )
           select ${COUNT} from gone`,
    values: [`(${fromBlock},0)`, `(${toBlock},0)`, expiredBefore, revokedBefore, runId],
  });
  return { expired: Number(row?.expired ?? 0), revoked: Number(row?.revoked ?? 0) };
}

/** Whether this session may VACUUM the table: by MAINTAIN from Postgres 17 on, before that as its owner. */
export async function mayVacuum(db: Queryable): Promise<boolean> {
  const [server] = await db.query<{ version: number }>({
    text: "select current_setting('server_version_num')::integer as version",
  });
  const check =
    (server?.version ?? 0) >= 170_000
      ? "has_table_privilege('apitoken.tokens', 'MAINTAIN')"
      : "(select pg_has_role(relowner, 'USAGE') from pg_class where oid = 'apitoken.tokens'::regclass)";
  const [row] = await db.query<{ may: boolean }>({ text: `select ${check} as may` });
  return row?.may ?? false;
}

/** Frees the deleted rows' space for new ones and renews the planner's statistics; leaves a locked table alone. */
export async function vacuumTokens(db: Queryable): Promise<void> {
  await db.query({ text: "vacuum (analyze, skip_locked) apitoken.tokens" });
}
