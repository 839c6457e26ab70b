import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { type FinishedProgram, runCleanup } from "./program.ts";
import { execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* Tables of which Postgres deletes less than it was told to, without an error, or nothing at all. */

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app", "grant usage on schema app to apitoken_cleanup");
});

const YAML = "targets: [{ table: app.t, expiresAt: expires_at }]";
const TABLE = "create table app.t (id integer primary key, tenant text default 'a', expires_at timestamptz)";
const INDEX = "create index on app.t (expires_at)";
/** Three rows that are due, of different times, and three that are live. */
const ROWS = `insert into app.t (id, expires_at)
  select n, now() + (case when n <= 3 then -9 else 9 end) * interval '1 day' + n * interval '1 minute' from generate_series(1, 6) n`;

const clean = (...args: string[]) => runCleanup(url, [...args, "-o", "json", "--config", writeConfig(YAML)]);

interface Validation {
  readonly targets: readonly {
    readonly name: string;
    readonly findings: readonly { readonly level: string; readonly message: string }[];
  }[];
}

/** The commands at the ends of what validate has found, as they stand, by target. */
function findCommands({ stdout }: FinishedProgram): Map<string, string[]> {
  const commands = new Map<string, string[]>();
  for (const { name, findings } of (JSON.parse(stdout) as Validation).targets) {
    for (const { message } of findings) {
      const command = /(?:: |; )((?:grant|create|alter|drop) .*)$/.exec(message)?.[1];
      if (command !== undefined) commands.set(name, [...(commands.get(name) ?? []), command]);
    }
  }
  return commands;
}

const TABLE_T = "create table T (id integer primary key, tenant text default 'a', expires_at timestamptz)";
const PARTITIONED = "create table T (id integer, expires_at timestamptz) partition by range (id)";
const CHILD = "create table T_child () inherits (T)";
const RLS = "alter table T enable row level security";
const GRANT = "grant select, delete, update on T to apitoken_cleanup";
const GRANT_CHILD = "grant select, delete, update on T_child to apitoken_cleanup";
const FILL = `insert into T (id, expires_at)
  select n, now() + (case when n <= 3 then -9 else 9 end) * interval '1 day' + n * interval '1 minute' from generate_series(1, 6) n`;
const INDEX_T = "create index on T (expires_at)";
const PLAIN = [TABLE_T, FILL, INDEX_T, GRANT];

/** What is in the way, and how it comes about; T is the table. */
const OBSTACLES: readonly (readonly [name: string, level: "error" | "warning", setUp: readonly string[]])[] = [
  ["rights that were not granted", "error", [TABLE_T, FILL, INDEX_T]],
  ["a column that the role may not lock", "error", [...PLAIN, "revoke update on T from apitoken_cleanup"]],
  ["row-level security without a policy", "error", [...PLAIN, RLS]],
  ["a policy for some rows", "error", [...PLAIN, RLS, "create policy mine on T using (tenant = 'b')"]],
  ["a policy for reading only", "error", [...PLAIN, RLS, "create policy seen on T for select using (true)"]],
  [
    "a policy that says true for another role",
    "error",
    [...PLAIN, RLS, "create policy other on T to apitoken_verifier using (true)"],
  ],
  [
    "a restrictive policy",
    "error",
    [
      ...PLAIN,
      RLS,
      "create policy everything on T using (true)",
      `create policy "Of tenant" on T as restrictive using (tenant = current_setting('app.tenant', true))`,
    ],
  ],
  [
    "a restrictive policy and no other",
    "error",
    [...PLAIN, RLS, "create policy less on T as restrictive for delete using (tenant = 'b' or tenant = 'c')"],
  ],
  [
    "row-level security of an inheritance child",
    "error",
    [
      ...PLAIN,
      CHILD,
      "insert into T_child values (7, 'a', now() - interval '8 days')",
      GRANT_CHILD,
      "alter table T_child enable row level security",
    ],
  ],
  ["a rule", "error", [...PLAIN, "create rule keep as on delete to T do instead nothing"]],
  [
    "a rule of an inheritance child",
    "error",
    [...PLAIN, CHILD, GRANT_CHILD, `create rule "Keep" as on delete to T_child do instead nothing`],
  ],
  ["an inheritance child without grants", "error", [...PLAIN, CHILD]],
  [
    "a partition without grants, in a schema that is closed",
    "error",
    [
      PARTITIONED,
      "create schema archive",
      "create table archive.part partition of T for values from (1) to (10)",
      INDEX_T,
      FILL,
      GRANT,
    ],
  ],
  [
    "a published table without a primary key",
    "error",
    ["create table T (id integer, expires_at timestamptz)", FILL, INDEX_T, GRANT, "create publication p1 for table T"],
  ],
  [
    "a published table whose primary key can be deferred",
    "error",
    [
      "create table T (id integer primary key deferrable, expires_at timestamptz)",
      FILL,
      INDEX_T,
      GRANT,
      "create publication p2 for table T",
    ],
  ],
  [
    "a partition of a published table",
    "error",
    [
      PARTITIONED,
      "create table T_part partition of T for values from (1) to (10)",
      INDEX_T,
      FILL,
      GRANT,
      "grant select, delete, update on T_part to apitoken_cleanup",
      "create publication p3 for table T with (publish_via_partition_root = true)",
    ],
  ],
  [
    "a referring table in a closed schema",
    "error",
    [
      ...PLAIN,
      "create schema other",
      "create table other.uses (id integer references T)",
      "create index on other.uses (id)",
      "insert into other.uses values (5)",
    ],
  ],
  ["a column without an index", "warning", [TABLE_T, FILL, GRANT]],
  [
    "a referring column without an index",
    "warning",
    [...PLAIN, "create table T_uses (t_id integer references T)", "grant select on T_uses to apitoken_cleanup"],
  ],
];

test("for each obstacle validate names a command, and once these are executed as they stand, all tables are cleaned", async () => {
  const nameOf = (place: number) => `app.t${place}`;
  for (const [place, [, , setUp]] of OBSTACLES.entries()) {
    await execute(url, ...setUp.map((sql) => sql.replaceAll(/\bT(?=_|\b)/g, nameOf(place))));
  }
  const targets = OBSTACLES.map((_, place) => ({
    table: nameOf(place),
    expiresAt: "expires_at",
    firstRunMaxFraction: 1,
  }));
  const path = writeConfig(JSON.stringify({ targets }));
  const run = (...args: string[]) => runCleanup(url, [...args, "-o", "json", "--config", path]);

  const first = await run();
  expect(first.exitCode).toBe(1);
  const before = await run("validate");
  expect(before.exitCode, before.stderr).toBe(2);
  const commands = findCommands(before);
  for (const [place, [name, level]] of OBSTACLES.entries()) {
    const found = commands.get(nameOf(place)) ?? [];
    expect(found, name).not.toEqual([]);
    expect(first.report.targets[place + 1]?.outcome, name).toBe(level === "error" ? "failed" : "succeeded");
    await execute(url, ...found);
  }
  const after = await run("validate");
  expect(after.exitCode, after.stdout).toBe(0);
  expect(findCommands(after)).toEqual(new Map());
  const cleaned = await run();
  expect(cleaned.exitCode, cleaned.stdout).toBe(0);
  for (const [place, [name]] of OBSTACLES.entries()) {
    expect(await findAll(url, `select id from ${nameOf(place)}`), name).toEqual(["4", "5", "6"]);
  }
});

test("rows of an inheritance child are cleaned like those of the table", async () => {
  await execute(url, TABLE, ROWS, "create table app.child () inherits (app.t)", ...GRANT_APP);
  await execute(
    url,
    `insert into app.child (id, expires_at)
     select n, now() + (case when n <= 23 then -9 else 9 end) * interval '1 day' + n * interval '1 minute' from generate_series(21, 26) n`,
  );
  const { exitCode, report } = await clean();
  expect(exitCode).toBe(0);
  expect(report.targets[1]).toMatchObject({ before: { total: 12, due: { expired: 6 } }, deleted: { expired: 6 } });
  expect(await findAll(url, "select id from only app.t")).toEqual(["4", "5", "6"]);
  expect(await findAll(url, "select id from app.child")).toEqual(["24", "25", "26"]);
});

const TRIGGER = "create trigger keep before delete on app.t for each row execute function app.keep()";
const createFunction = (body: string) =>
  `create function app.keep() returns trigger language plpgsql security definer as $$ begin ${body} end $$`;

test("a trigger that keeps rows: the run fails, and says how many and which trigger, and the others are gone", async () => {
  const keep = createFunction("if old.id in (1, 3) then return null; end if; return old;");
  await execute(url, TABLE, ROWS, INDEX, ...GRANT_APP, keep, TRIGGER);
  const { exitCode, report } = await clean();
  expect(exitCode).toBe(1);
  expect(report.targets[1]).toMatchObject({ outcome: "failed", code: "APITOKEN_E_ROWS_LEFT", deleted: { expired: 1 } });
  expect(report.targets[1]?.message).toContain("2 due rows of app.t are still there");
  expect(report.targets[1]?.message).toContain("trigger keep");
  expect(await findAll(url, "select id from app.t")).toEqual(["1", "3", "4", "5", "6"]);
  expect((await clean("validate")).stdout).toContain("trigger keep");
});

test("a trigger that only marks rows as deleted: the run fails and says so", async () => {
  const mark = createFunction("update app.t set tenant = 'deleted' where id = old.id; return null;");
  await execute(url, TABLE, ROWS, INDEX, ...GRANT_APP, mark, TRIGGER);
  const { exitCode, report } = await clean();
  expect(exitCode).toBe(1);
  expect(report.targets[1]?.message).toContain("3 due rows of app.t are still there");
  expect(await findAll(url, "select count(*) from app.t where tenant = 'deleted'")).toEqual(["3"]);
});

test("Postgres refuses every deletion from a published table without a replica identity, whatever wal_level is", async () => {
  await execute(
    url,
    "create table app.t (id integer)",
    "insert into app.t values (1)",
    "create publication p for table app.t",
  );
  await expect(runAsSuperuser(url, "delete from app.t")).rejects.toMatchObject({ code: "55000" });
});

test("for a partitioned table of a superuser, nobody is advised to grant the superuser", async () => {
  await execute(
    url,
    "create table app.t (id integer, expires_at timestamptz) partition by range (expires_at)",
    "create table app.old partition of app.t for values from ('2001-01-01') to ('2002-01-01')",
    INDEX,
    ...GRANT_APP,
  );
  const { exitCode, stdout } = await clean("validate");
  expect(exitCode).toBe(0);
  expect(stdout).not.toMatch(/grant \\?"?postgres/);
  expect(stdout).toContain("give it and its partitions to a role of their own");
});
