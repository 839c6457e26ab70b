import type { Queryable } from "./database.ts";

export type CleanupOutcome = "succeeded" | "failed" | "refused" | "stopped";

/** Takes the lock that one run at a time holds, for as long as the session lives. Says whether it was free. */
export async function tryLockCleanup(session: Queryable): Promise<boolean> {
  const [row] = await session.query<{ is_locked: boolean }>({
    text: "select pg_try_advisory_lock(hashtextextended('apitoken.cleanup', 0)) as is_locked",
  });
  return row?.is_locked ?? false;
}

/** Ends waiting for a lock of the table (a migration's, say) after this long. */
export async function setLockTimeout(session: Queryable, lockTimeoutMs: number): Promise<void> {
  await session.query({ text: "select set_config('lock_timeout', $1, false)", values: [`${lockTimeoutMs}ms`] });
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

/** Ends a run. `targets` is what it did, table by table. */
export async function endCleanupRun(
  session: Queryable,
  id: string,
  end: { outcome: CleanupOutcome; deleted: number; targets: unknown; error?: string },
): Promise<void> {
  await session.query({
    text: `update apitoken.cleanup_runs
           set finished_at = clock_timestamp(), outcome = $2, deleted = $3, targets = $4, error = $5 where id = $1`,
    values: [id, end.outcome, end.deleted, JSON.stringify(end.targets), end.error ?? null],
  });
}

/** Makes the audit trail's partitions up to so many months ahead; returns the names of new ones. */
export async function createEventPartitions(session: Queryable, monthsAhead: number): Promise<string[]> {
  const rows = await session.query<{ name: string }>({
    text: "select apitoken.create_event_partitions($1) as name",
    values: [monthsAhead],
  });
  return rows.map((row) => row.name);
}

/** The names of the audit trail's partitions that are past the retention. */
export async function findExpiredEventPartitions(session: Queryable, retentionMs: number): Promise<string[]> {
  const rows = await session.query<{ name: string }>({
    text: "select apitoken.expired_event_partitions(make_interval(secs => $1)) as name",
    values: [retentionMs / 1_000],
  });
  return rows.map((row) => row.name);
}

/** Drops them; returns the names of those that went. */
export async function dropEventPartitions(session: Queryable, retentionMs: number): Promise<string[]> {
  const rows = await session.query<{ name: string }>({
    text: "select apitoken.drop_event_partitions(make_interval(secs => $1)) as name",
    values: [retentionMs / 1_000],
  });
  return rows.map((row) => row.name);
}
