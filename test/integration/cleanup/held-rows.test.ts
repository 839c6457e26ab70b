import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { isTrue, runCleanup } from "./program.ts";
import { confirmed, DEAD, execute, findAll, GRANT_APP, LIVE, writeConfig } from "./team-table.ts";

let url: string;
const YAML = "targets: [{ table: app.sessions, expiresAt: expires_at, audit: rows, maxFraction: 1 }]";
const write = (yaml: string) => writeConfig(confirmed(yaml));
const run = (yaml = YAML, env: NodeJS.ProcessEnv = {}) => runCleanup(url, ["-o", "json", "--config", write(yaml)], env);

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

/** Sessions with a key that is a secret: `dead` dead ones, and 100 live ones. */
async function createSecretSessions(dead: number): Promise<void> {
  await execute(
    url,
    "create table app.sessions (number bigint, secret text primary key, expires_at timestamptz)",
    `insert into app.sessions select n, 'secret-' || n, ${DEAD} from generate_series(1, ${dead}) n`,
    `insert into app.sessions select n, 'secret-' || n, ${LIVE} from generate_series(${dead + 1}, ${dead + 100}) n`,
    ...GRANT_APP,
  );
}

const createTrigger = (when: string, condition: string, statement = "raise exception 'secret is %', old.secret") => [
  `create function app.refuse() returns trigger language plpgsql as $$ begin
     if ${condition} then ${statement}; end if; return old; end $$`,
  `create trigger refuse ${when} delete on app.sessions for each row execute function app.refuse()`,
];

describe("rows that a trigger protects", () => {
  test.each(["before", "after"])(
    "are found when it fires %s the deletion and are held with a few keys, and the others go",
    async (when) => {
      await createSecretSessions(2_000);
      await execute(url, ...createTrigger(when, "old.number in (1, 777, 1000, 1999)"));
      const { exitCode, report, stdout } = await run();
      expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
      expect(report.targets[1]).toMatchObject({
        outcome: "succeeded",
        deleted: { expired: 1_996 },
        after: { due: { expired: 0 }, held: 4 },
        held: [{ reason: "function app.refuse refuses it (SQLSTATE P0001)", rows: 4 }],
      });
      const [held] = report.targets[1]?.held ?? [];
      expect(held?.keys).toHaveLength(3);
      for (const key of held?.keys ?? []) expect(key).toMatch(/^sha256:[0-9a-f]{64}$/);
      expect(stdout).not.toContain("secret-");
      expect(await findAll(url, "select number from app.sessions where number <= 2000")).toEqual([
        "1",
        "1000",
        "1999",
        "777",
      ]);
      expect(await isTrue(url, "not exists (select from apitoken.cleanup_runs r where r::text like '%secret-%')")).toBe(
        true,
      );
      const again = await run();
      expect(again.exitCode).toBe(0);
      expect(again.report.targets[1]).toMatchObject({ deleted: { expired: 0 }, after: { held: 4 } });
    },
  );

  test("a trigger on a table behind a cascade holds the row at the top", async () => {
    await createSecretSessions(200);
    await execute(
      url,
      "create table app.uses (id bigint primary key, secret text references app.sessions on delete cascade)",
      "insert into app.uses select n, 'secret-' || n from generate_series(1, 300) n",
      `create function app.refuse() returns trigger language plpgsql as $$ begin
         if old.id = 42 then raise exception 'no'; end if; return old; end $$`,
      "create trigger refuse before delete on app.uses for each row execute function app.refuse()",
      ...GRANT_APP,
    );
    const { exitCode, report } = await run(YAML.replace(" }]", ", cascade: [app.uses] }]"));
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(report.targets[1]).toMatchObject({ deleted: { expired: 199, cascaded: 199 }, after: { held: 1 } });
    expect(await findAll(url, "select number from app.sessions where number <= 200")).toEqual(["42"]);
  });

  test("if it protects all rows, the run fails soon, and says why without the trigger's text", async () => {
    await createSecretSessions(20_000);
    await execute(url, ...createTrigger("before", "true"));
    const { exitCode, report, stdout } = await run();
    expect(exitCode).toBe(1);
    expect(report.targets[1]).toMatchObject({
      outcome: "failed",
      code: "APITOKEN_E_ROWS_HELD",
      deleted: { expired: 0 },
      held: [{ rows: 100 }],
    });
    expect(report.targets[1]?.message).toContain("100 rows cannot be deleted");
    expect(stdout).not.toContain("secret-");
    expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["20100"]);
  });

  test("a trigger that keeps rows without an error fails the run with their number", async () => {
    await createSecretSessions(500);
    await execute(url, ...createTrigger("before", "old.number in (3, 4)", "return null"));
    const { exitCode, report } = await run();
    expect(exitCode).toBe(1);
    expect(report.targets[1]).toMatchObject({
      outcome: "failed",
      code: "APITOKEN_E_ROWS_LEFT",
      deleted: { expired: 498 },
      after: { due: { expired: 2 } },
    });
    expect(report.targets[1]?.message).toContain("trigger refuse");
  });
});

describe("the report names what refuses a row's deletion, and nothing of the row", () => {
  const createLogins = (token: string) => [
    "create table app.tokens (id bigint primary key, expires_at timestamptz)",
    `insert into app.tokens select n, ${DEAD} from generate_series(1, 10) n`,
    `insert into app.tokens select n, ${LIVE} from generate_series(11, 60) n`,
    `create table app.logins (id bigint primary key, token ${token})`,
    "insert into app.logins values (1, 3)",
    ...GRANT_APP,
  ];
  const cases: { name: string; statements: string[]; reason: string }[] = [
    {
      name: "a column that must not be null, and has no default to be set to",
      statements: createLogins("bigint not null references app.tokens on delete set default"),
      reason: 'Postgres refuses it because of column "token" of app.logins (SQLSTATE 23502)',
    },
    {
      name: "a domain that takes no null",
      statements: [
        "create domain app.token_id as bigint not null",
        ...createLogins("app.token_id references app.tokens on delete set null"),
      ],
      reason: "Postgres refuses it because of domain app.token_id in app.logins (SQLSTATE 23502)",
    },
    {
      name: "a check of a domain",
      statements: [
        "create domain app.token_id as bigint constraint present check (value is not null)",
        ...createLogins("app.token_id references app.tokens on delete set null"),
      ],
      reason: 'constraint "present" of domain app.token_id in app.logins forbids it',
    },
    {
      name: "a check of a table",
      statements: createLogins(
        "bigint references app.tokens on delete set null constraint present check (token is not null)",
      ),
      reason: 'constraint "present" of app.logins forbids it',
    },
    {
      name: "a function that gives names of its own, which may be the row's",
      statements: [
        ...createLogins("bigint"),
        `create function app.refuse() returns trigger language plpgsql as $$ begin
           if old.id = 3 then raise exception using errcode = '23502', message = 'secret-m', constraint = 'secret-c',
             schema = 'secret-s', table = 'secret-t', column = 'secret-o', datatype = 'secret-d'; end if; return old; end $$`,
        "create trigger refuse before delete on app.tokens for each row execute function app.refuse()",
      ],
      reason: "function app.refuse refuses it (SQLSTATE 23502)",
    },
  ];

  test.each(cases)("$name", async ({ statements, reason }) => {
    await execute(url, ...statements);
    const { exitCode, report, stdout } = await run(YAML.replace("app.sessions", "app.tokens"));
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(report.targets[1]?.held).toMatchObject([{ reason, rows: 1 }]);
    expect(stdout).not.toContain("secret-");
    expect(await findAll(url, "select id from app.tokens where id <= 10")).toEqual(["3"]);
  });
});

test("without an index on a referring table, batches shrink after a time-out, and all rows go", async () => {
  await execute(
    url,
    "create table app.sessions (id bigint primary key, expires_at timestamptz)",
    `insert into app.sessions select n, ${DEAD} from generate_series(1, 300) n`,
    `insert into app.sessions select n, ${LIVE} from generate_series(301, 400) n`,
    "create table app.uses (id bigint primary key, session bigint references app.sessions on delete set null)",
    "insert into app.uses select n, 301 + n % 100 from generate_series(1, 150000) n",
    "vacuum analyze app.uses",
    ...GRANT_APP,
  );
  const validated = await runCleanup(url, ["validate", "--config", write(YAML)]);
  expect(validated.exitCode).toBe(0);
  expect(validated.stdout).toContain('create index concurrently on "app"."uses" ("session")');
  const { exitCode, report, stderr } = await run(YAML, { APITOKEN_CLEANUP_STATEMENT_TIMEOUT: "1s" });
  expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
  expect(stderr).not.toContain("not available");
  expect(report.targets[1]).toMatchObject({ deleted: { expired: 300 }, held: [] });
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["100"]);
}, 120_000);

/** One row per block, a little more than 1 GiB: the dead rows of tables of that size are found by their index. */
describe("the dead rows of a large table", () => {
  const ROWS = 132_000;
  const createLarge = async (...statements: readonly string[]) =>
    execute(
      url,
      "create table app.sessions (id integer primary key, parent integer, filler text, expires_at timestamptz) with (fillfactor = 10, autovacuum_enabled = off)",
      "alter table app.sessions alter filler set storage plain",
      // 1,200 dead rows in the order of their times; 600 of them have the same one.
      `insert into app.sessions select n, null, repeat('x', 900), case when n <= 600 then now() - interval '20 days'
         when n <= 1200 then now() - interval '30 days' + n * interval '1 minute' else now() + interval '1 day' end
       from generate_series(1, ${ROWS}) n`,
      "create index on app.sessions (expires_at)",
      ...statements,
      "vacuum (analyze) app.sessions",
      ...GRANT_APP,
    );

  test("go although the first 550 by their time are held, referred to, or kept by a trigger", async () => {
    await createLarge(
      `create function app.refuse() returns trigger language plpgsql as $$ begin
         if old.id <= 90 then raise exception 'no'; end if;
         if old.id <= 550 then return null; end if; return old; end $$`,
      "create trigger refuse before delete on app.sessions for each row execute function app.refuse()",
    );
    const { exitCode, report } = await run(YAML);
    expect({ exitCode, code: report.code }).toEqual({ exitCode: 1, code: "APITOKEN_E_ROWS_LEFT" });
    expect(report.targets[1]).toMatchObject({ deleted: { expired: 650 }, held: [{ rows: 90 }] });
    expect(report.targets[1]?.message).toContain("460 due rows");
  }, 240_000);

  test("that belong to families go, and those with a live row below them stay", async () => {
    await createLarge(
      "update app.sessions set parent = id - 600 where id between 601 and 1199",
      "update app.sessions set parent = 7 where id = 5000",
      "alter table app.sessions add foreign key (parent) references app.sessions on delete cascade",
      "create index on app.sessions (parent)",
    );
    const { exitCode, report } = await run(YAML);
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(report.targets[1]).toMatchObject({ deleted: { expired: 1_199 }, after: { held: 1 } });
    expect(await findAll(url, "select id from app.sessions where expires_at < now()")).toEqual(["7"]);
  }, 240_000);
});
