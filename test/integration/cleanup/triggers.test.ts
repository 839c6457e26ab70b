import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { confirmed, DEAD, execute, findAll, GRANT_APP, LIVE, writeConfig } from "./team-table.ts";

let url: string;

const run = (targets: string, ...args: string[]) =>
  runCleanup(url, [
    ...["-o", "json", "--max-fraction", "1", ...args, "--config"],
    writeConfig(confirmed(`targets: ${targets}`)),
  ]);

const SESSIONS = "{ table: app.sessions, expiresAt: expires_at }";

/** A trigger function that runs these statements of SQL. */
const createFunction = (statements: string) =>
  `create function app.react() returns trigger language plpgsql security definer as $$ begin ${statements} return old; end $$`;

/** The ids of the rows of a table, in their order. */
const idsOf = async (table: string) =>
  (await findAll(url, `select id from app.${table}`)).map(Number).sort((one, other) => one - other);

const numbers = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, place) => from + place);

/** 20 sessions, of which 1 to 10 are dead, and as many live keys, each of which belongs to one. */
beforeEach(async () => {
  url = await createTestDatabase();
  await execute(
    url,
    "create schema app",
    "create table app.keys (id bigint primary key, expires_at timestamptz)",
    `insert into app.keys select n, ${LIVE} from generate_series(1, 20) n`,
    "create table app.sessions (id bigint primary key, previous bigint, expires_at timestamptz)",
    `insert into app.sessions select n, n + 10, case when n <= 10 then ${DEAD} else ${LIVE} end from generate_series(1, 20) n`,
    "create table app.notes (id bigint primary key, session bigint)",
    "insert into app.notes select n, n from generate_series(1, 20) n",
    "create index on app.sessions (expires_at)",
  );
});

const FOR_EACH_ROW = "create trigger reacts after delete on app.sessions for each row execute function app.react()";

test.each([
  ["for each row", "delete from app.keys where id = old.id;", FOR_EACH_ROW],
  ["before each row", "delete from app.keys where id = old.id;", FOR_EACH_ROW.replace("after", "before")],
  [
    "for each statement",
    "delete from app.keys where id in (select id from gone);",
    `create trigger reacts after delete on app.sessions referencing old table as gone
       for each statement execute function app.react()`,
  ],
  [
    "deferred to the end of the transaction",
    "delete from app.keys where id = old.id;",
    `create constraint trigger reacts after delete on app.sessions deferrable initially deferred
       for each row execute function app.react()`,
  ],
])(
  "live rows that a trigger deletes stay, and so do the rows that it fires for: %s",
  async (_, statements, trigger) => {
    await execute(url, createFunction(statements), trigger, ...GRANT_APP);
    const { exitCode, report } = await run(`[${SESSIONS}]`);
    expect(await idsOf("keys")).toEqual(numbers(1, 20));
    expect(await idsOf("sessions")).toEqual(numbers(1, 20));
    expect({ exitCode, held: report.targets[1]?.held }).toMatchObject({
      exitCode: 0,
      held: [{ reason: "a trigger deletes rows of app.keys with it", rows: 10 }],
    });
  },
);

test("rows with which the trigger deletes nothing else go", async () => {
  await execute(url, createFunction("delete from app.keys where id = old.id and id <= 3;"), FOR_EACH_ROW, ...GRANT_APP);
  const { exitCode, report } = await run(`[${SESSIONS}]`);
  expect({ exitCode, deleted: report.targets[1]?.deleted.expired }).toEqual({ exitCode: 0, deleted: 7 });
  expect(await idsOf("sessions")).toEqual([...numbers(1, 3), ...numbers(11, 20)]);
  expect(await idsOf("keys")).toEqual(numbers(1, 20));
});

test("a trigger that deletes live rows of the target's own table does not get its way", async () => {
  await execute(url, createFunction("delete from app.sessions where id = old.previous;"), FOR_EACH_ROW, ...GRANT_APP);
  await run(`[${SESSIONS}]`);
  expect(await idsOf("sessions")).toEqual(numbers(1, 20));
});

test("a trigger of a table that goes with it, or whose reference is set null, does not either", async () => {
  await execute(
    url,
    "alter table app.notes add foreign key (session) references app.sessions on delete cascade",
    "create index on app.notes (session)",
    "create table app.marks (id bigint primary key, session bigint references app.sessions on delete set null)",
    "insert into app.marks select n, n from generate_series(6, 8) n",
    "create index on app.marks (session)",
    createFunction("delete from app.keys where id = old.id and id between 3 and 6;"),
    "create trigger reacts after delete on app.notes for each row execute function app.react()",
    "create trigger reacts after update on app.marks for each row execute function app.react()",
    ...GRANT_APP,
  );
  const { report } = await run(`[${SESSIONS.replace(" }", ", cascade: [app.notes] }")}]`);
  expect(report.targets[1]?.deleted).toMatchObject({ expired: 6, taken: { "app.notes": 6 } });
  expect(await idsOf("keys")).toEqual(numbers(1, 20));
  expect(await idsOf("sessions")).toEqual([...numbers(3, 6), ...numbers(11, 20)]);
});

test("what it deletes of a table that cascade names is counted", async () => {
  await execute(url, createFunction("delete from app.notes where session = old.id;"), FOR_EACH_ROW, ...GRANT_APP);
  const { exitCode, report } = await run(`[${SESSIONS.replace(" }", ", cascade: [app.notes] }")}]`);
  expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
  expect(report.targets[1]?.deleted).toMatchObject({ expired: 10, cascaded: 10, taken: { "app.notes": 10 } });
  expect(await idsOf("notes")).toEqual(numbers(11, 20));
});

test("cascade must not name a target that only a trigger reaches", async () => {
  await execute(url, createFunction("delete from app.keys where id = old.id;"), FOR_EACH_ROW, ...GRANT_APP);
  const { exitCode, report } = await run(
    `[${SESSIONS.replace(" }", ", cascade: [app.keys] }")}, { table: app.keys, expiresAt: expires_at }]`,
  );
  expect(exitCode).toBe(1);
  expect(report.targets[1]?.message).toBe(
    "cascade: app.keys is a target of its own, and nobody knows which of its rows a trigger deletes; take it out of the list",
  );
  expect(await idsOf("keys")).toEqual(numbers(1, 20));
});

test("a trigger that only writes down what is gone changes nothing, and validate says what is watched", async () => {
  await execute(url, createFunction("insert into app.notes values (100 + old.id);"), FOR_EACH_ROW, ...GRANT_APP);
  const config = writeConfig(confirmed(`targets: [${SESSIONS}]`));
  const { stdout } = await runCleanup(url, ["validate", "--config", config]);
  expect(stdout.replaceAll(/\s+/g, " ")).toContain(
    "trigger reacts of app.sessions calls app.react with each deletion, which slows it down; rows with which it deletes any other row " +
      "stay, and what it changes otherwise is not looked at",
  );
  const { report } = await run(`[${SESSIONS}]`);
  expect(report.targets[1]).toMatchObject({ outcome: "succeeded", deleted: { expired: 10, cascaded: 0 }, held: [] });
  expect(await findAll(url, "select count(*) from app.notes where id > 100")).toEqual(["10"]);
});

test("a trigger without the rights that it needs is named, with the remedy", async () => {
  await execute(
    url,
    createFunction("delete from app.keys where id = old.id;").replace(" security definer", ""),
    FOR_EACH_ROW,
    ...GRANT_APP,
    "revoke all on app.keys from apitoken_cleanup",
  );
  const { exitCode, report } = await run(`[${SESSIONS}]`);
  expect(exitCode).toBe(1);
  expect(report.targets[1]?.message).toBe(
    "function app.react, which a trigger calls, is refused: permission denied for table keys; " +
      "grant apitoken_cleanup what the function does, or make it security definer",
  );
  expect(await idsOf("sessions")).toEqual(numbers(1, 20));
});

test("if the server does not count deletions, nothing is deleted under a trigger", async () => {
  await execute(
    url,
    createFunction("delete from app.keys where id = old.id;"),
    FOR_EACH_ROW,
    ...GRANT_APP,
    `do $$ begin execute format('alter database %I set track_counts = off', current_database()); end $$`,
  );
  const { exitCode, report } = await run(`[${SESSIONS}]`);
  expect(exitCode).toBe(1);
  expect(report.targets[1]?.message).toContain("Postgres does not count what they delete: set track_counts = on");
  expect(await idsOf("keys")).toEqual(numbers(1, 20));
});
