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
 * A million dead rows beside as many live ones: in a partition that goes whole, and scattered over a plain table, until
 * their space is free again. Row by row that takes a vacuum as well; what the deletion alone takes is told besides. The
 * third way is the partition by hand, on an open connection: less than Postgres itself no program can take.
 */
export async function benchPartition(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  const dir = mkdtempSync(join(tmpdir(), "apitoken-bench-"));
  const config = join(dir, "targets.yaml");
  writeFileSync(config, "targets: [{ table: app.sessions, expiresAt: expires_at }]\n");
  const copy = async (template: string) => {
    await runAsSuperuser(postgres.url, "drop database if exists measured with (force)");
    const url = await postgres.createDatabase("measured", template);
    await runAsSuperuser(url, "checkpoint");
    return url;
  };
  const run = async (url: string) => {
    const { deleted, elapsedMs } = await runProgram(url, ["--config", config], {});
    if (deleted !== rows) throw new Error(`${deleted} rows went, not ${rows}`);
    return elapsedMs;
  };
  try {
    for (const name of ["plain", "partitioned"]) {
      tell(`filling a ${name} table with ${2 * rows} rows`);
      const url = await postgres.createDatabase(name);
      await migrate({ url });
      await fillSessions(url, rows, name === "partitioned");
    }
    const speedups: number[] = [];
    const alone: number[] = [];
    const overRaw: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const plain = await copy("plain");
      const plainMs = await run(plain);
      const vacuumMs = await measureVacuum(plain);
      const wholeMs = await run(await copy("partitioned"));
      const rawMs = await dropByHand(await copy("partitioned"));
      speedups.push((plainMs + vacuumMs) / wholeMs);
      alone.push(plainMs / wholeMs);
      overRaw.push(wholeMs / rawMs);
      const shown = [plainMs, vacuumMs, wholeMs, rawMs].map((elapsedMs) => `${Math.round(elapsedMs)} ms`);
      tell(
        `round ${round + 1}: row by row ${shown[0]} and vacuum ${shown[1]}, whole ${shown[2]}, whole by hand ${shown[3]}`,
      );
    }
    return {
      partition_speedup: median(speedups),
      partition_speedup_without_vacuum: median(alone),
      partition_over_raw: median(overRaw),
    };
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

/** The program's own vacuum has run already: this one finds the same number of dead rows, deleted by hand. */
async function measureVacuum(url: string): Promise<number> {
  await runAsSuperuser(url, "delete from app.sessions");
  return time(() => runAsSuperuser(url, "vacuum (analyze) app.sessions"));
}

async function fillSessions(url: string, rows: number, isPartitioned: boolean): Promise<void> {
  const columns = "id uuid not null, user_id text not null, expires_at timestamptz not null";
  const key = isPartitioned ? "id, expires_at" : "id";
  for (const statement of [
    "create schema app",
    `create table app.sessions (${columns}, primary key (${key})) ${isPartitioned ? "partition by range (expires_at)" : ""}`,
    ...(isPartitioned
      ? [
          "create table app.sessions_old partition of app.sessions for values from ('2001-01-01+00') to ('2001-02-01+00')",
          "create table app.sessions_new partition of app.sessions for values from ('2001-02-01+00') to ('2101-01-01+00')",
        ]
      : []),
    "create index on app.sessions (user_id)",
    "create index on app.sessions (expires_at)",
    `insert into app.sessions select md5(number::text)::uuid, 'user-' || number % 10000,
       case when number % 2 = 0 then timestamptz '2001-01-02+00' else timestamptz '2100-01-02+00' end + number * interval '1 second'
       from generate_series(1, ${2 * rows}) as number order by md5(number::text)`,
    "create role app_owner",
    "grant app_owner to apitoken_cleanup",
    "grant usage, create on schema app to app_owner",
    "alter table app.sessions owner to app_owner",
    ...(isPartitioned
      ? ["alter table app.sessions_old owner to app_owner", "alter table app.sessions_new owner to app_owner"]
      : []),
    "grant usage on schema app to apitoken_cleanup",
    "vacuum (freeze, analyze) app.sessions",
    "checkpoint",
  ]) {
    await runAsSuperuser(url, statement).catch((error: unknown) => {
      if (statement !== "create role app_owner") throw error; // roles outlive a database
    });
  }
}
