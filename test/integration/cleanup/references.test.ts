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

describe("a table that others refer to", () => {
  /** 60 tokens: 1 to 20 are dead, the others live. */
  async function createTokens(...statements: readonly string[]): Promise<void> {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, expires_at timestamptz)",
      `insert into app.tokens select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, ${LIVE} from generate_series(21, 60) n`,
      ...statements,
      ...GRANT_APP,
    );
  }

  const cases: { name: string; statements: string[]; yaml?: string; held: string[] }[] = [
    {
      name: "sessions whose device is used stay, behind a cascade",
      statements: [
        "create table app.devices (id bigint primary key, token bigint references app.tokens on delete cascade)",
        "create table app.usages (id bigint primary key, device bigint references app.devices)",
        "insert into app.devices select n, n from generate_series(1, 40) n",
        "insert into app.usages values (1, 3), (2, 4), (3, 30)",
      ],
      yaml: "cascade: [app.devices]",
      held: ["3", "4"],
    },
    {
      name: "rows that ON DELETE SET NULL cannot release, because the column must not be null, stay",
      statements: [
        "create table app.logins (id bigint primary key, token bigint not null references app.tokens on delete set null)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "rows that ON DELETE SET DEFAULT cannot release, because the default does not exist, stay",
      statements: [
        "create table app.logins (id bigint primary key, token bigint default 0 references app.tokens on delete set default)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "rows that ON DELETE SET NULL cannot release, because of a check, stay",
      statements: [
        "create table app.logins (id bigint primary key, token bigint references app.tokens on delete set null, check (token is not null))",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a domain that takes no null keeps rows, too",
      statements: [
        "create domain app.token_id as bigint not null",
        "create table app.logins (id bigint primary key, token app.token_id references app.tokens on delete set null)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a foreign key that is deferred keeps rows like any other",
      statements: [
        "create table app.logins (id bigint primary key, token bigint references app.tokens deferrable initially deferred)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a foreign key that is not valid yet keeps rows like any other",
      statements: [
        "create table app.logins (id bigint primary key, token bigint)",
        "insert into app.logins values (1, 3), (2, 30), (3, 999)",
        "alter table app.logins add foreign key (token) references app.tokens not valid",
      ],
      held: ["3"],
    },
    {
      name: "rows to which a partition of another table refers stay",
      statements: [
        "create table app.logins (id bigint, token bigint) partition by range (id)",
        "create table app.logins_1 partition of app.logins for values from (0) to (10)",
        "alter table app.logins_1 add foreign key (token) references app.tokens",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "rows to which a partitioned table refers stay",
      statements: [
        "create table app.logins (id bigint, token bigint references app.tokens) partition by range (id)",
        "create table app.logins_1 partition of app.logins for values from (0) to (10)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a key of several columns, one of which is null, keeps nothing",
      statements: [
        "alter table app.tokens add realm text default 'a'",
        "create unique index on app.tokens (id, realm)",
        "create table app.logins (id bigint primary key, realm text, token bigint, foreign key (token, realm) references app.tokens (id, realm))",
        "insert into app.logins values (1, null, 3), (2, 'a', 4), (3, 'a', 40)",
      ],
      held: ["4"],
    },
    {
      name: "rows stay to which a table behind three cascades is referred",
      statements: [
        "create table app.a (id bigint primary key, token bigint references app.tokens on delete cascade)",
        "create table app.b (id bigint primary key, a bigint references app.a on delete cascade)",
        "create table app.c (id bigint primary key, b bigint references app.b on delete cascade)",
        "create table app.d (id bigint primary key, c bigint references app.c on delete restrict)",
        "insert into app.a select n, n from generate_series(1, 40) n",
        "insert into app.b select n, n from generate_series(1, 40) n",
        "insert into app.c select n, n from generate_series(1, 40) n",
        "insert into app.d values (1, 5), (2, 33)",
      ],
      yaml: "cascade: [app.a, app.b, app.c]",
      held: ["5"],
    },
    {
      name: "a row that two cascades take along does not keep itself",
      statements: [
        "create table app.devices (id bigint primary key, token bigint references app.tokens on delete cascade)",
        "create table app.usages (id bigint primary key, token bigint references app.tokens on delete cascade, device bigint references app.devices on delete cascade)",
        "insert into app.devices select n, n from generate_series(1, 40) n",
        "insert into app.usages select n, n, n from generate_series(1, 40) n",
      ],
      yaml: "cascade: [app.devices, app.usages]",
      held: [],
    },
  ];

  test.each(cases)("$name", async ({ statements, yaml, held }) => {
    await createTokens(...statements);
    const config = `targets: [{ table: app.tokens, expiresAt: expires_at, audit: rows, maxFraction: 1${yaml === undefined ? "" : `, ${yaml}`} }]`;
    const { exitCode, report } = await run(config);
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.tokens where id <= 20")).toEqual(held);
    expect(await findAll(url, "select count(*) from app.tokens where id > 20")).toEqual(["40"]);
    expect(report.targets[1]).toMatchObject({
      deleted: { expired: 20 - held.length },
      after: { due: { expired: 0 }, held: held.length },
    });
  });

  test("a foreign key to one partition keeps the rows of that partition only", async () => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, expires_at timestamptz) partition by range (id)",
      "create table app.tokens_1 partition of app.tokens for values from (0) to (10)",
      "create table app.tokens_2 partition of app.tokens for values from (10) to (100)",
      `insert into app.tokens select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, ${LIVE} from generate_series(21, 60) n`,
      "create table app.logins (id bigint primary key, token bigint references app.tokens_1)",
      "insert into app.logins values (1, 3)",
      ...GRANT_APP,
    );
    const { exitCode, report } = await run();
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.tokens where id <= 20")).toEqual(["3"]);
    expect(report.targets[1]).toMatchObject({ before: { held: 1, due: { expired: 19 } }, deleted: { expired: 19 } });
  });

  test("a foreign key to a table that others inherit from keeps the table's own rows only", async () => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, expires_at timestamptz)",
      "create table app.child (primary key (id)) inherits (app.tokens)",
      `insert into app.tokens select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.child select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, ${LIVE} from generate_series(21, 60) n`,
      "create table app.logins (id bigint primary key, token bigint references app.tokens)",
      "create table app.others (id bigint primary key, token bigint references app.child)",
      "insert into app.logins values (1, 3)",
      "insert into app.others values (1, 4)",
      ...GRANT_APP,
    );
    const { exitCode, report } = await run();
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from only app.tokens where id <= 20")).toEqual(["3"]);
    expect(await findAll(url, "select id from app.child where id <= 20")).toEqual(["4"]);
    expect(report.targets[1]).toMatchObject({ before: { held: 2 }, deleted: { expired: 38 } });
  });

  test("a table in another schema that refers to it, without rights, is an error with the commands", async () => {
    await createTokens(
      "create schema hidden",
      'create table hidden."Log" (id bigint primary key, token bigint references app.tokens)',
    );
    const { exitCode, report } = await run();
    expect(exitCode).toBe(1);
    expect(report.targets[1]).toMatchObject({ outcome: "failed", code: "APITOKEN_E_TARGET_INVALID" });
    expect(report.targets[1]?.message).toContain(
      'grant usage on schema "hidden" to apitoken_cleanup; grant select on "hidden"."Log" to apitoken_cleanup',
    );
    await execute(
      url,
      "grant usage on schema hidden to apitoken_cleanup",
      'grant select on hidden."Log" to apitoken_cleanup',
    );
    expect((await run()).exitCode).toBe(0);
    expect(await findAll(url, "select count(*) from app.tokens")).toEqual(["40"]);
  });
});
