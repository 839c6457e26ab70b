/*
 * A table like those of real teams, so that anybody can try the cleanup without risking a table that matters.
 */
import type { Queryable } from "../database.ts";
import { quoteIdentifier, quoteTable, type TableName } from "./identifiers.ts";

export interface DemoTable extends TableName {
  readonly rows: number;
  /** From 0 to 1; half of the dead rows expired 30 to 40 days ago, half were revoked then. */
  readonly deadShare: number;
  /** Partitioned by month of expires_at instead of one plain table. */
  readonly isPartitioned: boolean;
}

const COLUMNS = `id uuid not null, user_id text not null, expires_at timestamptz not null, revoked_at timestamptz,
  created_at timestamptz not null default now()`;

/**
 * Creates and fills a table, with its dead rows scattered, and never more of them than asked for. As in real tables, no two times
 * are the same. Throws if a table with this name exists.
 */
export async function createDemoTable(session: Queryable, demo: DemoTable): Promise<void> {
  const table = quoteTable(demo);
  await session.query({ text: `create schema if not exists ${quoteIdentifier(demo.schema)}` });
  await session.query({
    text: `create table ${table} (${COLUMNS}) ${demo.isPartitioned ? "partition by range (expires_at)" : ""}`,
  });
  if (demo.isPartitioned) await createMonths(session, demo);
  await session.query({
    text: `insert into ${table} (id, user_id, expires_at, revoked_at)
           select md5(number::text)::uuid, 'user-' || number % 10000,
                  case when is_dead and dead % 2 = 0 then now() - interval '30 days' - spread else now() + interval '10 days' + spread end,
                  case when is_dead and dead % 2 = 1 then now() - interval '30 days' - spread end
           from (select number, floor(number * $2::numeric)::bigint as dead, number::float8 / $1::bigint * interval '10 days' as spread,
                        floor(number * $2::numeric) > floor((number - 1) * $2::numeric) as is_dead
                 from generate_series(1, $1::bigint) as number) as numbers
           order by md5(number::text)`,
    values: [demo.rows, demo.deadShare],
  });
  await session.query({ text: `alter table ${table} add primary key (id${demo.isPartitioned ? ", expires_at" : ""})` });
  await session.query({ text: `create index on ${table} (expires_at)` });
  await session.query({ text: `create index on ${table} (revoked_at) where revoked_at is not null` });
  await session.query({ text: `grant usage on schema ${quoteIdentifier(demo.schema)} to apitoken_cleanup` });
  await session.query({ text: `grant select, delete, update (id) on ${table} to apitoken_cleanup` });
  await session.query({ text: `analyze ${table}` });
}

async function createMonths(session: Queryable, demo: DemoTable): Promise<void> {
  const months = await session.query<{ name: string; lower: string; upper: string }>({
    text: `select to_char(month, 'YYYY_MM') as name, month::text as lower, (month + interval '1 month')::text as upper
           from generate_series(date_trunc('month', now() - interval '2 months'), now() + interval '1 month', interval '1 month') as month`,
  });
  for (const { name, lower, upper } of months) {
    const partition = quoteTable({ schema: demo.schema, table: `${demo.table}_${name}` });
    await session.query({
      text: `create table ${partition} partition of ${quoteTable(demo)} for values from ('${lower}') to ('${upper}')`,
    });
    await session.query({ text: `grant select, delete, update on ${partition} to apitoken_cleanup` });
  }
}
