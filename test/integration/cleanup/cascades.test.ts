import pg from "pg";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { isTrue, runCleanup, startCleanup } from "./program.ts";
import { confirmed, DEAD, execute, findAll, GRANT_APP, LIVE, writeConfig } from "./team-table.ts";

let url: string;
const write = (yaml: string) => writeConfig(confirmed(yaml));
const run = (yaml: string, ...args: string[]) => runCleanup(url, ["-o", "json", "--config", write(yaml), ...args]);

const REFRESH = "{ table: app.refresh, expiresAt: expires_at, audit: rows, cascade: [app.access] }";
const ACCESS = "{ table: app.access, expiresAt: expires_at, audit: rows }";
const BOTH = `targets: [${REFRESH}, ${ACCESS.replace(" }", ", maxFraction: 1 }")}]`;

/** 40 refresh tokens, of which 1 to 20 are dead, and two access tokens for each: 2n - 1 and 2n. */
async function createTokens(accessExpiry: string, ...more: readonly string[]): Promise<void> {
  await execute(
    url,
    "create table app.refresh (id bigint primary key, expires_at timestamptz)",
    `insert into app.refresh select n, case when n <= 20 then ${DEAD} else ${LIVE} end from generate_series(1, 40) n`,
    "create table app.access (id bigint primary key, refresh bigint references app.refresh on delete cascade, expires_at timestamptz)",
    `insert into app.access select n, (n + 1) / 2, ${accessExpiry} from generate_series(1, 80) n`,
    "create index on app.access (refresh)",
    ...more,
    ...GRANT_APP,
  );
}

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

describe("tokens that others go with", () => {
  test("live access tokens of a target keep their dead refresh tokens", async () => {
    await createTokens(`case when n in (3, 4, 8) then ${LIVE} else ${DEAD} end`);
    const dry = await run(BOTH, "--dry-run");
    expect(dry.report.targets[1]).toMatchObject({
      before: { due: { expired: 18 }, held: 2 },
      cascades: [{ table: "app.access", rows: 36, total: 80 }],
    });
    const { exitCode, report } = await run(BOTH);
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(report.targets[1]).toMatchObject({
      deleted: { expired: 18, cascaded: 36, taken: { "app.access": 36 } },
      after: { held: 2 },
    });
    expect(await findAll(url, "select id from app.refresh where id <= 20")).toEqual(["2", "4"]);
    expect(await findAll(url, "select id from app.access where expires_at > now()")).toEqual(["3", "4", "8"]);
  });

  test("what goes with them is deleted if no target has it in its rows", async () => {
    await createTokens(LIVE, "alter table app.access add kind text", "update app.access set kind = 'x' where id <= 2");
    const { exitCode, report } = await run(
      `targets: [${REFRESH}, { table: app.access, expiresAt: expires_at, where: "kind = 'x'" }]`,
    );
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.refresh where id <= 20")).toEqual(["1"]);
    expect(await findAll(url, "select count(*) from app.access")).toEqual(["42"]);
    const alone = await run(`targets: [${REFRESH}]`);
    expect(alone.exitCode).toBe(0);
    expect(await findAll(url, "select count(*) from app.access")).toEqual(["40"]);
  });

  test("a cascade that is not named is an error with the whole list, of three levels and in other schemas", async () => {
    await createTokens(
      DEAD,
      'create schema "Other"',
      'create table "Other"."Use" (id bigint primary key, access bigint references app.access on delete cascade)',
      'grant usage on schema "Other" to apitoken_cleanup',
      'grant select on "Other"."Use" to apitoken_cleanup',
      'insert into "Other"."Use" select n, n from generate_series(1, 80) n',
      'create table app.detail (use bigint references "Other"."Use" on delete cascade)',
      "insert into app.detail select n from generate_series(1, 80) n",
    );
    const yaml = `targets: [${REFRESH}]`;
    const validated = await runCleanup(url, ["validate", "--config", write(yaml)]);
    expect(validated.exitCode).toBe(2);
    const list = `cascade: [app.access, '"Other"."Use"', app.detail]`;
    expect(validated.stdout + validated.stderr).toContain(list);
    const refused = await run(yaml);
    expect(refused.exitCode).toBe(1);
    expect(await findAll(url, "select count(*) from app.refresh")).toEqual(["40"]);

    const named = yaml.replace("cascade: [app.access]", list);
    const dry = await run(named, "--dry-run");
    expect(dry.report.targets[1]?.cascades).toEqual([
      { table: "app.access", rows: 40, total: 80 },
      { table: '"Other"."Use"', rows: 40, total: 80 },
      { table: "app.detail", rows: 40, total: 80 },
    ]);
    const { exitCode, report } = await run(named);
    expect(exitCode).toBe(0);
    expect(report.targets[1]?.deleted).toEqual({
      expired: 20,
      revoked: 0,
      cascaded: 120,
      taken: { "app.access": 40, '"Other"."Use"': 40, "app.detail": 40 },
    });
    expect(await findAll(url, "select count(*) from app.detail")).toEqual(["40"]);
    const text = await runCleanup(url, ["--config", write(named)]);
    expect(text.exitCode).toBe(0);
  });

  test("a table in the list that no cascade reaches is an error", async () => {
    await createTokens(DEAD, "create table app.other (id bigint)");
    const { exitCode, report } = await run(`targets: [${REFRESH.replace("app.access", "app.access, app.other")}]`);
    expect(exitCode).toBe(1);
    expect(report.message).toContain("neither ON DELETE CASCADE nor a trigger reaches app.other");
  });

  test("the cap counts what goes with them, by table", async () => {
    await createTokens(DEAD, "delete from app.access where refresh > 20");
    const { exitCode, report } = await run(`targets: [${REFRESH}]`);
    expect({ exitCode, code: report.code }).toEqual({ exitCode: 3, code: "APITOKEN_E_TOO_MANY_ROWS" });
    expect(report.message).toContain("with dead rows of app.refresh, 40 of 40 rows of app.access (100 %)");
    expect(await findAll(url, "select count(*) from app.access")).toEqual(["40"]);
  });

  test("keys of several columns and partitioned tables are followed", async () => {
    await execute(
      url,
      "create table app.refresh (realm text, id bigint, expires_at timestamptz, primary key (realm, id))",
      `insert into app.refresh select r, n, case when r = 'a' and n <= 20 then ${DEAD} else ${LIVE} end from unnest(array['a', 'b']) r, generate_series(1, 40) n`,
      "create table app.access (id bigint, realm text, refresh bigint, expires_at timestamptz, foreign key (realm, refresh) references app.refresh (realm, id) on delete cascade) partition by hash (id)",
      ...[0, 1, 2].map(
        (n) => `create table app.access_${n} partition of app.access for values with (modulus 3, remainder ${n})`,
      ),
      `insert into app.access select n, r, n, case when n in (7, 30) then ${LIVE} else ${DEAD} end from unnest(array['a', 'b']) r, generate_series(1, 40) n`,
      "create index on app.access (realm, refresh)",
      ...GRANT_APP,
    );
    const { exitCode, report } = await run(BOTH.replace("audit: rows, maxFraction", "audit: summary, maxFraction"));
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(report.targets[1]?.deleted).toMatchObject({ expired: 19, cascaded: 19, taken: { "app.access": 19 } });
    expect(await findAll(url, "select id from app.refresh where realm = 'a' and id <= 20")).toEqual(["7"]);
    expect(await findAll(url, "select realm || id from app.access")).toEqual(["a30", "a7", "b30", "b7"]);
  });

  test.each([
    { name: "a table that inherits from a target", target: "app.access", live: "app.special" },
    { name: "the parent of a target", target: "app.special", live: "app.special" },
  ])("live rows of $name are not taken", async ({ target, live }) => {
    const parent = target === "app.access";
    await execute(
      url,
      "create table app.refresh (id bigint primary key, expires_at timestamptz)",
      `insert into app.refresh select n, case when n <= 20 then ${DEAD} else ${LIVE} end from generate_series(1, 40) n`,
      parent
        ? "create table app.access (id bigint primary key, refresh bigint, expires_at timestamptz)"
        : "create table app.access (id bigint, refresh bigint references app.refresh on delete cascade, expires_at timestamptz) partition by range (id)",
      parent
        ? "create table app.special (primary key (id), foreign key (refresh) references app.refresh on delete cascade) inherits (app.access)"
        : "create table app.special partition of app.access (primary key (id)) for values from (0) to (1000)",
      `insert into ${live} select n, n, case when n = 5 then ${LIVE} else ${DEAD} end from generate_series(1, 40) n`,
      ...GRANT_APP,
    );
    const cascade = parent ? "app.special" : "app.access";
    const { exitCode, report } = await run(
      `targets: [{ table: app.refresh, expiresAt: expires_at, cascade: [${cascade}] }, { table: ${target}, expiresAt: expires_at, maxFraction: 1 }]`,
    );
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.refresh where id <= 20")).toEqual(["5"]);
    expect(await findAll(url, `select id from ${live} where id <= 20`)).toEqual(["5"]);
  });

  test("live rows three levels below, in a family of their own, are not taken", async () => {
    await createTokens(
      DEAD,
      "create table app.device (id bigint primary key, access bigint references app.access on delete cascade)",
      "create table app.login (id bigint primary key, device bigint references app.device on delete cascade, parent bigint references app.login on delete cascade, expires_at timestamptz)",
      "insert into app.device select n, n from generate_series(1, 80) n",
      `insert into app.login select n, case when n <= 80 then n end, case when n > 80 then n - 80 end, case when n = 86 then ${LIVE} else ${DEAD} end from generate_series(1, 160) n`,
    );
    const yaml = `targets: [${REFRESH.replace("app.access", "app.access, app.device, app.login")}, { table: app.login, expiresAt: expires_at, maxFraction: 1 }]`;
    const { exitCode, report } = await run(yaml);
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    // Login 86 refers to login 6, which goes with device 6, access token 6 and refresh token 3.
    expect(await findAll(url, "select id from app.refresh where id <= 20")).toEqual(["3"]);
    expect(await findAll(url, "select id from app.login")).toEqual(["6", "86"]);
  });

  test("two targets of one table keep each other's live rows, and dead families of both go", async () => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, kind text, parent bigint references app.tokens on delete cascade, expires_at timestamptz)",
      `insert into app.tokens select n, 'refresh', null, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, 'access', n - 20, case when n = 25 then ${LIVE} else ${DEAD} end from generate_series(21, 40) n`,
      `insert into app.tokens select n, 'refresh', null, ${LIVE} from generate_series(41, 80) n`,
      "create index on app.tokens (parent)",
      ...GRANT_APP,
    );
    const of = (kind: string) =>
      `{ table: app.tokens, name: ${kind}, where: "kind = '${kind}'", expiresAt: expires_at, audit: rows, maxFraction: 1 }`;
    const { exitCode, report } = await run(`targets: [${of("refresh")}, ${of("access")}]`);
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.tokens where id <= 40")).toEqual(["25", "5"]);
    expect(await findAll(url, "select count(distinct row_key) from apitoken.cleaned_rows")).toEqual(["38"]);
  });

  test("a dry run also counts what goes with rows that go with the target's, and are another target's of the same table", async () => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, kind text, parent bigint references app.tokens on delete cascade, expires_at timestamptz)",
      `insert into app.tokens select n, 'refresh', null, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, 'access', n - 20, ${DEAD} from generate_series(21, 40) n`,
      "create table app.uses (id bigint primary key, token bigint references app.tokens on delete cascade)",
      "insert into app.uses select n, n from generate_series(1, 40) n",
      "create index on app.tokens (parent)",
      "create index on app.uses (token)",
      ...GRANT_APP,
    );
    const of = (kind: string) =>
      `{ table: app.tokens, name: ${kind}, where: "kind = '${kind}'", expiresAt: expires_at, audit: rows, maxFraction: 1, cascade: [app.uses] }`;
    const { report } = await run(`targets: [${of("refresh")}, ${of("access")}]`, "--dry-run");
    const cascades = report.targets.slice(1).map((target) => target.cascades.map(({ rows }) => rows));
    expect(cascades).toEqual([[40], [20]]);
  });
});

describe("changes while a batch waits", () => {
  async function openOther(): Promise<pg.Client> {
    const other = new pg.Client({ connectionString: url });
    await other.connect();
    onTestFinished(() => other.end());
    await other.query("begin");
    return other;
  }
  /** A row's lock is waited for only for a moment: the batch may be past it already, with the others. */
  const isWaiting = `exists (select from pg_stat_activity where wait_event_type = 'Lock' and application_name = 'cleanup'
      and datname = current_database())
    or exists (select from apitoken.cleanup_runs where deleted > 0 or finished_at is not null)`;

  test.each([
    {
      name: "an access token that is extended",
      sql: `update app.access set expires_at = now() + interval '1 day' where id = 5`,
    },
    {
      name: "an access token that is touched and then extended",
      sql: `update app.access set expires_at = expires_at where id = 5; update app.access set expires_at = now() + interval '1 day' where id = 5`,
    },
    {
      name: "a live access token that is inserted",
      sql: `insert into app.access values (500, 3, now() + interval '1 day')`,
    },
    {
      name: "a refresh token that is extended",
      sql: "update app.refresh set expires_at = now() + interval '1 day' where id = 3",
    },
  ])("$name is never taken", async ({ sql }) => {
    await createTokens(DEAD);
    const other = await openOther();
    await other.query(sql);
    const program = startCleanup(
      url,
      ["-o", "json", "--config", write(`targets: [${REFRESH}, ${ACCESS.replace("}", ", maxFraction: 1 }")}]`)],
      { APITOKEN_CLEANUP_LOCK_TIMEOUT: "1h" },
    );
    await eventually(() => isTrue(url, isWaiting));
    await other.query("commit");
    const { exitCode, report } = await program.ended;
    expect([0, 4]).toContain(exitCode);
    expect(report.targets[1]?.outcome).not.toBe("failed");
    expect(await findAll(url, "select id from app.refresh where id = 3")).toEqual(["3"]);
    const live = sql.includes("app.refresh") ? [] : [sql.startsWith("insert") ? "500" : "5"];
    expect(await findAll(url, "select id from app.access where expires_at > now()")).toEqual(live);
    expect(await findAll(url, "select id from app.refresh where id <= 20")).toEqual(["3"]);
  });

  test.each([
    {
      name: "a child that is extended",
      sql: "update app.tokens set expires_at = now() + interval '1 day' where id = 103",
    },
    { name: "a live child that is inserted", sql: "insert into app.tokens values (500, 3, now() + interval '1 day')" },
    {
      name: "a live grandchild that is inserted",
      sql: "insert into app.tokens values (500, 103, now() + interval '1 day')",
    },
  ])("of a family $name is never taken", async ({ sql }) => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, parent bigint references app.tokens on delete cascade, expires_at timestamptz)",
      `insert into app.tokens select n, null, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, n - 100, ${DEAD} from generate_series(101, 120) n`,
      `insert into app.tokens select n, null, ${LIVE} from generate_series(201, 260) n`,
      "create index on app.tokens (parent)",
      ...GRANT_APP,
    );
    const other = await openOther();
    await other.query(sql);
    const program = startCleanup(
      url,
      ["-o", "json", "--config", write("targets: [{ table: app.tokens, expiresAt: expires_at }]")],
      { APITOKEN_CLEANUP_LOCK_TIMEOUT: "1h" },
    );
    await eventually(() => isTrue(url, isWaiting));
    await other.query("commit");
    const { exitCode, report } = await program.ended;
    expect([0, 4]).toContain(exitCode);
    expect(report.targets[1]?.outcome).not.toBe("failed");
    const expected = ["3", ...(sql.includes("500, 3,") ? [] : ["103"]), ...(sql.includes("500") ? ["500"] : [])].sort();
    expect(await findAll(url, "select id from app.tokens where id not between 201 and 260")).toEqual(expected);
  });

  test("a row that stays locked does not keep the others from being cleaned", async () => {
    await createTokens(DEAD);
    const other = await openOther();
    await other.query("select from app.access where id = 5 for update");
    const { report } = await runCleanup(url, ["-o", "json", "--config", write(`targets: [${REFRESH}]`)], {
      APITOKEN_CLEANUP_LOCK_TIMEOUT: "200ms",
    });
    expect(report.targets[1]).toMatchObject({ deleted: { expired: 19, cascaded: 38 } });
    expect(report.targets[1]?.held).toEqual([
      { reason: "another session has locked it, or a row that would go with it", rows: 1, keys: ["3"] },
    ]);
  });
});

test("200,000 dead sessions and 400,000 rows that go with them are cleaned, and each is counted once", async () => {
  await execute(
    url,
    "create table app.sessions (id bigint primary key, expires_at timestamptz)",
    `insert into app.sessions select n, ${DEAD} from generate_series(1, 200000) n`,
    `insert into app.sessions select n, ${LIVE} from generate_series(200001, 250000) n`,
    "create table app.uses (id bigint primary key, session bigint references app.sessions on delete cascade)",
    "insert into app.uses select n, (n + 1) / 2 from generate_series(1, 500000) n",
    "create index on app.uses (session)",
    ...GRANT_APP,
  );
  const { exitCode, report } = await run(
    "targets: [{ table: app.sessions, expiresAt: expires_at, audit: rows, cascade: [app.uses] }]",
  );
  expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
  expect(report.targets[1]?.deleted).toMatchObject({ expired: 200_000, cascaded: 400_000 });
  expect(await findAll(url, "select count(*) from app.uses")).toEqual(["100000"]);
}, 180_000);
