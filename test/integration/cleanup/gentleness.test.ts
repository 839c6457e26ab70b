import pg from "pg";
import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { findRuns, isTrue, runCleanup, startCleanup } from "./program.ts";
import { createSessions, execute, findAll, writeConfig } from "./team-table.ts";

let url: string;
const args = () => ["-o", "json", "--config", writeConfig("targets: [{ table: app.sessions, expiresAt: expires_at }]")];

beforeEach(async () => {
  url = await createTestDatabase();
});

test("--max-rows ends a run after that many rows with exit code 4, and the next run continues", async () => {
  await createSessions(url, 5_000);
  const { exitCode, report } = await runCleanup(url, [...args(), "--max-rows", "1234"]);
  expect(exitCode).toBe(4);
  expect(report.message).toContain("Stopped with about 3766 rows of app.sessions left");
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual([String(15_000 - 1_234)]);
  expect((await runCleanup(url, [...args(), "--max-rows", "3766"])).exitCode).toBe(0);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["10000"]);
});

test("a run pauses while the server writes more WAL than allowed, and reports it", async () => {
  await createSessions(url, 20_000);
  const { exitCode, report } = await runCleanup(url, args(), {
    APITOKEN_CLEANUP_MAX_WAL_RATE: "1MiB",
    APITOKEN_CLEANUP_BATCH_TARGET: "1ms",
  });
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.pausedMs["WAL rate"]).toBeGreaterThan(100);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["40000"]);
});

test.each([
  ["rests while others write", "0.5", true],
  ["does not, where it is told to make no room", "1", false],
])("a run %s", async (_case, share, isResting) => {
  await createSessions(url, 20_000);
  // Slow enough for the run to check the server several times, however slow the writer is.
  await execute(
    url,
    "create function app.linger() returns trigger language plpgsql as $$ begin perform pg_sleep(0.05); return old; end $$",
    "create trigger linger before delete on app.sessions for each row when (old.id % 1000 = 0) execute function app.linger()",
    "create table app.other (number int)",
  );
  const writer = new pg.Client({ connectionString: url });
  await writer.connect();
  let isOver = false;
  const write = async () => {
    while (!isOver) await writer.query("insert into app.other values (1)");
  };
  const writing = write();
  const { exitCode, report } = await runCleanup(url, args(), {
    APITOKEN_CLEANUP_BUSY_SHARE: share,
    APITOKEN_CLEANUP_BATCH_TARGET: "1ms",
  });
  isOver = true;
  await writing;
  await writer.end();
  expect(exitCode).toBe(0);
  expect("others write" in (report.targets[1]?.pausedMs ?? {})).toBe(isResting);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["40000"]);
});

test("a run pauses while a session waits for one of its locks", async () => {
  await createSessions(url, 20_000);
  // Row 5,000 blocks the batch, which has locked the rows before it.
  await execute(
    url,
    "create function app.hold() returns trigger language plpgsql as $$ begin perform pg_advisory_xact_lock(5000); return old; end $$",
    "create trigger hold before delete on app.sessions for each row when (old.id = 5000) execute function app.hold()",
  );
  const holder = new pg.Client({ connectionString: url });
  const waiter = new pg.Client({ connectionString: url });
  await Promise.all([holder.connect(), waiter.connect()]);
  await holder.query("select pg_advisory_lock(5000)");
  const program = startCleanup(url, args(), { APITOKEN_CLEANUP_LOCK_TIMEOUT: "1h" });
  // The first attempt waits for a moment only. The next one waits.
  const isHeld = `exists (select from pg_stat_activity where wait_event = 'advisory' and query like '%delete from only%'
    and datname = current_database() and query_start < clock_timestamp() - interval '500 ms')`;
  await eventually(() => isTrue(url, isHeld));
  const waiting = waiter.query("update app.sessions set user_id = 'mine' where id = 1");
  const waits = "exists (select from pg_locks where locktype = 'transactionid' and not granted)";
  await eventually(() => isTrue(url, waits));
  // Two looks: the second one starts only when the program has read the answer of the first.
  for (const _ of ["answered", "read"]) {
    const [since] = await findAll(url, "select clock_timestamp()::text");
    const hasLooked = `exists (select from pg_stat_activity where query like '%pg_blocking_pids%'
      and application_name = 'cleanup' and query_start > '${since}' and state = 'idle')`;
    await eventually(() => isTrue(url, hasLooked), { intervalMs: 5 });
  }
  await holder.query("select pg_advisory_unlock(5000)");
  const { exitCode, report } = await program.ended;
  await waiting;
  await Promise.all([holder.end(), waiter.end()]);
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.pausedMs["waiting sessions"]).toBeGreaterThan(0);
});

test("SIGTERM also ends a run in the middle of a pause", async () => {
  await createSessions(url, 50_000);
  const program = startCleanup(url, args(), {
    APITOKEN_CLEANUP_MAX_WAL_RATE: "1KiB",
    APITOKEN_CLEANUP_BATCH_TARGET: "1ms",
  });
  await eventually(() => isTrue(url, "(select deleted from apitoken.cleanup_runs) > 0"), { intervalMs: 5 });
  program.process.kill("SIGTERM");
  expect((await program.ended).exitCode).toBe(4);
  expect((await findRuns(url))[0]?.outcome).toBe("stopped");
});
