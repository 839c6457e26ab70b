import { beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { confirmed, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* Conditions of targets mean what they would mean in SQL, and a row that they do not clearly include is not touched. */

let url: string;

/** Rows of every combination that matters, all long expired. */
beforeEach(async () => {
  url = await createTestDatabase();
  await execute(
    url,
    "create schema app",
    "create type app.status as enum ('on', 'off')",
    `create table app.t (id integer primary key, kind text, n integer, flag boolean, status app.status, price numeric,
       gone timestamptz, "Mixed Case" text, ends timestamptz)`,
    `insert into app.t values
       (1, 'a', 1, true, 'on', 1.50, null, 'it''s', null), (2, 'b', 2, false, 'off', 2, '2001-01-01', null, null),
       (3, null, null, null, null, null, null, null, null), (4, 'A', -1, true, 'on', 1.5, 'infinity', 'b"c', null),
       (5, 'a ', 0, false, null, 0, null, 'a\\b', null), (6, '', 2147483647, null, 'off', null, null, '; drop table app.t', null)`,
    "update app.t set ends = now() - interval '9 days' - id * interval '1 minute'",
    ...GRANT_APP,
  );
});

async function clean(...targets: readonly object[]) {
  const result = await runCleanup(url, ["-o", "json", "--config", writeConfig(confirmed(JSON.stringify({ targets })))]);
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
  return result.report.targets.slice(1);
}

const CONDITIONS = [
  "kind = 'a'",
  "kind <> 'a'",
  "kind != 'a'",
  "kind in ('a', 'b', 'x')",
  "kind not in ('a', 'b')",
  "kind is null",
  "kind is not null",
  "kind = ''",
  "n = 1",
  "n <> 1",
  "n in (-1, 0)",
  "n = 2147483647",
  "flag = true",
  "flag = false",
  "flag <> true",
  "flag is null",
  "status = 'on'",
  "status <> 'on'",
  "price = 1.5",
  "price in (1.50, 2.0)",
  "gone is null and kind is not null",
  "gone = 'infinity'",
  `"Mixed Case" = 'it''s'`,
  `"Mixed Case" = 'b"c'`,
  `"Mixed Case" = 'a\\b'`,
  `"Mixed Case" = '; drop table app.t'`,
  "KIND = 'A' AND N in (-1) and Flag = TRUE",
  "flag = true and flag = false",
];

test("a condition includes the rows that it would include in SQL, and no others", async () => {
  for (const place of CONDITIONS.keys()) await execute(url, `create table app.w${place} as table app.t`);
  await execute(url, ...GRANT_APP);
  const reports = await clean(
    ...CONDITIONS.map((where, place) => ({ table: `app.w${place}`, expiresAt: "ends", where })),
  );
  const all = await findAll(url, "select id from app.t");
  for (const [place, where] of CONDITIONS.entries()) {
    const meant = await findAll(url, `select id from app.t where ${where}`);
    const left = await findAll(url, `select id from app.w${place}`);
    expect(left, where).toEqual(all.filter((id) => !meant.includes(id)));
    expect(reports[place]?.before?.total, where).toBe(meant.length);
  }
});

describe("revoked", () => {
  test.each(["kind in ('a', 'A')", "flag = false and n <> 0", "status = 'off' and gone is null"])(
    "%s, without an expiry",
    async (revoked) => {
      const meant = await findAll(url, `select id from app.t where ${revoked}`);
      const [report] = await clean({ table: "app.t", revoked });
      expect(report?.deleted).toMatchObject({ expired: 0, revoked: meant.length });
      const left = await findAll(url, `select id from app.t where ${revoked}`);
      expect(left).toEqual([]);
      expect(await findAll(url, "select count(*) from app.t")).toEqual([String(6 - meant.length)]);
    },
  );

  test("with where, both must be true", async () => {
    await clean({ table: "app.t", where: "kind is not null", revoked: "flag = true" });
    expect(await findAll(url, "select id from app.t")).toEqual(["2", "3", "5", "6"]);
  });
});

test("two targets of one table delete their own rows only, each by its own retention, and have figures of their own", async () => {
  const reports = await clean(
    { table: "app.t", name: "on", where: "status = 'on'", expiresAt: "ends", retention: { expired: "1d" } },
    { table: "app.t", name: "off", where: "status = 'off'", expiresAt: "ends", retention: { expired: "30d" } },
  );
  expect(reports.map(({ table, deleted, before }) => [table, before?.total, deleted.expired])).toEqual([
    ["on", 2, 2],
    ["off", 2, 0],
  ]);
  expect(await findAll(url, "select id from app.t")).toEqual(["2", "3", "5", "6"]);
  const runs = await runAsSuperuser(
    url,
    "select t->>'table' as name from apitoken.cleanup_runs, jsonb_array_elements(targets) t",
  );
  expect(runs.map(({ name }) => name)).toEqual(["apitoken.tokens", "on", "off"]);
});

test.each([
  ["no where", {}, {}, "a row could belong to both"],
  ["the same where", { where: "n = 1" }, { where: "n = 1.0" }, "a row could belong to both"],
  ["other columns", { where: "n = 1" }, { where: "kind = 'a'" }, "a row could belong to both"],
  [
    "values that a type may take for one",
    { where: "kind = 'a'" },
    { where: "kind = 'A'" },
    "a row could belong to both",
  ],
  ["the same name", { where: "n = 1", name: "x" }, { where: "n = 2", name: "x" }, "is the name of another target"],
  ["no name", { where: "n = 1" }, { where: "n = 2" }, "is the name of another target"],
])("two targets of one table with %s are an error", async (_name, one, other, message) => {
  const targets = [one, other].map((each) => ({ table: "app.t", expiresAt: "ends", ...each }));
  const { exitCode, stderr } = await runCleanup(url, ["--config", writeConfig(JSON.stringify({ targets }))]);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});

test.each([
  ["status = 'broken'", 'invalid input value for enum app.status: "broken"'],
  ["gone = 'soon'", "invalid input syntax for type timestamp with time zone"],
  ["n = 99999999999", "integer out of range"],
  ["n = 'a'", "cannot be compared with"],
  ["flag = 1", "cannot be compared with"],
  ["data = '{}'", "operator does not exist"],
])("validate refuses %s, and a run cleans the other tables", async (where, message) => {
  await execute(
    url,
    "alter table app.t add column data json",
    "create table app.good (id integer primary key, ends timestamptz)",
    "insert into app.good select n, now() + (case n when 1 then -9 else 9 end) * interval '1 day' from generate_series(1, 3) n",
    ...GRANT_APP,
  );
  const targets = [
    { table: "app.t", expiresAt: "ends", where },
    { table: "app.good", expiresAt: "ends" },
  ];
  const path = writeConfig(JSON.stringify({ targets }));
  const validated = await runCleanup(url, ["validate", "--config", path]);
  expect(validated.exitCode, validated.stderr).toBe(2);
  expect(validated.stdout).toContain(message);
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", path]);
  expect(exitCode).toBe(1);
  expect(report.targets.map(({ outcome }) => outcome)).toEqual(["succeeded", "failed", "succeeded"]);
  expect(await findAll(url, "select count(*) from app.good")).toEqual(["2"]);
});
