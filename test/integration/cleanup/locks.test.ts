import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { deleteBatch } from "../../../src/postgres/cleanup/batches.ts";
import { readTableFacts } from "../../../src/postgres/cleanup/catalog.ts";
import { chooseCutoffs } from "../../../src/postgres/cleanup/counts.ts";
import { prepareRun, setLockTimeout } from "../../../src/postgres/cleanup/runs.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { createLogin, createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { aTarget } from "../../unit/cleanup/builders.ts";
import { findCleaned, findNames, findRuns, insertTokens, isTrue, runCleanup } from "./program.ts";

const ROWS = 5_000;
let url: string;
let other: pg.Client;

beforeEach(async () => {
  url = await createTestDatabase();
  await insertTokens(url, [
    { prefix: "dead", count: ROWS, ...DUE.expired },
    { prefix: "live", count: ROWS, ...KEPT.live },
  ]);
  other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query("begin");
});

afterEach(() => other.end());

test("dead rows that another session has locked delay nobody, are reported as work left, and are deleted by the next run", async () => {
  const locked = ["dead-1", "dead-2500", "dead-5000"];
  await other.query("select from apitoken.tokens where name = any($1) for update", [locked]);
  const { exitCode, report } = await runCleanup(url, ["-o", "json"], { APITOKEN_CLEANUP_LOCK_TIMEOUT: "1h" });
  expect(exitCode).toBe(4);
  expect(report.targets[0]).toMatchObject({
    outcome: "stopped",
    message: "3 due rows of apitoken.tokens were locked by other sessions; the next run deletes them.",
    deleted: { expired: ROWS - 3 },
    after: { due: { expired: 3 } },
  });
  expect((await findNames(url)).filter((name) => name.startsWith("dead"))).toEqual(locked);

  await other.query("rollback");
  expect((await runCleanup(url)).exitCode).toBe(0);
  expect(await findNames(url)).toHaveLength(ROWS);
  expect(await findCleaned(url)).toHaveLength(ROWS);
});

test("a token that is extended during the run survives", async () => {
  await other.query("set session_replication_role = replica"); // past the trigger that keeps ended tokens ended
  await other.query("update apitoken.tokens set expires_at = now() + interval '1 day' where name = 'dead-7'");
  const program = runCleanup(url);
  await eventually(() => isTrue(url, "(select deleted from apitoken.cleanup_runs) > 0"));
  await other.query("commit");
  expect((await program).exitCode).toBe(0);
  expect((await findNames(url)).filter((name) => name.startsWith("dead"))).toEqual(["dead-7"]);
  expect((await findCleaned(url)).filter(({ name }) => name === "dead-7")).toEqual([]);
});

test.each(["wait", "skip"] as const)(
  "on a row that is extended meanwhile, a batch that would %s spares it",
  async (way) => {
    const name = new URL(url).pathname.slice(1);
    await runAsSuperuser(url, `alter database ${name} set default_transaction_isolation = 'repeatable read'`);
    const db = openDatabase({ url, role: "apitoken_cleanup", actor: "cleanup", maxConnections: 1 });
    await prepareRun(db);
    const cutoffs = await chooseCutoffs(db, { expiredMs: 0, revokedMs: 0 });
    const facts = await readTableFacts(db, { schema: "apitoken", table: "tokens" });
    const target = aTarget({
      schema: "apitoken",
      table: "tokens",
      name: "apitoken.tokens",
      oid: facts?.oid ?? "",
      audit: "rows",
    });
    const leaf = { oid: target.oid, sql: "apitoken.tokens" };
    const [run] = await runAsSuperuser<{ id: string }>(
      url,
      "insert into apitoken.cleanup_runs default values returning id",
    );
    await setLockTimeout(db, 30_000);
    await other.query("set session_replication_role = replica");
    await other.query("update apitoken.tokens set expires_at = now() + interval '1 day' where name = 'dead-7'");
    const range = { fromBlock: 0, toBlock: 100_000 };
    const options = { runId: run?.id ?? "", range, cutoffs, onLockedRow: way, maxRows: undefined };
    const batch = deleteBatch(db, target, leaf, options);
    const isWaiting =
      "exists (select from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'cleanup' and datname = current_database())";
    if (way === "wait") await eventually(() => isTrue(url, isWaiting));
    else await batch;
    await other.query("commit");
    expect(await batch).toMatchObject({ expired: ROWS - 1, revoked: 0, cascaded: 0 });
    expect((await findNames(url)).filter((name) => name.startsWith("dead"))).toEqual(["dead-7"]);
    await db.close();
  },
);

test("a table that another session has locked fails the run in time, with the remedy", async () => {
  await other.query("lock table apitoken.tokens in access exclusive mode");
  const { exitCode, stdout } = await runCleanup(url, [], { APITOKEN_CLEANUP_LOCK_TIMEOUT: "100ms" });
  expect(exitCode).toBe(1);
  expect(stdout).toContain("Another session holds a lock that the cleanup needs");
  expect(stdout).toContain("APITOKEN_CLEANUP_LOCK_TIMEOUT, 100 ms");
  expect(await findRuns(url)).toMatchObject([{ outcome: "failed", deleted: "0" }]);
});

test("the lock of a run in the hands of a login that is not a cleanup fails the run and names the session", async () => {
  await other.query("rollback");
  const { name, url: strangerUrl } = await createLogin(url);
  const stranger = new pg.Client({ connectionString: strangerUrl, application_name: "psql" });
  await stranger.connect();
  try {
    await stranger.query("select pg_advisory_lock(hashtextextended('apitoken.cleanup', 0))");
    const { rows } = await stranger.query<{ pid: number }>("select pg_backend_pid() as pid");
    const held = await runCleanup(url);
    expect(held.exitCode).toBe(1);
    expect(held.stdout).toContain(`server process ${rows[0]?.pid} (application "psql", login "${name}")`);
    expect(held.stdout).toContain("APITOKEN_E_DATABASE_LOCKED");

    await runAsSuperuser(url, `grant apitoken_cleanup to ${name}`);
    expect(await runCleanup(url)).toMatchObject({ exitCode: 0, stdout: expect.stringContaining("another cleanup") });
  } finally {
    await stranger.end();
    await runAsSuperuser(url, `drop role ${name}`);
  }
  expect(await findNames(url)).not.toHaveLength(0);
});
