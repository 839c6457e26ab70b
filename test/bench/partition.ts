/*
 * Dropping a whole partition should take as long as Postgres needs for it, and no longer.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { runAsSuperuser, startPostgres } from "../../local/postgres-server.ts";
import { migrate } from "../../src/postgres/migrations.ts";
import { DURABLE_SETTINGS, runProgram } from "./cleanup-stage.ts";
import { type Figures, median, time } from "./figures.ts";

const ROUNDS = 3;

/**
 * A partition of a million dead rows next to one of as many live rows, dropped as a whole: by the cleanup, and by hand with
 * the same two statements on an open connection. No program can be faster than Postgres itself.
 */
export async function benchPartition(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  const dir = mkdtempSync(join(tmpdir(), "apitoken-bench-"));
  const config = join(dir, "targets.yaml");
  // Half of the rows are due, which is as much as a first run may delete otherwise.
  writeFileSync(config, "targets: [{ table: app.sessions, expiresAt: expires_at, firstRunMaxFraction: 0.6 }]\n");
  const copy = async (template: string) => {
    await runAsSuperuser(postgres.url, "drop database if exists measured with (force)");
    const url = await postgres.createDatabase("measured", template);
    await runAsSuperuser(url, "checkpoint");
    return url;
  };
  const run = async (url: string) => {
    const { deleted, elapsedMs } = await runProgram(url, ["--config", config], {});
    if (deleted !== rows) throw new Error(`${deleted} rows were deleted, not ${rows}`);
    return elapsedMs;
  };
  try {
    tell(`filling a partitioned table with ${2 * rows} rows`);
    const template = await postgres.createDatabase("partitioned");
    await migrate({ url: template });
    await fillSessions(template, rows);
    const overRaw: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const wholeMs = await run(await copy("partitioned"));
      const rawMs = await dropByHand(await copy("partitioned"));
      overRaw.push(wholeMs / rawMs);
      tell(`round ${round + 1}: ${Math.round(wholeMs)} ms, by hand ${Math.round(rawMs)} ms`);
    }
    return { partition_over_raw: median(overRaw) };
  } finally {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function dropByHand(url: string): Promise<number> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await time(async () => {
      await client.query("alter table app.sessions detach partition app.sessions_old concurrently");
      await client.query("drop table app.sessions_old");
    });
  } finally {
    await client.end();
  }
}

async function fillSessions(url: string, rows: number): Promise<void> {
  const columns = "id uuid not null, user_id text not null, expires_at timestamptz not null";
  for (const statement of [
    "create schema app",
    `create table app.sessions (${columns}, primary key (id, expires_at)) partition by range (expires_at)`,
    "create table app.sessions_old partition of app.sessions for values from ('2001-01-01+00') to ('2001-02-01+00')",
    "create table app.sessions_new partition of app.sessions for values from ('2001-02-01+00') to ('2101-01-01+00')",
    "create index on app.sessions (user_id)",
    "create index on app.sessions (expires_at)",
    `insert into app.sessions select md5(number::text)::uuid, 'user-' || number % 10000,
       case when number % 2 = 0 then timestamptz '2001-01-02+00' else timestamptz '2100-01-02+00' end + number * interval '1 second'
       from generate_series(1, ${2 * rows}) as number order by md5(number::text)`,
    "create role app_owner",
    "grant app_owner to apitoken_cleanup",
    "grant usage, create on schema app to app_owner",
    "alter table app.sessions owner to app_owner",
    "alter table app.sessions_old owner to app_owner",
    "alter table app.sessions_new owner to app_owner",
    "grant usage on schema app to apitoken_cleanup",
    "vacuum (freeze, analyze) app.sessions",
    "checkpoint",
  ]) {
    await runAsSuperuser(url, statement).catch((error: unknown) => {
      if (statement !== "create role app_owner") throw error; // roles outlive a database
    });
  }
}
