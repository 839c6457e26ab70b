/*
 * The partitions of the audit trail, and of the counts of uses, which are kept for the same time. Controller and cleanup both create
 * them: whichever runs keeps tokens issuable.
 */
import type { Queryable } from "./database.ts";

/** For how many future months the audit trail has partitions: in a month without one nothing can be issued. */
export const EVENT_MONTHS_AHEAD = 3;

/** Creates both tables' missing partitions up to `monthsAhead` months from now; returns their names. */
export async function createEventPartitions(session: Queryable, monthsAhead: number): Promise<string[]> {
  const rows = await session.query<{ name: string }>({
    text: "select apitoken.create_event_partitions($1) as name",
    values: [monthsAhead],
  });
  return rows.map((row) => row.name);
}

/** The names of the partitions that hold rows, all of them older than the retention. */
export async function findExpiredEventPartitions(session: Queryable, retentionMs: number): Promise<string[]> {
  const rows = await session.query<{ name: string }>({
    text: "select apitoken.expired_event_partitions(make_interval(secs => $1)) as name",
    values: [retentionMs / 1_000],
  });
  return rows.map((row) => row.name);
}

/** Deletes all rows of these partitions; returns the names. The controller drops the partitions later. */
export async function emptyEventPartitions(session: Queryable, retentionMs: number): Promise<string[]> {
  const rows = await session.query<{ name: string }>({
    text: "select apitoken.empty_event_partitions(make_interval(secs => $1)) as name",
    values: [retentionMs / 1_000],
  });
  return rows.map((row) => row.name);
}

/** The tables that are partitioned by month. */
export const MONTHLY_TABLES = ["security_events", "token_usage"] as const;

/** Drops the empty partitions of past months of one of these tables; returns their names. */
export async function dropEmptyPartitions(db: Queryable, table: (typeof MONTHLY_TABLES)[number]): Promise<string[]> {
  const rows = await db.query<{ name: string }>({
    text: "select apitoken.drop_empty_partitions($1) as name",
    values: [table],
  });
  return rows.map((row) => row.name);
}
