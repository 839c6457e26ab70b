import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../../src/postgres/migrations.ts";
import { runAsSuperuser, startPostgres } from "../support/postgres-server.ts";
import { DURABLE_SETTINGS, runProgram } from "./cleanup-stage.ts";
import { type Figures, median } from "./figures.ts";

const ROUNDS = 3;

/** The same rows, all of them dead: in a partition that goes whole, and in a table that goes row by row. */
export async function benchPartition(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  const dir = mkdtempSync(join(tmpdir(), "apitoken-bench-"));
  try {
    const speedups: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const elapsed: Record<string, number> = {};
      for (const way of ["plain", "partitioned"] as const) {
        await runAsSuperuser(postgres.url, "drop database if exists measured with (force)");
        const url = await postgres.createDatabase("measured");
        await migrate(url);
        await fillSessions(url, rows, way === "partitioned");
        const config = join(dir, "targets.yaml");
        writeFileSync(config, "targets: [{ table: app.sessions, expiresAt: expires_at }]\n");
        const { deleted, elapsedMs } = await runProgram(url, ["--config", config, "--max-fraction", "1"], {});
        if (deleted !== rows) throw new Error(`${deleted} rows went, not ${rows}`);
        elapsed[way] = elapsedMs;
      }
      const { plain = Number.NaN, partitioned = Number.NaN } = elapsed;
      speedups.push(plain / partitioned);
      tell(`round ${round + 1}: row by row ${Math.round(plain)} ms, whole ${Math.round(partitioned)} ms`);
    }
    return { partition_speedup: median(speedups) };
  } finally {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function fillSessions(url: string, rows: number, isPartitioned: boolean): Promise<void> {
  const columns = "id uuid not null, user_id text not null, payload text not null, expires_at timestamptz not null";
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
    `insert into app.sessions select md5(number::text)::uuid, 'user-' || number % 10000, md5((-number)::text),
       timestamptz '2001-01-02+00' + number * interval '2 seconds' from generate_series(1, ${rows}) as number`,
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
