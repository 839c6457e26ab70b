import { execFile } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { readCleanupFigures } from "../../../src/postgres/cleanup/figures.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* What is wrong with one table keeps no other from being cleaned. */

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

/** Creates a table with three rows that are due, of different times, and six that are live. */
async function createTable(name: string, due = 3): Promise<void> {
  await execute(
    url,
    `create table ${name} (id integer primary key, kind text default 'a', expires_at timestamptz)`,
    `insert into ${name} (id, expires_at)
     select n, now() + (case when n <= ${due} then -9 else 9 end) * interval '1 day' + n * interval '1 minute' from generate_series(1, ${due + 6}) n`,
  );
}

const targetOf = (table: string, rest: Readonly<Record<string, unknown>> = {}) => ({
  table,
  expiresAt: "expires_at",
  ...rest,
});

const clean = (targets: readonly object[], env: NodeJS.ProcessEnv = {}) =>
  runCleanup(url, ["-o", "json", "--config", writeConfig(JSON.stringify({ targets }))], {
    APITOKEN_CLEANUP_LOCK_TIMEOUT: "300ms",
    ...env,
  });

function createFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-textfile-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Holds the lock that ALTER TABLE takes, until the test has finished. */
async function lockTable(table: string): Promise<void> {
  const session = new pg.Client({ connectionString: url });
  session.on("error", () => {});
  await session.connect();
  onTestFinished(() => session.end());
  await session.query("begin");
  await session.query(`alter table ${table} add column more integer`);
}

test("of 30 targets five fail in five ways: the other 25 are cleaned, and report, log and metrics name the five", async () => {
  const tables = Array.from({ length: 30 }, (_, place) => `app.t${place}`);
  for (const table of tables) await createTable(table);
  await execute(
    url,
    ...GRANT_APP,
    "create type app.kind as enum ('a', 'b')",
    "alter table app.t4 alter column kind drop default, alter column kind type app.kind using kind::app.kind",
    "revoke delete on app.t9 from apitoken_cleanup",
    "alter table app.t14 enable row level security",
    "create function app.keep() returns trigger language plpgsql as $$ begin return null; end $$",
    "create trigger keep before delete on app.t19 for each row execute function app.keep()",
  );
  await lockTable("app.t24");
  const textfile = join(createFolder(), "cleanup.prom");
  const targets = tables.map((table) => targetOf(table, table === "app.t4" ? { where: "kind = 'c'" } : {}));
  const { exitCode, report, stderr } = await clean(targets, { APITOKEN_CLEANUP_TEXTFILE: textfile });

  const failed = ["app.t4", "app.t9", "app.t14", "app.t19", "app.t24"];
  expect(exitCode).toBe(1);
  for (const { table, outcome, deleted, message } of report.targets.slice(1)) {
    const isFailed = failed.includes(table);
    expect({ table, outcome, deleted: deleted.expired }).toEqual({
      table,
      outcome: isFailed ? "failed" : "succeeded",
      deleted: isFailed ? 0 : 3,
    });
    expect(message === undefined, table).toBe(!isFailed);
    if (table !== "app.t24")
      expect(await findAll(url, `select count(*) from ${table}`)).toEqual([isFailed ? "9" : "6"]);
  }
  for (const [table, message] of [
    ["app.t4", 'where: kind is of type app.kind: invalid input value for enum app.kind: "c"'],
    ["app.t9", 'grant delete on "app"."t9" to apitoken_cleanup'],
    ["app.t14", "create policy apitoken_cleanup on app.t14"],
    ["app.t19", "3 due rows of app.t19 are still there"],
    ["app.t24", "Another session holds a lock that the cleanup needs"],
  ] as const) {
    expect(report.message).toContain(`${table}: `);
    expect(report.targets.find((target) => target.table === table)?.message).toContain(message);
    expect(stderr).toContain(`"table":"${table}"`);
  }
  const metrics = readFileSync(textfile, "utf8");
  const named = [...metrics.matchAll(/apitoken_cleanup_target_failed\{table="([^"]+)"\} 1/g)].map(([, table]) => table);
  expect(named.sort()).toEqual([...failed].sort());
});

test("a table over the cap is refused, and the others are cleaned; something worse decides about the exit code", async () => {
  await createTable("app.good");
  await createTable("app.over", 200);
  await execute(url, ...GRANT_APP);
  const targets = [targetOf("app.over", { firstRunMaxFraction: 1 }), targetOf("app.good")];
  const refused = await clean(targets);
  expect(refused.exitCode).toBe(3);
  expect(refused.report.targets.map(({ outcome }) => outcome)).toEqual(["succeeded", "refused", "succeeded"]);
  expect(await findAll(url, "select count(*) from app.over")).toEqual(["206"]);
  expect(await findAll(url, "select count(*) from app.good")).toEqual(["6"]);
  const failed = await clean([...targets, targetOf("app.missing")]);
  expect(failed.exitCode).toBe(1);
  expect(failed.report.code).toBe("APITOKEN_E_TARGET_INVALID");
});

test("a target whose deletions could reach one with errors is not cleaned: nobody knows which rows must stay", async () => {
  await createTable("app.devices");
  await execute(
    url,
    `create table app.sessions (id integer primary key, device integer references app.devices on delete cascade, expires_at timestamptz)`,
    "create index on app.sessions (device)",
    ...GRANT_APP,
  );
  const { exitCode, report } = await clean([
    targetOf("app.devices", { cascade: ["app.sessions"] }),
    targetOf("app.sessions", { where: "kind = 'a'" }),
  ]);
  expect(exitCode).toBe(1);
  expect(report.targets[1]?.message).toContain("app.sessions");
  expect(await findAll(url, "select count(*) from app.devices")).toEqual(["9"]);
});

test("figures of a table that is no longer configured vanish with the next run", async () => {
  await createTable("app.one");
  await createTable("app.two");
  await execute(url, ...GRANT_APP);
  const db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 1 });
  onTestFinished(() => db.close());
  const tables = async () => (await readCleanupFigures(db)).targets.map(({ table }) => table);
  expect((await clean([targetOf("app.one"), targetOf("app.two")])).exitCode).toBe(0);
  expect(await tables()).toEqual(["apitoken.tokens", "app.one", "app.two"]);
  expect((await clean([targetOf("app.two")])).exitCode).toBe(0);
  expect(await tables()).toEqual(["apitoken.tokens", "app.two"]);
});

test("a textfile can be read by everybody, whatever the umask", async () => {
  const textfile = join(createFolder(), "cleanup.prom");
  const program = fileURLToPath(new URL("../../../src/cleanup/main.ts", import.meta.url));
  await new Promise<void>((resolve, reject) => {
    const env = { PATH: process.env.PATH, DATABASE_URL: url, APITOKEN_CLEANUP_TEXTFILE: textfile };
    execFile("sh", ["-c", 'umask 077; exec "$0" "$1"', process.execPath, program], { env }, (error) =>
      error === null ? resolve() : reject(error),
    );
  });
  expect((statSync(textfile).mode & 0o777).toString(8)).toBe("644");
});

test.each([
  [
    "quotes that YAML has taken",
    'timezone: utc, expiresAt: "expiresAt"',
    `app.t has no column "expiresat", but "expiresAt"; in YAML, write it with two kinds of quotes: '"expiresAt"'`,
  ],
  [
    "a time zone that does not exist",
    `expiresAt: '"expiresAt"', timezone: Nowhere`,
    'timezone: Postgres has no time zone "Nowhere"',
  ],
  [
    "a column that is not there",
    "timezone: utc, expiresAt: expiry",
    'app.t has no column "expiry"; it has id, expiresAt',
  ],
])("validate says how to write it right: %s", async (_name, fields, message) => {
  await execute(url, `create table app.t (id integer primary key, "expiresAt" timestamp)`, ...GRANT_APP);
  const path = writeConfig(`targets: [{ table: app.t, ${fields} }]`);
  const { exitCode, stdout } = await runCleanup(url, ["validate", "--config", path]);
  expect(exitCode).toBe(2);
  expect(stdout).toContain(message);
});

test("a time zone may be written in any case", async () => {
  await execute(
    url,
    `create table app.t (id integer primary key, "expiresAt" timestamp)`,
    `insert into app.t select n, (now() at time zone 'Europe/Berlin') + (case when n = 1 then -9 else 9 end) * interval '1 day' from generate_series(1, 3) n`,
    ...GRANT_APP,
  );
  const { exitCode, report } = await clean([{ table: "app.t", expiresAt: '"expiresAt"', timezone: "europe/berlin" }]);
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.deleted.expired).toBe(1);
});
