import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { createAppOwner, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* Applications write 0, -1, the year 1 or infinity where a row has no expiry, or has not been revoked. */

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

/** A type of column, the SQL of a moment in it, its setting, and the values that mean "no time". */
interface TimeType {
  readonly type: string;
  readonly at: (moment: string) => string;
  readonly setting: Readonly<Record<string, unknown>>;
  readonly none: readonly string[];
}

const TIMES = ["null", "'infinity'", "'-infinity'", "'0001-01-01'", "'0001-12-31'", "'0044-03-15 BC'"];
const NUMBERS = ["null", "0", "-1", "-62135596800"];
const NEVER = { never: [253402300799, "9999-12-31", "1970-01-02", 86400] };
const EPOCH = "extract(epoch from";

const TYPES: readonly TimeType[] = [
  {
    type: "timestamptz",
    at: (moment) => moment,
    setting: {},
    none: [...TIMES, "'0001-12-31 23:59:59+00'", "'9999-12-31 00:00+00'", "'1970-01-02 00:00+00'"],
  },
  {
    type: "timestamp",
    at: (moment) => `(${moment} at time zone 'UTC')`,
    setting: { timezone: "utc" },
    none: [...TIMES, "'9999-12-31'", "'1970-01-02'"],
  },
  {
    type: "date",
    at: (moment) => `(${moment} at time zone 'UTC')::date`,
    setting: { timezone: "UTC" },
    none: [...TIMES, "'9999-12-31'", "'1970-01-02'"],
  },
  {
    type: "integer",
    at: (moment) => `${EPOCH} ${moment})::integer`,
    setting: { epoch: "seconds" },
    none: ["null", "0", "-1", "-2147483648", "86400"],
  },
  {
    type: "bigint",
    at: (moment) => `${EPOCH} ${moment})::bigint`,
    setting: { epoch: "seconds" },
    none: [...NUMBERS, "253402300799", "86400", "-9223372036854775808", "9223372036854775807"],
  },
  {
    type: "bigint",
    at: (moment) => `(${EPOCH} ${moment}) * 1000)::bigint`,
    setting: { epoch: "milliseconds" },
    none: [...NUMBERS, "86400", "9223372036854775807"],
  },
  {
    type: "bigint",
    at: (moment) => `(${EPOCH} ${moment}) * 1000000)::bigint`,
    setting: { epoch: "microseconds" },
    none: [...NUMBERS, "86400"],
  },
  {
    type: "numeric",
    at: (moment) => `${EPOCH} ${moment})`,
    setting: { epoch: "seconds" },
    none: [...NUMBERS, "-0.5", "'NaN'", "'Infinity'", "'-Infinity'", "253402300799.0"],
  },
  {
    type: "double precision",
    at: (moment) => `(${EPOCH} ${moment}) * 1000)::double precision`,
    setting: { epoch: "milliseconds" },
    none: [...NUMBERS, "-0.5", "'NaN'", "'Infinity'", "'-Infinity'", "86400"],
  },
];

const DUE = "(now() - interval '9 days')";
const WITHIN = "(now() - interval '2 days')";
const LIVE = "(now() + interval '9 days')";

/** A table for each type: one row for each value that means "no time", then one within its retention, two live ones, and one due. */
async function createTables(columns: string, insert: (value: string) => string): Promise<void> {
  for (const [place, { type, at, none }] of TYPES.entries()) {
    const values = [...none, at(WITHIN), at(LIVE), at(LIVE), at(DUE)].map((value, id) => `(${id}, ${insert(value)})`);
    await execute(
      url,
      `create table app.t${place} (id integer primary key, ${columns.replace("TYPE", type)})`,
      `insert into app.t${place} values ${values.join(", ")}`,
    );
  }
  await execute(url, ...GRANT_APP);
}

const describeTargets = (fields: Readonly<Record<string, unknown>>) =>
  JSON.stringify({
    targets: TYPES.map(({ setting }, place) => ({ table: `app.t${place}`, ...fields, ...setting, ...NEVER })),
  });

async function clean(yaml: string) {
  return runCleanup(url, ["-o", "json", "--config", writeConfig(yaml)]);
}

const upTo = (count: number) => Array.from({ length: count }, (_, id) => String(id)).sort();

describe("a value that means no time, in a column of every type", () => {
  test("in expiresAt: the row never expires, and is counted as without an expiry", async () => {
    await createTables("x TYPE", (value) => value);
    const { exitCode, report } = await clean(describeTargets({ expiresAt: "x" }));
    expect(exitCode).toBe(0);
    for (const [place, { none, type }] of TYPES.entries()) {
      expect(await findAll(url, `select id from app.t${place}`), type).toEqual(upTo(none.length + 3));
      expect(report.targets[place + 1]?.before, type).toMatchObject({
        total: none.length + 4,
        live: none.length + 2,
        withoutExpiry: none.length,
        due: { expired: 1, revoked: 0 },
      });
    }
  });

  test("in revokedAt, beside an expiry: the row has not been revoked", async () => {
    await createTables("x TYPE, expires timestamptz default now() + interval '1 day'", (value) => value);
    const { exitCode, report } = await clean(describeTargets({ expiresAt: "expires", revokedAt: "x" }));
    expect(exitCode).toBe(0);
    for (const [place, { none, type }] of TYPES.entries()) {
      expect(await findAll(url, `select id from app.t${place}`), type).toEqual(upTo(none.length + 3));
      expect(report.targets[place + 1]?.before, type).toMatchObject({ withoutExpiry: 0, due: { revoked: 1 } });
    }
  });

  test("in revokedAt alone: the row stays, and nothing expires", async () => {
    await createTables("x TYPE", (value) => value);
    const { exitCode, report } = await clean(describeTargets({ revokedAt: "x" }));
    expect(exitCode).toBe(0);
    for (const [place, { none, type }] of TYPES.entries()) {
      expect(await findAll(url, `select id from app.t${place}`), type).toEqual(upTo(none.length + 3));
      expect(report.targets[place + 1]?.deleted, type).toMatchObject({ expired: 0, revoked: 1 });
    }
  });

  test("with an idle time: the row never expires", async () => {
    await createTables("x TYPE", (value) => value);
    const { exitCode } = await clean(describeTargets({ expiresAt: { column: "x", plus: "12h" } }));
    expect(exitCode).toBe(0);
    for (const [place, { none, type }] of TYPES.entries()) {
      expect(await findAll(url, `select id from app.t${place}`), type).toEqual(upTo(none.length + 3));
    }
  });

  test("beside a number of seconds: the row never expires", async () => {
    await createTables("x TYPE, lasts integer", (value) => `${value}, 3600`);
    const { exitCode } = await clean(describeTargets({ expiresAt: { column: "x", plusSeconds: "lasts" } }));
    expect(exitCode).toBe(0);
    for (const [place, { none, type }] of TYPES.entries()) {
      expect(await findAll(url, `select id from app.t${place}`), type).toEqual(upTo(none.length + 3));
    }
  });
});

describe("a partition whose bounds include a value that means no time is not dropped, and its dead rows go", () => {
  test.each([
    ["from 0, of a number", "bigint", "from (0) to (100)", "0", "50", "epoch: seconds", ""],
    ["from -1, of a number", "bigint", "from (-1) to (100)", "-1", "50", "epoch: seconds", ""],
    ["from MINVALUE, of a number", "bigint", "from (minvalue) to (100)", "0", "50", "epoch: seconds", ""],
    ["from the year 1", "timestamptz", "from ('0001-01-01') to ('2001-01-01')", "'0001-01-01'", "'2000-05-05'", "", ""],
    ["from -infinity", "timestamptz", "from ('-infinity') to ('2001-01-01')", "'-infinity'", "'2000-05-05'", "", ""],
    ["from MINVALUE", "timestamptz", "from (minvalue) to ('2001-01-01')", "'-infinity'", "'2000-05-05'", "", ""],
    [
      "from the year 1, of days",
      "date",
      "from ('0001-01-01') to ('2001-01-01')",
      "'0001-01-01'",
      "'2000-05-05'",
      "timezone: UTC",
      "",
    ],
    [
      "that never lists, of times",
      "timestamptz",
      "from ('1970-01-01') to ('2001-01-01')",
      "'1980-01-01 00:00+00'",
      "'2000-05-05'",
      "",
      "never: ['1980-01-01 00:00+00']",
    ],
    ["that never lists, of numbers", "bigint", "from (1) to (100)", "7", "50", "epoch: seconds", "never: [7]"],
  ] as const)("%s", async (_name, type, bounds, none, dead, setting, never) => {
    await execute(url, "drop schema app");
    await createAppOwner(url);
    const live =
      type === "bigint" ? "extract(epoch from now())::bigint + 9999" : `(now() + interval '9 days')::${type}`;
    await execute(
      url,
      `set role app_owner; create table app.t (id integer, x ${type}) partition by range (x);
       create table app.old partition of app.t for values ${bounds};
       create table app.rest partition of app.t default; grant select, delete, update on app.t, app.old, app.rest to apitoken_cleanup`,
      `insert into app.t values (1, ${none}), (2, ${dead}), (3, ${live}), (4, ${live})`,
    );
    const rest = [setting, never, "firstRunMaxFraction: 1"].filter((line) => line !== "").join(", ");
    const { exitCode, report, stderr } = await clean(`targets: [{ table: app.t, expiresAt: x, ${rest} }]`);
    expect(exitCode, stderr).toBe(0);
    expect(await findAll(url, "select id from app.t")).toEqual(["1", "3", "4"]);
    expect(report.targets[1]?.partitions).toEqual({ dropped: [], kept: [] });
  });
});

test("a value of never that no column can have is a warning, and one that the type cannot have an error", async () => {
  await execute(url, "create table app.t (id integer primary key, x timestamptz)", ...GRANT_APP);
  const validate = (never: string) =>
    runCleanup(url, [
      "validate",
      "--config",
      writeConfig(`targets: [{ table: app.t, expiresAt: x, never: ${never} }]`),
    ]);
  const unused = await validate("[253402300799, '9999-12-31']");
  expect(unused.exitCode).toBe(0);
  expect(unused.stdout).toContain("warning: never: no time column of this target can be 253402300799");
  const wrong = await validate("['soon']");
  expect(wrong.exitCode).toBe(2);
  expect(wrong.stdout).toContain(
    "never: x is of type timestamp with time zone: invalid input syntax for type timestamp",
  );
  const lost = await validate("[9223372036854775807]");
  expect(lost.exitCode).toBe(2);
  expect(lost.stderr).toContain("write it in quotes");
});
