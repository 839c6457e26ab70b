import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { migrate } from "../../src/postgres/migrations.ts";
import { runAsSuperuser, startPostgres } from "../support/postgres-server.ts";
import { DURABLE_SETTINGS, runProgram } from "./cleanup-stage.ts";
import { type Figures, median, time } from "./figures.ts";

const ROUNDS = 3;

/**
 * A million dead rows beside as many live ones: in a partition that goes whole, and scattered over a plain table, until
 * their space is free again. Row by row that takes a vacuum as well; what the deletion alone takes is told besides.
 */
export async function benchPartition(tell: (text: string) => void, rows = 1_000_000): Promise<Figures> {
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  const dir = mkdtempSync(join(tmpdir(), "apitoken-bench-"));
  const config = join(dir, "targets.yaml");
  writeFileSync(config, "targets: [{ table: app.sessions, expiresAt: expires_at }]\n");
  try {
    const speedups: number[] = [];
    const alone: number[] = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      const measure = async (isPartitioned: boolean) => {
        await runAsSuperuser(postgres.url, "drop database if exists measured with (force)");
        const url = await postgres.createDatabase("measured");
        await migrate({ url });
        await fillSessions(url, rows, isPartitioned);
        const { deleted, elapsedMs } = await runProgram(url, ["--config", config], {});
        if (deleted !== rows) throw new Error(`${deleted} rows went, not ${rows}`);
        return { url, elapsedMs };
      };
      const plain = await measure(false);
      const vacuumMs = await measureVacuum(plain.url);
      const whole = await measure(true);
      speedups.push((plain.elapsedMs + vacuumMs) / whole.elapsedMs);
      alone.push(plain.elapsedMs / whole.elapsedMs);
      const shown = [plain.elapsedMs, vacuumMs, whole.elapsedMs].map((elapsedMs) => `${Math.round(elapsedMs)} ms`);
      tell(`round ${round + 1}: row by row ${shown[0]} and vacuum ${shown[1]}, whole ${shown[2]}`);
    }
    return { partition_speedup: median(speedups), partition_speedup_without_vacuum: median(alone) };
  } finally {
    await postgres.stop();
    rmSync(dir, { recursive: true, force: true });
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
