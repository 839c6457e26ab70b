import type { Queryable } from "../database.ts";
import { DatabaseUnavailableError, sqlState } from "../errors.ts";

export type CleanupOutcome = "succeeded" | "failed" | "refused" | "stopped";

/** Takes the lock that one run at a time holds, for as long as the session lives. Says whether it was free. */
export async function tryLockCleanup(session: Queryable): Promise<boolean> {
  const [row] = await session.query<{ is_locked: boolean }>({
    text: "select pg_try_advisory_lock(hashtextextended('apitoken.cleanup', 0)) as is_locked",
  });
  return row?.is_locked ?? false;
}

/**
 * Settings that the session needs whatever the database's or the login's defaults are: times that read back as they were
 * written, a changed row that is judged anew instead of a serialization failure, memory for a batch's rows.
 */
export async function prepareSession(session: Queryable): Promise<void> {
  await session.query({
    text: `select set_config('timezone', 'UTC', false), set_config('datestyle', 'ISO', false),
                  set_config('default_transaction_isolation', 'read committed', false),
                  set_config('standard_conforming_strings', 'on', false),
                  set_config('idle_in_transaction_session_timeout', '60s', false),
                  set_config('work_mem', '32MB', false),
                  -- However many cores there are: the others are not ours.
                  set_config('max_parallel_workers_per_gather', '0', false),
                  set_config('max_parallel_maintenance_workers', '0', false)`,
  });
}

/** From now on a statement fails that has waited this long for a lock of a table or row: see `isLockConflict`. */
export async function setLockTimeout(session: Queryable, lockTimeoutMs: number): Promise<void> {
  await session.query({ text: "select set_config('lock_timeout', $1, false)", values: [`${lockTimeoutMs}ms`] });
}

const LOCK_CONFLICTS = new Set([
  "55P03", // lock_not_available: it had waited as long as lock_timeout allows
  "40P01", // deadlock_detected
]);

/** Whether a statement failed because of locks that other sessions hold. */
export function isLockConflict(error: unknown): boolean {
  const cause = error instanceof DatabaseUnavailableError ? error.cause : error;
  return LOCK_CONFLICTS.has(sqlState(cause) ?? "");
}

/** Whether a statement failed because another table's row has begun to refer to one that it would delete. */
export function isReferenceConflict(error: unknown): boolean {
  return sqlState(error) === "23503" || sqlState(error) === "23001";
}

/**
 * Begins a run; returns its id. Runs that have no end were killed: they are closed as failed (nobody else can be at
 * work, for the lock is held).
 */
export async function beginCleanupRun(session: Queryable): Promise<string> {
  const [row] = await session.query<{ id: string }>({
    text: `with killed as (
             update apitoken.cleanup_runs
             set finished_at = now(), outcome = 'failed', error = 'the run did not finish'
             where finished_at is null)
           insert into apitoken.cleanup_runs default values returning id`,
  });
  if (row === undefined) throw new Error("the database did not return the run that it had begun");
  return row.id;
}

/** Ends a run. `targets` is what it did, table by table; how many rows went, its batches have noted themselves. */
export async function endCleanupRun(
  session: Queryable,
  id: string,
  end: { outcome: CleanupOutcome; targets: unknown; error?: string },
): Promise<void> {
  await session.query({
    text: `update apitoken.cleanup_runs
           set finished_at = clock_timestamp(), outcome = $2, targets = $3, error = $4 where id = $1`,
    values: [id, end.outcome, JSON.stringify(end.targets), end.error ?? null],
  });
}
