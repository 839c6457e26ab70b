import { afterAll, beforeAll, expect, test } from "vitest";
import { type PostgresServer, startPostgres } from "../../../local/postgres-server.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { eventually } from "../../support/eventually.ts";
import { isTrue, runCleanup, startCleanup } from "./program.ts";
import { createSessions, execute, findAll, writeConfig } from "./team-table.ts";

/* A primary and a replica of its own: what a lagging replica does concerns every database of a server. */

let primary: PostgresServer;
let standby: PostgresServer;
let url: string;

beforeAll(async () => {
  primary = await startPostgres();
  url = await primary.createDatabase("tokens");
  await migrate({ url });
  await createSessions(url, 20_000);
  await execute(url, "grant pg_monitor to apitoken_cleanup");
  standby = await primary.createStandby();
  await eventually(() => isTrue(url, "exists (select from pg_stat_replication where state = 'streaming')"));
});

afterAll(async () => {
  await standby?.stop();
  await primary?.stop();
});

const args = () => ["-o", "json", "--config", writeConfig("targets: [{ table: app.sessions, expiresAt: expires_at }]")];

test("a run is refused on a standby", async () => {
  const elsewhere = new URL(url);
  elsewhere.port = new URL(standby.url).port;
  await eventually(() => isTrue(elsewhere.href, "exists (select from app.sessions)"));
  const { exitCode, report } = await runCleanup(elsewhere.href, args());
  expect(exitCode).toBe(1);
  expect(report.message).toContain("This server is a standby and takes no writes");
  expect((await runCleanup(elsewhere.href, ["validate"])).exitCode).toBe(1);
});

test("a run pauses while a replica is behind, even one that applies nothing at all, and continues when it has caught up", async () => {
  await execute(standby.url, "select pg_wal_replay_pause()");
  await eventually(() => isTrue(standby.url, "pg_get_wal_replay_pause_state() = 'paused'"));
  const program = startCleanup(url, args(), {
    APITOKEN_CLEANUP_MAX_REPLICA_LAG: "300ms",
    APITOKEN_CLEANUP_BATCH_TARGET: "1ms",
    APITOKEN_CLEANUP_MAX_WAL_RATE: "512KiB", // slow enough to be interrupted in the middle
  });
  let log = "";
  program.process.stderr?.on("data", (chunk) => (log += chunk));
  await eventually(() => log.includes('"reason":"replica lag"'));
  expect(program.process.exitCode).toBeNull();
  await execute(standby.url, "select pg_wal_replay_resume()");
  const { exitCode, report } = await program.ended;
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.pausedMs["replica lag"]).toBeGreaterThan(0);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["40000"]);
});
