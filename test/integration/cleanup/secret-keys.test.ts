import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { confirmed, createAppOwner, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* In many systems the session's id, a text, is what the client presents: it must get neither into the trail nor into a log. */

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
});

/** The tables and views of the schema apitoken that have a text in any column of any row, as text. */
async function findInSchema(text: string): Promise<string[]> {
  const tables = await findAll(
    url,
    `select relname from pg_class where relnamespace = 'apitoken'::regnamespace and relkind in ('r', 'p', 'v')`,
  );
  expect(tables).toEqual(
    expect.arrayContaining(["cleanup_runs", "security_events", "cleaned_rows", "detached_partitions"]),
  );
  const searches = tables.map(
    (table) => `select '${table}' where exists (select from apitoken."${table}" t where t::text ilike $1)`,
  );
  const found = await runAsSuperuser<Record<string, string>>(url, searches.join(" union all "), [`%${text}%`]);
  return found.map((row) => String(Object.values(row)[0]));
}

const SECRET = "s3cret-session";
const TIMES = "now() - interval '9 days' - n * interval '1 minute'";
const LIVE = "now() + interval '9 days'";

/** The type of the key, the key of row n (SQL), and what the key of row 1 is as a text. */
const KEYS = [
  ["text", `'${SECRET}-' || n`, `${SECRET}-1`, SECRET],
  ["varchar(60)", `'${SECRET}-' || n`, `${SECRET}-1`, SECRET],
  [
    "bytea",
    `convert_to('${SECRET}-' || n, 'UTF8')`,
    `\\x${Buffer.from(`${SECRET}-1`).toString("hex")}`,
    Buffer.from(SECRET).toString("hex"),
  ],
  [
    "uuid",
    "('5ec7e750-0000-4000-8000-' || lpad(n::text, 12, '0'))::uuid",
    "5ec7e750-0000-4000-8000-000000000001",
    "5ec7e750",
  ],
  ["jsonb", `jsonb_build_object('${SECRET}', n)`, `{"${SECRET}": 1}`, SECRET],
  ["char(40)", `'${SECRET}-' || n`, `${SECRET}-1`, SECRET],
] as const;

test("with audit rows no secret key is anywhere in the schema apitoken, and find_cleaned finds it all the same", async () => {
  await execute(url, "create schema app");
  for (const [place, [type, key]] of KEYS.entries()) {
    await execute(
      url,
      `create table app.t${place} (id ${type} primary key, expires_at timestamptz)`,
      `insert into app.t${place} select ${key}, ${TIMES} from generate_series(1, 12) n`,
      `insert into app.t${place} select ${key}, ${LIVE} from generate_series(21, 40) n`,
    );
  }
  await execute(
    url,
    "create table app.pairs (realm integer, id text, expires_at timestamptz, primary key (realm, id))",
    `insert into app.pairs select 7, '${SECRET}-' || n, ${TIMES} from generate_series(1, 12) n`,
    `insert into app.pairs select 7, '${SECRET}-' || n, ${LIVE} from generate_series(21, 40) n`,
    ...GRANT_APP,
  );
  const names = [...KEYS.map((_, place) => `app.t${place}`), "app.pairs"];
  const targets = names.map((table) => ({ table, expiresAt: "expires_at", audit: "rows" }));
  const { exitCode, stdout, stderr, report } = await runCleanup(
    url,
    ["-o", "json", "--config", writeConfig(JSON.stringify({ targets }))],
    { APITOKEN_LOG_LEVEL: "debug" },
  );
  expect(exitCode, stderr).toBe(0);
  expect(report.targets.slice(1).map(({ deleted }) => deleted.expired)).toEqual(names.map(() => 12));
  for (const [, , , part] of KEYS) {
    expect(await findInSchema(part)).toEqual([]);
    expect(stdout + stderr).not.toContain(part);
  }
  const find = (key: string, table: string) =>
    runAsSuperuser(url, "select * from apitoken.find_cleaned($1, $2)", [key, table]);
  for (const [place, [type, , key]] of KEYS.entries()) {
    expect(await find(key, `app.t${place}`), type).toMatchObject([{ reason: "Expired", actor: "cleanup" }]);
  }
  expect(await find(`[7, "${SECRET}-12"]`, "app.pairs")).toHaveLength(1);
  expect(await find(`[7, "${SECRET}-21"]`, "app.pairs")).toEqual([]);
});

test("a key without regard to case is hashed as it is written", async () => {
  await execute(
    url,
    "create extension citext",
    "create schema app",
    "create table app.t (id citext primary key, expires_at timestamptz)",
    `insert into app.t select 'S3cret-Session-' || n, ${TIMES} from generate_series(1, 3) n`,
    ...GRANT_APP,
  );
  const yaml = confirmed("targets: [{ table: app.t, expiresAt: expires_at, audit: rows }]");
  expect((await runCleanup(url, ["--config", writeConfig(yaml)])).exitCode).toBe(0);
  expect(await findInSchema(SECRET)).toEqual([]);
  expect(await runAsSuperuser(url, "select * from apitoken.find_cleaned('S3cret-Session-2', 'app.t')")).toHaveLength(1);
});

test("keys that cannot be secrets, and those of auditKeys: plain, are in the trail as they are", async () => {
  await execute(
    url,
    "create schema app",
    "create table app.numbers (id bigint primary key, expires_at timestamptz)",
    `insert into app.numbers select n, ${TIMES} from generate_series(1, 3) n`,
    "create table app.names (id text primary key, expires_at timestamptz)",
    `insert into app.names select 'name-' || n, ${TIMES} from generate_series(1, 3) n`,
    ...GRANT_APP,
  );
  const yaml = confirmed(`targets:
    - { table: app.numbers, expiresAt: expires_at, audit: rows }
    - { table: app.names, expiresAt: expires_at, audit: rows, auditKeys: plain }`);
  expect((await runCleanup(url, ["--config", writeConfig(yaml)])).exitCode).toBe(0);
  expect(await findAll(url, "select row_key from apitoken.cleaned_rows")).toEqual(
    ["1", "2", "3", "name-1", "name-2", "name-3"].sort(),
  );
  expect(await findInSchema("name-1")).toContain("security_events");
});

test("the keys of a partition that is dropped are hashed, too", async () => {
  await createAppOwner(url);
  await execute(
    url,
    `set role app_owner;
     create table app.t (id text, expires_at timestamptz, primary key (id, expires_at)) partition by range (expires_at);
     create table app.old partition of app.t for values from ('2001-01-01') to ('2002-01-01');
     grant select, delete, update on app.t, app.old to apitoken_cleanup`,
    `insert into app.t select '${SECRET}-' || n, timestamptz '2001-05-05' + n * interval '1 day' from generate_series(1, 30) n`,
  );
  const yaml = confirmed("targets: [{ table: app.t, expiresAt: expires_at, audit: rows, key: [id], maxFraction: 1 }]");
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(yaml)]);
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.partitions.dropped).toEqual([{ name: "app.old", rows: 30 }]);
  expect(await findInSchema(SECRET)).toEqual([]);
  expect(await runAsSuperuser(url, `select * from apitoken.find_cleaned('${SECRET}-30', 'app.t')`)).toHaveLength(1);
});

/** What a trigger does with row 1, whose key it quotes. */
const QUOTES = [
  ["an exception", `raise exception 'no: %', old.id using detail = old.id, hint = old.id;`],
  ["an exception with a code of its own", `raise exception 'no: %', old.id using errcode = 'AB123';`],
  ["an exception with the code of a lock", `raise exception 'no: %', old.id using errcode = '55P03';`],
  ["an exception with the code of a server's fault", `raise exception 'no: %', old.id using errcode = '58000';`],
  ["an exception with the code of a lost connection", `raise exception 'no: %', old.id using errcode = '08006';`],
  ["a wrong cast", "perform old.id::integer;"],
  ["a wrong statement", "execute 'select ' || quote_ident(old.id);"],
  ["a duplicate key", "insert into app.log values (old.id), (old.id);"],
  ["a warning", "raise warning 'gone: %', old.id; return old;"],
] as const;

test.each(QUOTES)(
  "%s of a trigger that quotes the key does not bring it into trail, logs or report",
  async (name, body) => {
    await execute(
      url,
      "create schema app",
      "create table app.t (id text primary key, expires_at timestamptz)",
      `insert into app.t select '${SECRET}-' || n, ${TIMES} from generate_series(1, 4) n`,
      `insert into app.t select '${SECRET}-' || n, ${LIVE} from generate_series(21, 40) n`,
      "create table app.log (id text primary key)",
      `create function app.look() returns trigger language plpgsql as $$
     begin if old.id = '${SECRET}-1' then ${body} end if; return old; end $$`,
      "create trigger look before delete on app.t for each row execute function app.look()",
      ...GRANT_APP,
      "grant insert on app.log to apitoken_cleanup",
    );
    const { exitCode, stdout, stderr, report } = await runCleanup(
      url,
      ["-o", "json", "--config", writeConfig("targets: [{ table: app.t, expiresAt: expires_at, audit: rows }]")],
      { APITOKEN_LOG_LEVEL: "debug" },
    );
    expect(stdout + stderr).not.toContain(SECRET);
    expect(await findInSchema(SECRET)).toEqual([]);
    const [cleaned] = report.targets.slice(1);
    const isDeleted = name === "a warning";
    if (cleaned?.outcome === "succeeded") {
      expect(exitCode).toBe(0);
      expect(cleaned.deleted.expired).toBe(isDeleted ? 4 : 3);
      expect(cleaned.held.flatMap(({ keys }) => keys)).toEqual(
        isDeleted ? [] : [expect.stringMatching(/^sha256:[0-9a-f]{64}$/)],
      );
    } else {
      expect(exitCode).toBe(1);
      expect(cleaned?.message).toContain("app.look");
    }
  },
);
