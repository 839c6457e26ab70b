import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { createAppOwner, createSessions, execute, findAll, writeConfig } from "./team-table.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
});

const DEMO = "targets: [{ table: app.demo, expiresAt: expires_at, revokedAt: revoked_at, owner: user_id }]";

test("stats shows the table, the owners with the most rows and the limits, and growth since the last run", async () => {
  await createSessions(url, 500);
  await execute(
    url,
    "update app.sessions set user_id = 'hoarder' where id between 1001 and 1200",
    "update app.sessions set user_id = '\u001b[31mred' where id = 1201",
  );
  const config = writeConfig("targets: [{ table: app.sessions, expiresAt: expires_at, owner: user_id }]");
  const fresh = await runCleanup(url, ["stats", "--config", config]);
  expect(fresh.exitCode).toBe(0);
  expect(fresh.stdout).toMatch(/^app\.sessions$/m);
  expect(fresh.stdout).toMatch(/^ {2}live +500$/m);
  expect(fresh.stdout).toMatch(/^ {2}expired +1,000$/m);
  expect(fresh.stdout).toMatch(/^ {2}past retention +500$/m);
  expect(fresh.stdout).toMatch(/^ {2}hoarder +200 +200 {2}deserves a look$/m);
  expect(fresh.stdout.match(/deserves a look$/gm)).toHaveLength(1);
  expect(fresh.stdout).toContain("no run has looked at it yet");
  expect(fresh.stdout).not.toContain("\u001b");

  await runCleanup(url, ["--config", config]);
  await execute(
    url,
    "insert into app.sessions select n, 'new', now() + interval '1 day' from generate_series(5001, 5250) n",
  );
  const later = await runCleanup(url, ["stats", "--config", config]);
  expect(later.stdout).toContain("since the last run: +250 rows");
  expect(later.stdout).toMatch(/^ {2}1 +\d{4}-\d\d-\d\d +1,500 +500 +.* succeeded$/m);

  const json = JSON.parse((await runCleanup(url, ["stats", "-o", "json", "--config", config])).stdout);
  expect(json.targets[1]).toMatchObject({
    table: "app.sessions",
    counts: { total: 1_250, live: 750, due: { expired: 0 } },
    history: [{ outcome: "succeeded", rowsBefore: 1_500, deleted: 500 }],
  });
  for (const { counts } of json.targets) {
    expect(counts.tableBytes).toBeGreaterThan(0);
    expect(counts.indexBytes).toBeGreaterThan(0);
  }
  expect(json.targets[1].owners[0]).toEqual({ owner: "new", total: 250, live: 250 });
  expect(await findAll(url, "select count(*) from apitoken.cleanup_runs")).toEqual(["1"]);
});

test("impossible times, and infinite ones, mean that there is none", async () => {
  await execute(
    url,
    "create schema app",
    "create table app.never (id integer primary key, expires_at timestamptz, revoked_at timestamptz)",
    "insert into app.never values (1, 'infinity', null), (2, 'infinity', '2001-01-01'), (3, '-infinity', null), (4, 'infinity', '-infinity'), (5, null, null)",
    "create table app.numbers (id integer primary key, expires_at bigint, revoked_at bigint)",
    "insert into app.numbers values (1, 9223372036854775807, null), (2, 9223372036854775807, 1000000000), (3, -9223372036854775808, null)",
    "grant usage on schema app to apitoken_cleanup",
    "grant select, delete, update on all tables in schema app to apitoken_cleanup",
  );
  const config = writeConfig(
    `targets:
       - { table: app.never, expiresAt: expires_at, revokedAt: revoked_at }
       - { table: app.numbers, expiresAt: expires_at, revokedAt: revoked_at, epoch: seconds }`,
  );
  for (const command of [["stats"], ["validate"], ["--dry-run"], ["run"]]) {
    const { exitCode, stdout, stderr } = await runCleanup(url, [...command, "--config", config]);
    expect({ command, exitCode, stderr: stderr.includes("error") }).toEqual({ command, exitCode: 0, stderr: false });
    if (command[0] === "stats") expect(stdout).toMatch(/oldest dead +2001-01-01/);
  }
  expect(await findAll(url, "select id from app.never")).toEqual(["1", "3", "4", "5"]);
  expect(await findAll(url, "select id from app.numbers")).toEqual(["1", "3"]);
});

test("demo-table creates a table with the requested share of dead rows, ready to be cleaned", async () => {
  const made = await runCleanup(url, ["demo-table", "app.demo", "--rows", "20000", "--dead", "0.25"]);
  expect(made.exitCode, made.stderr).toBe(0);
  expect(made.stdout).toContain("app.demo has 20,000 rows, about 25 % of them dead");
  const printed = made.stdout.slice(made.stdout.indexOf("targets:"));
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(printed)]);
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.before).toMatchObject({
    total: 20_000,
    live: 15_000,
    due: { expired: 2_500, revoked: 2_500 },
  });
  expect(await findAll(url, "select count(*) from app.demo")).toEqual(["15000"]);
  expect(await findAll(url, "select count(distinct coalesce(revoked_at, expires_at)) from app.demo")).toEqual([
    "15000",
  ]);
  const warnings = await runCleanup(url, ["validate", "--config", writeConfig(DEMO)]);
  expect(warnings.stdout).not.toContain("warning:");

  const again = await runCleanup(url, ["demo-table", "app.demo"]);
  expect(again.exitCode).toBe(2);
  expect(again.stderr).toContain("app.demo exists already; name another");
});

test.each(["0.7", "1"])(
  "the configuration of a table with a share of %s dead rows says that so many may go",
  async (dead) => {
    const made = await runCleanup(url, ["demo-table", "app.demo", "--rows", "300", "--dead", dead]);
    const printed = made.stdout.slice(made.stdout.indexOf("targets:"));
    const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(printed)]);
    expect(exitCode, report.message).toBe(0);
    expect(await findAll(url, "select count(*) from app.demo")).toEqual([String(300 - 300 * Number(dead))]);
  },
);

test("demo-table --partitioned creates months, and dead ones are dropped whole if the role is a member of their owner", async () => {
  await createAppOwner(url);
  const made = await runCleanup(url, ["demo-table", "app.demo", "--rows", "2000", "--dead", "0.5", "--partitioned"]);
  expect(made.exitCode, made.stderr).toBe(0);
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(DEMO)]);
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.before).toMatchObject({ total: 2_000, live: 1_000 });
  expect(report.targets[1]?.partitions.kept.length).toBeGreaterThan(0); // the superuser owns them
  expect(await findAll(url, "select count(*) from app.demo")).toEqual(["1000"]);
});

test.each([
  [["demo-table"], "missing argument TABLE"],
  [["demo-table", "demo"], '"demo" is not a table; write it as schema.table'],
  [["demo-table", "app.x; drop table y"], "is not a table"],
  [["demo-table", "app.demo", "--rows", "0"], '--rows is "0": must be a whole number from 1 to 1000000000'],
  [["demo-table", "app.demo", "--rows", "99999999999"], '--rows is "99999999999": must be a whole number'],
  [["demo-table", "app.demo", "--dead", "2"], '--dead is "2": must be a number from 0 to 1'],
  [["--rows", "5"], "--rows is valid only with demo-table"],
  [["stats", "now"], 'unexpected argument "now" after stats'],
])("%j is bad configuration", async (args, message) => {
  const { exitCode, stderr } = await runCleanup(url, args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});
