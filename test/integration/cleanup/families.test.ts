import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { confirmed, DEAD, execute, findAll, GRANT_APP, LIVE, writeConfig } from "./team-table.ts";

let url: string;
const YAML = "targets: [{ table: app.tokens, expiresAt: expires_at, audit: rows, maxFraction: 1 }]";
const run = (yaml = YAML, ...args: string[]) =>
  runCleanup(url, ["-o", "json", "--config", writeConfig(confirmed(yaml)), ...args]);

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

/** A table whose rows refer to other rows of it. `rows` is the select of id, parent and expires_at. */
async function createFamily(action: string, rows: readonly string[], rest = ""): Promise<void> {
  await execute(
    url,
    `create table app.tokens (id bigint primary key, parent bigint, expires_at timestamptz) ${rest}`,
    ...rows.map((select) => `insert into app.tokens ${select}`),
    `alter table app.tokens add constraint tokens_parent_fkey foreign key (parent) references app.tokens ${action}`,
    "create index on app.tokens (parent)",
    ...GRANT_APP,
  );
}

describe("a table whose rows refer to each other", () => {
  const CHAIN = `select n, nullif(n - 1, 0), ${DEAD} from generate_series(1, 300) n`;

  test("of a token family with 1 dead parent and 1,999 live children nothing goes, and the parent is held", async () => {
    await createFamily("on delete cascade", [
      `select n, null, ${DEAD} from generate_series(1, 1) n`,
      `select n, 1, ${LIVE} from generate_series(2, 2000) n`,
    ]);
    const dry = await run(YAML, "--dry-run");
    expect(dry.report.targets[1]?.before).toMatchObject({ due: { expired: 0 }, held: 1, live: 1_999 });
    const { exitCode, report } = await run();
    expect(exitCode).toBe(0);
    expect(report.targets[1]).toMatchObject({ outcome: "succeeded", after: { held: 1 }, deleted: { expired: 0 } });
    expect(await findAll(url, "select count(*) from app.tokens")).toEqual(["2000"]);
  });

  const cases: { name: string; action: string; rows: string[]; left: string[]; held: number; rest?: string }[] = [
    ...["cascade", "no action", "restrict", "set null", "set default"].map((action) => ({
      name: `a chain of 300 dead rows goes in one run with ON DELETE ${action.toUpperCase()}`,
      action: `on delete ${action}`,
      rows: [CHAIN],
      left: [],
      held: 0,
    })),
    {
      name: "a chain of 300 dead rows goes in one run with a constraint that is deferred",
      action: "deferrable initially deferred",
      rows: [CHAIN],
      left: [],
      held: 0,
    },
    ...["cascade", "no action", "restrict"].map((action) => ({
      name: `a chain that ends in a live row stays with ON DELETE ${action.toUpperCase()}, and the next one goes`,
      action: `on delete ${action}`,
      rows: [
        `select n, nullif(n - 1, 0), ${DEAD} from generate_series(1, 4) n`,
        `select n, 4, ${LIVE} from generate_series(5, 5) n`,
        `select n, nullif(n - 1, 10), ${DEAD} from generate_series(11, 14) n`,
      ],
      left: ["1", "2", "3", "4", "5"],
      held: 4,
    })),
    {
      name: "with ON DELETE SET NULL a dead parent goes and its live child stays",
      action: "on delete set null",
      rows: [
        `select 1, null, ${DEAD} from generate_series(1, 1) n`,
        `select 2, 1, ${LIVE} from generate_series(1, 1) n`,
      ],
      left: ["2"],
      held: 0,
    },
    ...["cascade", "no action"].map((action) => ({
      name: `of a tree only the branches without live rows go with ON DELETE ${action.toUpperCase()}`,
      action: `on delete ${action}`,
      // 1 → 2, 3; 2 → 4, 5; 3 → 6, 7; 7 is live
      rows: [
        `select n, nullif(n / 2, 0), ${DEAD} from generate_series(1, 6) n`,
        `select 7, 3, ${LIVE} from generate_series(1, 1) n`,
      ],
      left: ["1", "3", "7"],
      held: 2,
    })),
    ...["cascade", "no action", "restrict"].map((action) => ({
      name: `rows that refer to themselves and to each other go with ON DELETE ${action.toUpperCase()}, if all are dead`,
      action: `on delete ${action}`,
      rows: [
        `select n, n, ${DEAD} from generate_series(1, 1) n`,
        `select n, 5 - n, ${DEAD} from generate_series(2, 3) n`,
        `select n, n, ${LIVE} from generate_series(4, 4) n`,
        `select n, 11 - n, case n when 5 then ${DEAD} else ${LIVE} end from generate_series(5, 6) n`,
        `select n, case n when 9 then 7 else n + 1 end, ${DEAD} from generate_series(7, 9) n`,
      ],
      left: ["4", "5", "6"],
      held: 1,
    })),
    ...["cascade", "no action"].map((action) => ({
      name: `a family in several partitions goes with ON DELETE ${action.toUpperCase()} as in one table`,
      action: `on delete ${action}`,
      rest: "partition by hash (id)",
      rows: [
        `select n, nullif(n - 1, 0), ${DEAD} from generate_series(1, 20) n`,
        `select n, nullif(n - 1, 20), ${DEAD} from generate_series(21, 24) n`,
        `select 25, 24, ${LIVE} from generate_series(1, 1) n`,
      ],
      left: ["21", "22", "23", "24", "25"],
      held: 4,
    })),
  ];

  test.each(cases)("$name", async ({ action, rows, left, held, rest }) => {
    if (rest === undefined) await createFamily(action, rows);
    else {
      await execute(
        url,
        `create table app.tokens (id bigint primary key, parent bigint, expires_at timestamptz) ${rest}`,
        ...[0, 1, 2].map(
          (n) => `create table app.tokens_${n} partition of app.tokens for values with (modulus 3, remainder ${n})`,
        ),
        ...rows.map((select) => `insert into app.tokens ${select}`),
        `alter table app.tokens add foreign key (parent) references app.tokens ${action}`,
        ...GRANT_APP,
      );
    }
    const all = Number((await findAll(url, "select count(*) from app.tokens"))[0]);
    const dry = await run(YAML, "--dry-run");
    expect(dry.report.targets[1]?.before).toMatchObject({ due: { expired: all - left.length }, held });
    const { exitCode, report } = await run();
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.tokens")).toEqual(left);
    expect(report.targets[1]).toMatchObject({
      deleted: { expired: all - left.length, cascaded: 0 },
      after: { due: { expired: 0 }, held },
    });
    expect(await findAll(url, "select count(distinct row_key) from apitoken.cleaned_rows")).toEqual([
      String(all - left.length),
    ]);
  });

  test("a chain of 500 rows and 5,000 short families go in one run, whatever the order on disk", async () => {
    await createFamily("on delete cascade", [
      `select n, case when n < 500 then n + 1 end, ${DEAD} from generate_series(1, 500) n`,
      `select n, case when n % 4 > 0 then n - 1 end, ${DEAD} from generate_series(10000, 30000) n`,
    ]);
    const { exitCode } = await run();
    expect(exitCode).toBe(0);
    expect(await findAll(url, "select count(*) from app.tokens")).toEqual(["0"]);
  });

  test("the cap counts whole chains, although only their last rows could go at once", async () => {
    await createFamily("", [CHAIN, `select n, null, ${LIVE} from generate_series(1001, 1010) n`]);
    const { exitCode, report } = await run(YAML.replace("maxFraction: 1", "maxFraction: 0.9"));
    expect({ exitCode, code: report.code }).toEqual({ exitCode: 3, code: "APITOKEN_E_TOO_MANY_ROWS" });
    expect(await findAll(url, "select count(*) from app.tokens")).toEqual(["310"]);
  });
});
