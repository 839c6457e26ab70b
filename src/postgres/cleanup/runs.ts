/*
 * A run of the cleanup as the database sees it: one at a time, on a session with known settings, and with a record that shows
 * whether it was killed.
 */
import { describeBackend } from "../blockers.ts";
import type { Queryable } from "../database.ts";
import { reportedState, sqlState } from "../errors.ts";

export type CleanupOutcome = "succeeded" | "failed" | "refused" | "stopped";

/** Tries to take the lock that only one run can hold; the session keeps it until it ends. Returns whether it was free. */
export async function tryLockCleanup(session: Queryable): Promise<boolean> {
  const [row] = await session.query<{ is_locked: boolean }>({
    text: "select pg_try_advisory_lock(hashtextextended('apitoken.cleanup', 0)) as is_locked",
  });
  return row?.is_locked ?? false;
}

/**
 * Who holds that lock without being a cleanup: any login of the database can take it, and would keep every run from its work.
 * Undefined if the holder is a member of the cleanup's role, or has released the lock.
 */
export async function findIntruder(session: Queryable): Promise<{ pid: number; description: string } | undefined> {
  const [row] = await session.query<{ pid: number; application: string; login: string }>({
    text: `select a.pid, a.application_name as application, a.usename as login
           from pg_locks l join pg_stat_activity a on a.pid = l.pid
           where l.locktype = 'advisory' and l.objsubid = 1 and l.granted and a.datname = current_database()
             and l.database = (select oid from pg_database where datname = current_database())
             and (l.classid::bigint << 32) | l.objid::bigint = hashtextextended('apitoken.cleanup', 0)
             and not pg_has_role(a.usesysid, 'apitoken_cleanup', 'MEMBER')`,
  });
  return row && { pid: row.pid, description: describeBackend(row) };
}

/**
 * Settings of the session of a run, for batches and for the server's other cores, which are for others. Batches do not wait for
 * the disk: if the server crashes, the last of them have never happened, and the next run repeats them (Postgres manual, 28.4).
 */
export async function prepareRun(session: Queryable): Promise<void> {
  await session.query({
    text: `select set_config('synchronous_commit', 'off', false), set_config('work_mem', '32MB', false),
                  set_config('max_parallel_workers_per_gather', '0', false),
                  set_config('max_parallel_maintenance_workers', '0', false)`,
  });
}

/** Makes statements fail that wait this long for a lock on a table or row: see `isLockConflict`. */
export async function setLockTimeout(session: Queryable, lockTimeoutMs: number): Promise<void> {
  await session.query({ text: "select set_config('lock_timeout', $1, false)", values: [`${lockTimeoutMs}ms`] });
}

const LOCK_CONFLICTS = new Set([
  "55P03", // lock_not_available: lock_timeout has passed
  "40P01", // deadlock_detected
]);

/** Whether a statement failed because of other sessions' locks. */
export function isLockConflict(error: unknown): boolean {
  return LOCK_CONFLICTS.has(reportedState(error) ?? "");
}

/** Whether a statement failed because another table's row now refers to a row that it would delete. */
export function isReferenceConflict(error: unknown): boolean {
  return sqlState(error) === "23503" || sqlState(error) === "23001";
}

/**
 * Begins a run; returns its id. Unfinished runs were killed, because the lock excludes other running ones; they are closed as
 * failed.
 */
export async function beginCleanupRun(session: Queryable): Promise<string> {
  const [row] = await session.query<{ id: string }>({
    text: `with killed as (
             update apitoken.cleanup_runs
             set finished_at = now(), outcome = 'failed', error = 'the run did not finish'
             where finished_at is null)
           insert into apitoken.cleanup_runs default values returning id`,
  });
  if (row === undefined) throw new Error("the database did not return the new run");
  return row.id;
}

/**
 * Ends a run. `targets` is what it did in each table; its batches have already recorded the number of deleted rows. This commit
 * waits for the disk, and with it for all before it: what a run has reported survives a crash of the server.
 */
export async function endCleanupRun(
  session: Queryable,
  id: string,
  end: { outcome: CleanupOutcome; targets: unknown; error?: string },
): Promise<void> {
  await session.query({ text: "reset synchronous_commit" });
  await session.query({
    text: `update apitoken.cleanup_runs
           set finished_at = clock_timestamp(), outcome = $2, targets = $3, error = $4 where id = $1`,
    values: [id, end.outcome, JSON.stringify(end.targets), end.error ?? null],
  });
}

/**
 * The definitions of targets with which an earlier run has deleted rows. A run that had nothing to delete has proved nothing: the
 * table may have been empty.
 */
export async function findUsedDefinitions(session: Queryable): Promise<Set<string>> {
  const rows = await session.query<{ definition: string }>({
    text: `select distinct t->>'definition' as definition
           from apitoken.cleanup_runs r, jsonb_array_elements(r.targets) as t
           where t ? 'definition' and (
             (t->'deleted'->>'expired')::bigint + (t->'deleted'->>'revoked')::bigint > 0
             or jsonb_array_length(t->'partitions'->'dropped') > 0)`,
  });
  return new Set(rows.map(({ definition }) => definition));
}
