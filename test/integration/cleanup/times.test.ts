import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { confirmed, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* An expiry that is calculated: idle times, a column with a number of seconds, and the first of several columns. */

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

/** Creates app.t with these columns and rows; a row's number is its place. The retention is a day. */
async function clean(columns: string, rows: readonly string[], target: Readonly<Record<string, unknown>>) {
  await execute(
    url,
    `create table app.t (id integer primary key, ${columns})`,
    `insert into app.t values ${rows.map((row, id) => `(${id}, ${row})`).join(", ")}`,
    ...GRANT_APP,
  );
  const yaml = JSON.stringify({
    targets: [{ table: "app.t", retention: { expired: "1d", revoked: "1d" }, ...target }],
  });
  const result = await runCleanup(url, ["-o", "json", "--config", writeConfig(confirmed(yaml))]);
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
  return result.report.targets[1];
}

const left = () => findAll(url, "select id from app.t order by id");

const ago = (interval: string) => `now() - interval '${interval}'`;
const LIVE = ["now() + interval '1 day'", "now() + interval '2 days'", "now() + interval '3 days'"];

describe("a column with a number of seconds", () => {
  const bases = [
    ["timestamptz", {}, (interval: string) => ago(interval), "'294276-12-31 00:00+00'", "'infinity'"],
    [
      "timestamp",
      { timezone: "UTC" },
      (interval: string) => `(${ago(interval)}) at time zone 'UTC'`,
      "'294276-12-31'",
      "'-infinity'",
    ],
    [
      "date",
      { timezone: "UTC" },
      (interval: string) => `((${ago(interval)}) at time zone 'UTC')::date`,
      "'5874897-12-31'",
      "'infinity'",
    ],
    [
      "bigint",
      { epoch: "seconds" },
      (interval: string) => `extract(epoch from ${ago(interval)})::bigint`,
      "9223372036854775806",
      "0",
    ],
    [
      "bigint",
      { epoch: "microseconds" },
      (interval: string) => `(extract(epoch from ${ago(interval)}) * 1e6)::bigint`,
      "9223372036854775806",
      "-1",
    ],
    [
      "numeric",
      { epoch: "milliseconds" },
      (interval: string) => `extract(epoch from ${ago(interval)}) * 1000`,
      "1e30",
      "'NaN'",
    ],
  ] as const;
  const seconds = [
    ["smallint", "32767", "-32768"],
    ["integer", "2147483647", "-2147483648"],
    ["bigint", "9223372036854775807", "-9223372036854775808"],
    ["numeric", "'Infinity'", "'-Infinity'"],
    ["real", "3e38", "'NaN'"],
    ["double precision", "1e308", "'NaN'"],
  ] as const;

  test.each(bases.map((base, place) => [...base, ...(seconds[place] ?? seconds[0])] as const))(
    "beside a %s: sums never overflow, and null, 0 and negative numbers mean no expiry",
    async (type, setting, at, last, none, secondsType, most, least) => {
      const due = [`${at("3 days")}, 3600`, `${at("30 days")}, 7200`];
      const kept = [
        `${at("3 days")}, null`,
        `${at("3 days")}, 0`,
        `${at("3 days")}, -3600`,
        `${at("3 days")}, ${least}`,
        // The largest smallint is nine hours.
        `${secondsType === "smallint" ? at("1 hour") : at("30 days")}, ${most}`,
        "null, 3600",
        `${none}, 3600`,
        `${none}, ${most}`,
        `${last}, ${secondsType === "smallint" ? 3600 : most}`,
        `${last}, 1`,
        `${at("1 hour")}, 1`,
      ];
      await clean(`base ${type}, lasts ${secondsType}`, [...due, ...kept], {
        expiresAt: { column: "base", plusSeconds: "lasts" },
        ...setting,
      });
      expect(await left()).toEqual(kept.map((_, place) => String(place + due.length)).sort());
    },
  );

  test("a fraction of a second and plus are added, too", async () => {
    const rows = [`${ago("26 hours")}, 3599.5`, `${ago("26 hours")}, 3630.5`, `${ago("1 day")}, 1`];
    const target = { expiresAt: { column: "base", plusSeconds: "lasts", plus: "1h" } };
    await clean("base timestamptz, lasts numeric", rows, target);
    expect(await left()).toEqual(["1", "2"]);
  });

  test("rows without a positive number are counted as without an expiry", async () => {
    const rows = [`${ago("3 days")}, null`, `${ago("3 days")}, -1`, `${ago("3 days")}, 1`];
    const report = await clean("base timestamptz, lasts integer", rows, {
      expiresAt: { column: "base", plusSeconds: "lasts" },
    });
    expect(report?.before).toMatchObject({ total: 3, live: 2, withoutExpiry: 2, expired: 1 });
  });
});

describe("an idle time", () => {
  test.each([
    ["timestamptz", "", (moment: string) => moment],
    ["timestamp", "Asia/Tokyo", (moment: string) => `(${moment}) at time zone 'Asia/Tokyo'`],
    ["bigint", "", (moment: string) => `(extract(epoch from ${moment}) * 1000)::bigint`],
  ])("of 30 days after a %s", async (type, timezone, at) => {
    const rows = [ago("31 days 4 hours"), ago("30 days 20 hours"), ago("2 hours"), "now() + interval '100 years'"].map(
      at,
    );
    const report = await clean(`seen ${type}`, [...rows, "null"], {
      expiresAt: { column: "seen", plus: "30d" },
      ...(timezone === "" ? {} : { timezone }),
      ...(type === "bigint" ? { epoch: "milliseconds" } : {}),
    });
    expect(await left()).toEqual(["1", "2", "3", "4"]);
    expect(report?.before).toMatchObject({ live: 3, expired: 2, due: { expired: 1 }, withoutExpiry: 1 });
  });

  test("of days: a day that has ended more than 30 days ago", async () => {
    const today = "(now() at time zone 'UTC')::date";
    await clean("seen date", [`${today} - 33`, `${today} - 30`, today, "'5874897-12-31'"], {
      expiresAt: { column: "seen", plus: "30d" },
      timezone: "UTC",
    });
    expect(await left()).toEqual(["1", "2", "3"]);
  });
});

describe("of a list, the first column that is not null counts", () => {
  test("even if its value means that the row never expires", async () => {
    const rows = [
      `${ago("3 days")}, null`,
      `null, ${ago("3 days")}`,
      `null, null`,
      `'infinity', ${ago("3 days")}`,
      `'0001-01-01', ${ago("3 days")}`,
      `${LIVE[0]}, ${ago("3 days")}`,
      `${ago("3 days")}, ${LIVE[0]}`,
      `null, ${LIVE[0]}`,
    ];
    const report = await clean("first timestamptz, second timestamptz", rows, { expiresAt: ["first", "second"] });
    expect(await left()).toEqual(["2", "3", "4", "5", "7"]);
    expect(report?.before).toMatchObject({ withoutExpiry: 3, due: { expired: 3 } });
  });

  test("of columns of different types, with different additions", async () => {
    const rows = [
      `null, ${ago("3 days")}, 60, ${LIVE[0]}`,
      `null, ${ago("3 days")}, null, ${ago("3 days")}`,
      `null, ${ago("3 days")}, null, ${ago("26 hours")}`,
      `${ago("3 days")}, ${LIVE[0]}, 60, ${LIVE[0]}`,
      `${LIVE[0]}, ${ago("3 days")}, 60, ${ago("3 days")}`,
    ];
    await clean("ends timestamptz, made timestamptz, lasts integer, seen timestamptz", rows, {
      expiresAt: ["ends", { column: "made", plusSeconds: "lasts" }, { column: "seen", plus: "12h" }],
    });
    expect(await left()).toEqual(["2", "4"]);
  });

  test("of a revocation, too", async () => {
    const rows = [`${ago("3 days")}, null`, `null, ${ago("3 days")}`, "null, null", `'infinity', ${ago("3 days")}`];
    await clean("revoked timestamptz, left_at timestamptz", rows, { revokedAt: ["revoked", "left_at"] });
    expect(await left()).toEqual(["2", "3"]);
  });
});

test("microseconds are compared exactly", async () => {
  const us = (moment: string) => `(extract(epoch from ${moment}) * 1000000)::bigint`;
  await clean("x bigint", [us(ago("2 days")), us(ago("1 hour")), us(LIVE[0] ?? "")], {
    expiresAt: "x",
    epoch: "microseconds",
  });
  expect(await left()).toEqual(["1", "2"]);
});

test("an idle time of a hundred years is accepted", async () => {
  await clean("x timestamptz", [ago("2 days"), ago("110 years")], {
    expiresAt: { column: "x", plus: "36500d" },
    retention: { expired: "0s" },
  });
  expect(await left()).toEqual(["0"]);
});

test("columns whose types are domains are read as what these restrict", async () => {
  await execute(
    url,
    "create domain app.instant as timestamptz check (value > '2000-01-01')",
    "create domain app.end_of_life as app.instant",
    "create domain app.epoch as bigint",
    "create domain app.flag as boolean not null",
  );
  const report = await clean(
    "expires_at app.end_of_life, revoked_at app.epoch, is_system app.flag",
    [
      `${ago("3 days")}, null, false`,
      `${ago("3 days")}, null, true`,
      "now() + interval '1 day', 0, false",
      `now() + interval '1 day', extract(epoch from ${ago("3 days")})::bigint, false`,
    ],
    { expiresAt: "expires_at", revokedAt: "revoked_at", epoch: "seconds", where: "is_system = false" },
  );
  expect(report).toMatchObject({ deleted: { expired: 1, revoked: 1 } });
  expect(await left()).toEqual(["1", "2"]);
});
