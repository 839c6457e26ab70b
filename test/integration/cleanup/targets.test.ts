import { createHash } from "node:crypto";
import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { confirmed, createSessions, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
});

async function clean(yaml: string, ...args: string[]) {
  return runCleanup(url, ["-o", "json", "--config", writeConfig(yaml), ...args]);
}

test("in a team's table rows past their retention are deleted, and the trail has each key", async () => {
  await createSessions(url, 500);
  await execute(
    url,
    "update app.sessions set revoked_at = now() - interval '25 hours' - id * interval '1 s' where id in (1100, 1200)",
  );
  const { exitCode, report } = await clean(`
    targets:
      - table: app.sessions
        expiresAt: expires_at
        revokedAt: revoked_at
        retention: { expired: 7d, revoked: 24h }
        audit: rows`);
  expect(exitCode).toBe(0);
  expect(report.targets[1]).toMatchObject({ table: "app.sessions", deleted: { expired: 500, revoked: 2 } });
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["998"]);
  expect(await findAll(url, "select count(*) from app.sessions where expires_at < now() - interval '7 days'")).toEqual([
    "0",
  ]);
  const keys = await findAll(url, "select row_key from apitoken.cleaned_rows where table_name = 'app.sessions'");
  expect(keys).toEqual([...Array.from({ length: 500 }, (_, index) => String(index + 1)), "1100", "1200"].sort());
  const [found] = await runAsSuperuser(url, "select * from apitoken.find_cleaned('1100', 'app.sessions')");
  expect(found).toMatchObject({ run: report.runId, reason: "Revoked", actor: "cleanup", cleaned_at: expect.any(Date) });
});

test("an expiry of any type is read as intended", async () => {
  const ways = [
    ["timestamptz", "now() + $1::interval", ""],
    ["timestamp", "(now() at time zone 'Asia/Tokyo') + $1::interval", "timezone: Asia/Tokyo"],
    ["date", "((now() at time zone 'UTC') + $1::interval)::date", "timezone: UTC"],
    ["bigint", "extract(epoch from now() + $1::interval)::bigint", "epoch: seconds"],
    ["integer", "extract(epoch from now() + $1::interval)::integer", "epoch: seconds"],
    ["bigint", "(extract(epoch from now() + $1::interval) * 1000)::bigint", "epoch: milliseconds"],
    ["numeric", "extract(epoch from now() + $1::interval)", "epoch: seconds"],
  ] as const;
  const lines = ways.map(([, , setting], index) =>
    `  - { table: app.t${index}, expiresAt: x, ${setting} retention: { expired: 24h } }`.replace(
      " retention",
      setting === "" ? "retention" : ", retention",
    ),
  );
  await execute(url, "create schema app");
  for (const [index, [type, value]] of ways.entries()) {
    await execute(
      url,
      `create table app.t${index} (id integer primary key, x ${type})`,
      `insert into app.t${index} values (4, null)`,
    );
    // 1 is due, 2 is dead for less than a day, 3 is live, 4 never expires.
    for (const [id, offset] of Object.entries({ 1: "-49 hours", 2: "-1 hour", 3: "49 hours" })) {
      await runAsSuperuser(url, `insert into app.t${index} select ${id}, ${value}`, [offset]);
    }
  }
  await execute(url, ...GRANT_APP);
  const { exitCode, report } = await clean(`targets:\n${lines.join("\n")}`);
  expect(exitCode).toBe(0);
  for (const [index] of ways.entries()) {
    expect(await findAll(url, `select id from app.t${index}`)).toEqual(["2", "3", "4"]);
    expect(report.targets[index + 1]?.before).toMatchObject({ total: 4, due: { expired: 1, revoked: 0 } });
  }
});

test("a revocation column may have any of several types", async () => {
  const ways = [
    ["boolean", "is_active = false", "false", "true"],
    ["text", "is_active = 'it''s off'", "'it''s off'", "'on'"],
    ["integer", "is_active = 0", "0", "1"],
  ] as const;
  await execute(url, "create schema app");
  for (const [index, [type, , revoked, live]] of ways.entries()) {
    await execute(
      url,
      `create table app.t${index} (id integer primary key, is_active ${type}, expires_at timestamptz default now() + interval '1 day')`,
      `insert into app.t${index} values (1, ${revoked}), (2, ${live}), (3, null)`,
    );
  }
  await execute(url, ...GRANT_APP);
  const targets = ways.map(([, revoked], index) => ({ table: `app.t${index}`, expiresAt: "expires_at", revoked }));
  expect((await clean(JSON.stringify({ targets }))).exitCode).toBe(0);
  for (const [index] of ways.entries()) expect(await findAll(url, `select id from app.t${index}`)).toEqual(["2", "3"]);
});

test("with a comparison and a time, a row is revoked only if both say so", async () => {
  await execute(
    url,
    "create schema app",
    `create table app.t (id integer primary key, status text, changed_at timestamptz, expires_at timestamptz default now() + interval '1 day')`,
    `insert into app.t values (1, 'revoked', now() - interval '2 days'), (2, 'revoked', now()), (3, 'active', now() - interval '2 days')`,
    ...GRANT_APP,
  );
  await clean(
    `targets: [{ table: app.t, expiresAt: expires_at, revoked: "status = 'revoked'", revokedAt: changed_at, retention: { revoked: 1d } }]`,
  );
  expect(await findAll(url, "select id from app.t")).toEqual(["2", "3"]);
});

test("a table is cleaned even if its name has special characters", async () => {
  const names = [
    ['app."Weird Table"', 'app."Weird Table"', '"Expires At"'],
    ['app."say ""hi"""', 'app."say ""hi"""', "expires"],
    ['"My App"."x; drop table y"', '"My App"."x; drop table y"', '"; drop table y --"'],
    ["app.ünïcode", "app.ünïcode", '"日本"'],
    ["APP.Sessions", "app.sessions", "EXPIRES"],
  ] as const;
  await execute(
    url,
    "create schema app",
    'create schema "My App"',
    'grant usage on schema app, "My App" to apitoken_cleanup',
  );
  for (const [, sql, column] of names) {
    await execute(
      url,
      `create table ${sql} (a integer, "b ""c""" text, ${column} timestamptz, primary key (a, "b ""c"""))`,
      `insert into ${sql} values (1, 'x', now() - interval '8 days'), (2, 'y', now() + interval '1 hour')`,
      `grant select, delete, update on ${sql} to apitoken_cleanup`,
    );
  }
  const targets = names.map(([table, , expiresAt]) => ({ table, expiresAt, audit: "rows" }));
  const { exitCode, report } = await clean(JSON.stringify({ targets }));
  expect(exitCode).toBe(0);
  expect(report.targets.slice(1).map(({ deleted }) => deleted.expired)).toEqual(names.map(() => 1));
  for (const [, sql] of names) expect(await findAll(url, `select a from ${sql}`)).toEqual(["2"]);
  const keys = await findAll(url, "select row_key from apitoken.cleaned_rows where table_name <> 'apitoken.tokens'");
  const hash = createHash("sha256").update('[1, "x"]').digest("hex");
  expect(keys).toEqual(names.map(() => `sha256:${hash}`));
});

test("a target that does not fit the database fails by name, with what is wrong with it; the others are cleaned", async () => {
  await createSessions(url, 10);
  await execute(
    url,
    "create view app.seen as select * from app.sessions",
    "create materialized view app.kept as select * from app.sessions",
    "create table app.local_times (id integer primary key, expires_at timestamp, n bigint)",
    "create table app.closed (id integer primary key, expires_at timestamptz)",
    "grant select on app.seen, app.kept, app.local_times to apitoken_cleanup",
  );
  const { exitCode, report } = await clean(`
    targets:
      - { table: app.sessions, expiresAt: expires_at }
      - { table: app.missing, expiresAt: expires_at }
      - { table: app.seen, expiresAt: expires_at }
      - { table: app.kept, expiresAt: expires_at }
      - { table: app.local_times, expiresAt: expires_at, revokedAt: n }
      - { table: app.closed, expiresAt: expiry, owner: whom }`);
  expect(exitCode).toBe(1);
  expect(report).toMatchObject({ outcome: "failed", code: "APITOKEN_E_TARGET_INVALID" });
  for (const message of [
    "there is no table app.missing in this database",
    "app.seen is a view",
    "app.kept is a materialized view",
    'expiresAt: "expires_at" is of type timestamp without time zone; say in timezone',
    'revokedAt: "n" is a number; say in epoch',
    'the role lacks rights: grant delete, update ("id") on "app"."local_times" to apitoken_cleanup',
    'app.closed: the role lacks rights: grant select, delete, update ("id")',
    'expiresAt: app.closed has no column "expiry"; it has id, expires_at',
  ]) {
    expect(report.message).toContain(message);
  }
  expect(report.targets.map(({ table, outcome }) => [table, outcome])).toEqual([
    ["apitoken.tokens", "succeeded"],
    ["app.sessions", "succeeded"],
    ...["missing", "seen", "kept", "local_times", "closed"].map((table) => [`app.${table}`, "failed"]),
  ]);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["20"]);
});

test("if one table exceeds the cap, nothing is deleted in it, and the message names it and the remedy; the others are cleaned", async () => {
  await createSessions(url, 1_000);
  await execute(url, "delete from app.sessions where expires_at > now() - interval '7 days' and id % 50 <> 0");
  await execute(url, "create table app.other (id integer primary key, expires_at timestamptz)", ...GRANT_APP);
  await execute(url, "insert into app.other values (1, now() - interval '30 days')");
  const yaml = `targets: [{ table: app.other, expiresAt: expires_at }, { table: app.sessions, expiresAt: expires_at, maxFraction: 0.5 }]`;
  const { exitCode, report } = await clean(confirmed(yaml));
  expect(exitCode).toBe(3);
  expect(report.message).toContain("1000 of 1040 rows of app.sessions (96.1 %)");
  expect(report.message).toContain("higher --max-fraction");
  expect(report.targets.map(({ outcome }) => outcome)).toEqual(["succeeded", "succeeded", "refused"]);
  expect(await findAll(url, "select count(*) from app.other")).toEqual(["0"]);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["1040"]);
});

test.each([
  [
    "of the schema that a condition's type is in",
    [
      "create schema types",
      "create type types.state as enum ('active', 'revoked')",
      "alter table app.sessions add state types.state",
    ],
    "where: \"state = 'active'\"",
    "permission denied for schema types: grant usage on schema types to apitoken_cleanup",
  ],
  [
    "of a table that a policy asks",
    [
      "create table app.tenants (id text)",
      "alter table app.sessions enable row level security",
      "create policy everything on app.sessions to apitoken_cleanup using (true)",
      `create policy tenant on app.sessions as restrictive
         using (current_user = 'apitoken_cleanup' or (user_id in (select id from app.tenants)))`,
    ],
    "audit: none",
    "permission denied for table tenants: grant select on tenants to apitoken_cleanup",
  ],
])("a missing right %s has its remedy in the message", async (_, statements, rest, message) => {
  await createSessions(url, 3);
  await execute(url, ...statements);
  const { exitCode, report } = await clean(
    confirmed(`targets: [{ table: app.sessions, expiresAt: expires_at, ${rest} }]`),
  );
  expect({ exitCode, message: report.targets[1]?.message }).toEqual({ exitCode: 1, message });
});
