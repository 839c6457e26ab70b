import type { Queryable } from "./database.ts";

/** How many months ahead the audit trail has its partitions: nothing can be issued in a month without one. */
export const EVENT_MONTHS_AHEAD = 3;

/** Makes the audit trail's partitions up to `monthsAhead` months from now; returns the names of the new ones. */
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
