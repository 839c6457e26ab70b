import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { createSessions, execute, writeConfig } from "./team-table.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await createSessions(url, 100);
});

const validate = (yaml: string, ...args: string[]) =>
  runCleanup(url, ["validate", "--config", writeConfig(yaml), ...args]);

test("a valid configuration shows what a run would do, with which index, and nothing is written", async () => {
  const { exitCode, stdout } = await validate("targets: [{ table: app.sessions, expiresAt: expires_at }]");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("app.sessions\n  would delete 100 of 300 rows: expired for 7d; audit summary; key id\n");
  expect(stdout).toContain('note: dead rows by "expires_at" are found with index sessions_expires_at_idx');
  expect(stdout).not.toContain("error:");
  expect(stdout).not.toContain("warning:");
  const [written] = await runAsSuperuser(
    url,
    "select (select count(*) from app.sessions)::integer as rows, (select count(*) from apitoken.cleanup_runs)::integer as runs",
  );
  expect(written).toEqual({ rows: 300, runs: 0 });
});

test("a missing index is a warning with a command that fixes it", async () => {
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at, revokedAt: revoked_at }]";
  const { exitCode, stdout } = await validate(yaml);
  expect(exitCode).toBe(0);
  const [command] = /create index concurrently .*/.exec(stdout) ?? [];
  expect(command).toBe('create index concurrently on "app"."sessions" ("revoked_at") where "revoked_at" is not null');
  await execute(url, String(command));
  expect((await validate(yaml)).stdout).not.toContain("warning:");
});

test("what a run would be refused for is reported in advance", async () => {
  await execute(url, "insert into app.sessions select n, 'x', '2001-01-01' from generate_series(1001, 9000) n");
  const { exitCode, stdout } = await validate("targets: [{ table: app.sessions, expiresAt: expires_at }]");
  expect(exitCode).toBe(0);
  expect(stdout).toContain("would delete 8,100 of 8,300 rows");
  expect(stdout).toContain("REFUSED BY THE CAP");
});

const TABLES = [
  "create view app.seen as select * from app.sessions",
  "create materialized view app.kept as select * from app.sessions",
  "create foreign data wrapper nothing",
  "create server elsewhere foreign data wrapper nothing",
  "create foreign table app.remote (id integer, expires_at timestamptz) server elsewhere",
  "create table app.closed (id integer primary key, expires_at timestamptz)",
  "create table app.readable (id integer primary key, expires_at timestamptz)",
  "grant select on app.readable to apitoken_cleanup",
  "create schema secret",
  "create table secret.sessions (id integer primary key, expires_at timestamptz)",
  "create table app.parts (id integer, expires_at timestamptz) partition by range (expires_at)",
  "create table app.part partition of app.parts for values from ('2001-01-01') to ('2002-01-01')",
  "grant select, delete, update on app.parts to apitoken_cleanup",
  "create table app.local (id integer primary key, expires_at timestamp, day date, n bigint, words text, state integer)",
  "create table app.keyless (id integer, expires_at timestamptz)",
  "grant select, delete, update on app.local, app.keyless to apitoken_cleanup",
  "create table app.owned (id integer primary key, session bigint references app.sessions)",
] as const;

test.each([
  ["an unknown table", "table: app.missing, expiresAt: e", "there is no table app.missing in this database"],
  ["an unknown schema", "table: missing.sessions, expiresAt: e", "there is no table missing.sessions in this database"],
  ["an unknown column", "table: app.sessions, expiresAt: expiry", 'no column "expiry"; it has id, user_id, expires_at'],
  [
    "an unknown key",
    "table: app.local, expiresAt: n, epoch: seconds, key: [uid]",
    'key: app.local has no column "uid"',
  ],
  [
    "an unknown owner",
    "table: app.local, expiresAt: n, epoch: seconds, owner: whom",
    'owner: app.local has no column "whom"',
  ],
  ["a column of a wrong type", "table: app.local, expiresAt: words", '"words" is of type text; it must be timestamptz'],
  ["a time without a zone", "table: app.local, expiresAt: expires_at", "say in timezone"],
  ["a day without a zone", "table: app.local, expiresAt: day", "say in timezone"],
  [
    "an unknown time zone",
    "table: app.local, expiresAt: day, timezone: Mars/Olympus",
    'has no time zone "Mars/Olympus"',
  ],
  [
    "a hostile time zone",
    `table: app.local, expiresAt: day, timezone: "'; drop table app.local; --"`,
    "has no time zone",
  ],
  [
    "an offset that Postgres reads the other way round",
    "table: app.local, expiresAt: day, timezone: UTC+3",
    "has no time zone",
  ],
  ["a number without a unit", "table: app.local, expiresAt: n", "say in epoch"],
  [
    "a number compared with a text",
    `table: app.local, expiresAt: n, epoch: seconds, revoked: "state = 'x'"`,
    "cannot be compared",
  ],
  ["a view", "table: app.seen, expiresAt: expires_at", "app.seen is a view"],
  ["a materialized view", "table: app.kept, expiresAt: expires_at", "app.kept is a materialized view"],
  ["a foreign table", "table: app.remote, expiresAt: expires_at", "app.remote is a foreign table"],
  [
    "no right at all",
    "table: app.closed, expiresAt: expires_at",
    'grant select, delete, update ("id") on "app"."closed" to apitoken_cleanup',
  ],
  [
    "no right to delete",
    "table: app.readable, expiresAt: expires_at",
    'grant delete, update ("id") on "app"."readable" to apitoken_cleanup',
  ],
  [
    "a closed schema",
    "table: secret.sessions, expiresAt: expires_at",
    'grant usage on schema "secret" to apitoken_cleanup',
  ],
  [
    "a closed partition",
    "table: app.parts, expiresAt: expires_at",
    "grant select, delete, update on app.part to apitoken_cleanup",
  ],
  ["keys to record, and no key", "table: app.keyless, expiresAt: expires_at, audit: rows", "no primary key"],
  [
    "a table that refers to it and is closed",
    "table: app.sessions, expiresAt: expires_at",
    'grant select on "app"."owned" to apitoken_cleanup',
  ],
])("%s is an error that names it, with exit code 2; no run starts", async (_fault, target, message) => {
  await execute(url, ...TABLES);
  const yaml = `targets: [{ ${target} }]`;
  const { exitCode, stdout } = await validate(yaml);
  expect(exitCode).toBe(2);
  expect(stdout).toMatch(/^ {2}error: /m);
  expect(stdout).toContain(message);
  const json = await validate(yaml, "-o", "json");
  expect(json.exitCode).toBe(2);
  expect(JSON.parse(json.stdout).targets[1].findings).toContainEqual({
    level: "error",
    message: expect.stringContaining(message),
  });
  const run = await runCleanup(url, ["--config", writeConfig(yaml)]);
  expect(run.exitCode).toBe(2);
  expect(run.stderr).toContain(message);
});

test("every grant that it asks for is enough", async () => {
  await execute(url, ...TABLES);
  const yaml =
    "targets: [{ table: app.closed, expiresAt: expires_at }, { table: secret.sessions, expiresAt: expires_at }, { table: app.parts, expiresAt: expires_at }]";
  for (let round = 0; round < 3; round += 1) {
    const { stdout } = await validate(yaml);
    const grants = [...stdout.matchAll(/^ {2}error: .*?(grant .*)$/gm)].map(([, grant]) => String(grant));
    await execute(url, ...grants);
  }
  expect((await validate(yaml)).exitCode).toBe(0);
});

test("without a file, and with one that cannot be read", async () => {
  expect((await runCleanup(url, ["validate"])).exitCode).toBe(0);
  const missing = await runCleanup(url, ["validate", "--config", "/nowhere/cleanup.yaml"]);
  expect(missing.exitCode).toBe(2);
  expect(missing.stderr).toContain("cannot read the configuration file: ENOENT");
});
