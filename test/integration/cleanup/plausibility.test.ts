import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* Before a target's definition is used for the first time, a run refuses what looks odd, whatever the size of the table. */

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app", "create table app.good (id integer primary key, x timestamptz)");
  await execute(
    url,
    `insert into app.good select n, now() + (case when n <= 3 then -9 else 9 end) * interval '1 day' + n * interval '1 minute'
     from generate_series(1, 9) n`,
  );
});

async function clean(target: Readonly<Record<string, unknown>>) {
  const targets = [
    { table: "app.t", ...target },
    { table: "app.good", expiresAt: "x" },
  ];
  return runCleanup(url, ["-o", "json", "--config", writeConfig(JSON.stringify({ targets }))]);
}

const count = (table: string) => findAll(url, `select count(*) from ${table}`);

/** The moment of row n of 40: of eight rows it has passed, of the others it is in the future. */
const MOMENT = "now() + (case when n <= 8 then -9 else 9 end) * interval '1 day' + n * interval '1 minute'";
const SECONDS = `extract(epoch from ${MOMENT})`;

type Case = readonly [
  name: string,
  type: string,
  value: string,
  target: Readonly<Record<string, unknown>>,
  message: string,
];

/** Columns of 40 rows of which the value of row n is an expression, and what is odd about it. */
const ODD: readonly Case[] = [
  [
    "seconds read as milliseconds",
    "bigint",
    SECONDS,
    { expiresAt: "x", epoch: "milliseconds" },
    "the unit in epoch may be wrong",
  ],
  [
    "milliseconds read as seconds",
    "bigint",
    `${SECONDS} * 1000`,
    { expiresAt: "x", epoch: "seconds" },
    "the unit in epoch may be wrong",
  ],
  [
    "microseconds read as milliseconds",
    "bigint",
    `${SECONDS} * 1000000`,
    { expiresAt: "x", epoch: "milliseconds" },
    "the unit in epoch",
  ],
  [
    "seconds read as microseconds",
    "numeric",
    SECONDS,
    { expiresAt: "x", epoch: "microseconds" },
    "the unit in epoch may be wrong",
  ],
  [
    "the wrong unit of a revocation",
    "bigint",
    SECONDS,
    { revokedAt: "x", epoch: "milliseconds" },
    "no time in x is within the years 2000 to 2100",
  ],
  [
    "the wrong unit of an idle time",
    "bigint",
    SECONDS,
    { expiresAt: { column: "x", plus: "1h" }, epoch: "milliseconds" },
    "the unit in epoch may be wrong",
  ],
  [
    "a value that means never",
    "timestamptz",
    `case when n <= 5 then '1999-12-31 00:00+00' else ${MOMENT} end`,
    { expiresAt: "x" },
    "5 of 8 rows that are due have the same x, 1999-12-31 00:00:00+00",
  ],
  [
    "a value that means not revoked",
    "integer",
    `case when n <= 5 then 1 else ${SECONDS} end`,
    { revokedAt: "x", epoch: "seconds" },
    "have the same x, 1: if it means",
  ],
  [
    "a value of a day",
    "date",
    `case when n <= 2 then '2000-01-01' else (${MOMENT})::date - n % 9 * (n / 9 = 0)::integer end`,
    { expiresAt: "x", timezone: "UTC" },
    "rows that are due have the same x, 2000-01-01",
  ],
  [
    "more than half of the rows",
    "timestamptz",
    `now() + (case when n <= 21 then -9 else 9 end) * interval '1 day' + n * interval '1 minute'`,
    { expiresAt: "x" },
    "21 of 40 rows are due, more than the share of 0.5",
  ],
  [
    "more than the share of its own limit",
    "timestamptz",
    MOMENT,
    { expiresAt: "x", firstRunMaxFraction: 0.1 },
    "8 of 40 rows are due, more than the share of 0.1",
  ],
];

const NOT_ODD: readonly (readonly [string, string, string, Readonly<Record<string, unknown>>])[] = [
  ["a table in which no row ever expires", "timestamptz", "'infinity'", { expiresAt: "x" }],
  ["one in which no row has been revoked", "integer", "0", { revokedAt: "x", epoch: "seconds" }],
  ["numbers that are none", "double precision", "'NaN'", { expiresAt: "x", epoch: "seconds" }],
  ["live rows with one and the same expiry", "timestamptz", "date '2099-12-31'", { expiresAt: "x" }],
  ["an empty table", "timestamptz", "null", { expiresAt: "x", where: "id = -1" }],
];

async function createTables(cases: readonly (readonly [string, string, string, ...unknown[]])[]): Promise<void> {
  for (const [place, [, type, value]] of cases.entries()) {
    await execute(
      url,
      `create table app.t${place} (id integer primary key, x ${type})`,
      `insert into app.t${place} select n, ${value} from generate_series(1, 40) n`,
    );
  }
  await execute(url, ...GRANT_APP);
}

test("what looks odd is refused until somebody confirms it, and the other tables are cleaned", async () => {
  await createTables(ODD);
  const targets = (confirm: (place: number) => string | undefined) => [
    ...ODD.map(([, , , target], place) => ({
      table: `app.t${place}`,
      ...target,
      maxFraction: 1,
      confirm: confirm(place),
    })),
    { table: "app.good", expiresAt: "x" },
  ];
  const run = (confirm: (place: number) => string | undefined) =>
    runCleanup(url, ["-o", "json", "--config", writeConfig(JSON.stringify({ targets: targets(confirm) }))]);

  for (const confirm of [() => undefined, () => "0123456789ab"]) {
    const refused = await run(confirm);
    expect(refused.exitCode, refused.stdout).toBe(3);
    for (const [place, [name, , , , message]] of ODD.entries()) {
      const report = refused.report.targets[place + 1];
      expect(report, name).toMatchObject({ outcome: "refused", code: "APITOKEN_E_TARGET_ODD" });
      expect(report?.message, name).toContain(message);
      expect(await count(`app.t${place}`), name).toEqual(["40"]);
    }
  }
  expect(await count("app.good")).toEqual(["6"]);

  const { report: refused } = await run(() => undefined);
  const confirmed = await run(
    (place) => /confirm: ([0-9a-f]{12})/.exec(refused.targets[place + 1]?.message ?? "")?.[1],
  );
  expect(confirmed.exitCode, confirmed.stdout).toBe(0);
  for (const [place, [name]] of ODD.entries()) {
    const due = confirmed.report.targets[place + 1]?.before?.due;
    expect(await count(`app.t${place}`), name).toEqual([String(40 - (due?.expired ?? 0) - (due?.revoked ?? 0))]);
  }
});

describe("not odd:", () => {
  test("columns without any time, and times that live rows share", async () => {
    await createTables(NOT_ODD);
    const targets = NOT_ODD.map(([, , , target], place) => ({ table: `app.t${place}`, ...target }));
    const { report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(JSON.stringify({ targets }))]);
    for (const [place, [name]] of NOT_ODD.entries()) {
      expect(report.targets[place + 1], name).toMatchObject({
        outcome: "succeeded",
        deleted: { expired: 0, revoked: 0 },
      });
    }
  });

  test("a value that another column of the list makes irrelevant", async () => {
    await execute(
      url,
      "create table app.t (id integer primary key, x timestamptz, y timestamptz)",
      `insert into app.t select n, ${MOMENT}, '2001-01-01' from generate_series(1, 40) n`,
      ...GRANT_APP,
    );
    expect((await clean({ expiresAt: ["x", "y"] })).exitCode).toBe(0);
    expect(await count("app.t")).toEqual(["32"]);
  });
});

test("a definition that has deleted rows is known, one that has only run is not, and a changed one is checked again", async () => {
  await execute(url, "create table app.t (id integer primary key, x timestamptz)", ...GRANT_APP);
  expect((await clean({ expiresAt: "x" })).exitCode).toBe(0);
  const fill = (dead: number) =>
    execute(
      url,
      "truncate app.t",
      `insert into app.t select n, now() + (case when n <= ${dead} then -9 else 9 end) * interval '1 day' + n * interval '1 minute'
       from generate_series(1, 10) n`,
    );
  await fill(8);
  expect((await clean({ expiresAt: "x" })).exitCode).toBe(3);
  await fill(2);
  expect((await clean({ expiresAt: "x" })).exitCode).toBe(0);
  await fill(8);
  expect((await clean({ expiresAt: "x", retention: { expired: "6d" } })).exitCode).toBe(3);
  expect((await clean({ expiresAt: "x" })).exitCode).toBe(0);
  expect(await count("app.t")).toEqual(["2"]);
});

test.each([
  [19, 0],
  [20, 3],
])("of %i rows that are all due, the cap decides: exit code %i", async (rows, exitCode) => {
  await execute(
    url,
    "create table app.t (id integer primary key, x timestamptz)",
    `insert into app.t select n, now() - interval '9 days' - n * interval '1 minute' from generate_series(1, ${rows}) n`,
    ...GRANT_APP,
  );
  const { exitCode: found, report } = await clean({ expiresAt: "x", firstRunMaxFraction: 1 });
  expect(found).toBe(exitCode);
  expect(report.targets[2]?.deleted.expired).toBe(3);
  if (exitCode === 3) expect(report.targets[1]?.code).toBe("APITOKEN_E_TOO_MANY_ROWS");
});
