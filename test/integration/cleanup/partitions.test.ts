import pg from "pg";
import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { isTrue, runCleanup, startCleanup } from "./program.ts";
import { confirmed, createAppOwner, execute, findAll, writeConfig } from "./team-table.ts";

let url: string;

const SESSIONS = "create table app.sessions (id integer, tenant text default 'a', expires_at timestamptz)";
const PARTITIONS = [
  "create table app.sessions_2001 partition of app.sessions for values from ('2001-01-01+00') to ('2002-01-01+00')",
  "create table app.sessions_2002 partition of app.sessions for values from ('2002-01-01+00') to ('2003-01-01+00')",
  "create table app.sessions_now partition of app.sessions for values from ('2003-01-01+00') to ('2101-01-01+00')",
];
const ROWS = `insert into app.sessions (id, expires_at)
  select n, timestamptz '2001-06-01+00' from generate_series(1, 100) n union all
  select n, timestamptz '2002-06-01+00' from generate_series(101, 150) n union all
  select n, timestamptz '2003-06-01+00' from generate_series(151, 170) n union all
  select n, now() + interval '1 day' from generate_series(171, 200) n`;

beforeEach(async () => {
  url = await createTestDatabase();
  await createAppOwner(url);
});

/** Creates tables as their owner, to which the cleanup has access only by its membership. */
const asOwner = (...statements: string[]) => execute(url, ...statements.map((sql) => `set role app_owner; ${sql}`));

const tables = () =>
  findAll(url, "select relname from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')");

function yaml(rest = ""): string[] {
  return [
    "-o",
    "json",
    "--max-fraction",
    "1",
    "--config",
    writeConfig(confirmed(`targets: [{ table: app.sessions, expiresAt: expires_at ${rest} }]`)),
  ];
}

test.each(["summary", "rows"])(
  "dead partitions are dropped whole, others are emptied of dead rows; audit %s",
  async (audit) => {
    await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS, "analyze app.sessions");
    const { exitCode, report } = await runCleanup(url, yaml(`, audit: ${audit}, key: [id]`));
    expect(exitCode).toBe(0);
    expect(await tables()).toEqual(["sessions", "sessions_now"]);
    expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["30"]);
    expect(report.targets[1]).toMatchObject({
      partitions: {
        dropped: [
          { name: "app.sessions_2001", rows: 100 },
          { name: "app.sessions_2002", rows: 50 },
        ],
        kept: [],
      },
      deleted: { expired: 20 },
      after: { total: 30, due: { expired: 0 } },
    });
    expect(await findAll(url, "select deleted from apitoken.cleanup_runs")).toEqual(["170"]);
    expect(await findAll(url, "select sum(rows) from apitoken.cleaned_batches")).toEqual(["170"]);
    const keys = await findAll(url, "select row_key::integer from apitoken.cleaned_rows order by 1");
    expect(keys).toHaveLength(audit === "rows" ? 170 : 0);
    expect(new Set(keys).size).toBe(keys.length);
  },
);

test("the number of rows in the trail is counted, not the planner's estimate, and has the time of the count", async () => {
  await asOwner(
    `${SESSIONS} partition by range (expires_at)`,
    ...PARTITIONS,
    ROWS,
    "analyze app.sessions",
    "delete from app.sessions where id > 140 and id <= 150",
  );
  await runCleanup(url, yaml());
  expect(
    await findAll(
      url,
      `select (detail->>'partition') || ' ' || (detail->>'rows') || ' ' || ((detail->>'counted_at')::timestamptz
         between (select started_at from apitoken.cleanup_runs) and occurred_at)::text
       from apitoken.security_events where event = 'PartitionDropped'`,
    ),
  ).toEqual(["app.sessions_2001 100 true", "app.sessions_2002 40 true"]);
});

test("rows that have gone with those of another target before are not counted again in a partition that is dropped", async () => {
  await asOwner(
    "create table app.users (id integer primary key, deleted_at timestamptz)",
    "insert into app.users select n, case when n <= 30 then now() - interval '1 year' - n * interval '1 ms' end from generate_series(1, 200) n",
    `${SESSIONS} partition by range (expires_at)`,
    ...PARTITIONS,
    ROWS,
    "alter table app.sessions add foreign key (id) references app.users on delete cascade",
    "create index on app.sessions (id)",
    "analyze app.sessions",
  );
  const { exitCode, report } = await runCleanup(url, [
    ...["-o", "json", "--max-fraction", "1", "--config"],
    writeConfig(
      confirmed(`targets:
        - { table: app.users, revokedAt: deleted_at, cascade: [app.sessions] }
        - { table: app.sessions, expiresAt: expires_at }`),
    ),
  ]);
  expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
  expect(report.targets[1]?.deleted).toMatchObject({ revoked: 30, taken: { "app.sessions": 30 } });
  expect(report.targets[2]?.partitions.dropped).toEqual([
    { name: "app.sessions_2001", rows: 70 },
    { name: "app.sessions_2002", rows: 50 },
  ]);
  expect(await findAll(url, "select deleted from apitoken.cleanup_runs")).toEqual(["170"]);
});

test("with audit rows, rows that arrive after the count, while the partition is being detached, are in the trail, too", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query("begin");
  await other.query("select count(*) from app.sessions");
  const program = startCleanup(url, yaml(", audit: rows, key: [id]"), { APITOKEN_CLEANUP_LOCK_TIMEOUT: "1h" });
  await eventually(() => isTrue(url, "exists (select from pg_inherits where inhdetachpending)"));
  await other.query("insert into app.sessions_2001 values (1001, 'a', '2001-06-01+00')");
  await other.query("commit");
  await other.end();
  const { report } = await program.ended;
  expect(report.targets[1]?.partitions.dropped[0]).toEqual({ name: "app.sessions_2001", rows: 101 });
  expect(await findAll(url, "select count(*) from apitoken.cleaned_rows")).toEqual(["171"]);
  expect(await findAll(url, "select row_key from apitoken.cleaned_rows where row_key = '1001'")).toEqual(["1001"]);
  expect(await findAll(url, "select deleted from apitoken.cleanup_runs")).toEqual(["171"]);
});

test.each([
  ["a view", "create view app.old as select count(*) from app.sessions_2001", "depend on it"],
  [
    "a foreign key to the partition alone",
    "alter table app.sessions_2001 add unique (id); create table app.notes (session integer references app.sessions_2001 (id)); grant select on app.notes to apitoken_cleanup",
    "other tables refer to it",
  ],
])("with %s the rows are deleted instead: the partition could not be dropped", async (_, statement, reason) => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS, ...statement.split("; "));
  const { exitCode, report } = await runCleanup(url, yaml());
  expect(exitCode, report.message).toBe(0);
  expect(report.targets[1]?.partitions).toEqual({
    dropped: [{ name: "app.sessions_2002", rows: 50 }],
    kept: [{ name: "app.sessions_2001", reason: expect.stringContaining(reason) }],
  });
  expect(report.targets[1]?.deleted.expired).toBe(120);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["30"]);
});

test("if a trigger must see each deleted row, none is deleted without it", async () => {
  await asOwner(
    `${SESSIONS} partition by range (expires_at)`,
    ...PARTITIONS,
    "create table app.seen (id integer)",
    "grant insert on app.seen to apitoken_cleanup",
    "create function app.see() returns trigger language plpgsql as 'begin insert into app.seen values (old.id); return old; end'",
    "create trigger see before delete on app.sessions for each row execute function app.see()",
    ROWS,
  );
  const { exitCode, report } = await runCleanup(url, yaml());
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.partitions.kept[0]?.reason).toContain("trigger");
  expect(await findAll(url, "select count(*) from app.seen")).toEqual(["170"]);
});

test("a partition is dropped whole only if --max-rows allows for all its rows", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  const { exitCode, report } = await runCleanup(url, ["--max-rows", "120", ...yaml()]);
  expect(exitCode).toBe(4);
  expect(report.targets[1]?.partitions).toEqual({
    dropped: [{ name: "app.sessions_2001", rows: 100 }],
    kept: [{ name: "app.sessions_2002", reason: expect.stringContaining("--max-rows") }],
  });
  expect(report.targets[1]?.deleted.expired).toBe(20);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["80"]);
});

test("a dry run shows which partitions would be dropped, and leaves them", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  const { report } = await runCleanup(url, ["--dry-run", ...yaml()]);
  expect(report.targets[1]?.partitions.dropped.map(({ name }) => name)).toEqual([
    "app.sessions_2001",
    "app.sessions_2002",
  ]);
  expect(report.targets[1]?.before?.due.expired).toBe(170);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["200"]);
});

test("next to a default partition the rows are deleted instead, and the report says why", async () => {
  await asOwner(
    `${SESSIONS} partition by range (expires_at)`,
    ...PARTITIONS,
    "create table app.sessions_rest partition of app.sessions default",
    ROWS,
    "insert into app.sessions (id, expires_at) values (201, '1999-01-01+00'), (202, null), (203, '2200-01-01+00')",
  );
  const { exitCode, report } = await runCleanup(url, yaml());
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.partitions.kept).toEqual([
    { name: "app.sessions_2001", reason: expect.stringContaining("default partition") },
    { name: "app.sessions_2002", reason: expect.stringContaining("default partition") },
  ]);
  expect(report.targets[1]?.deleted.expired).toBe(171);
  expect(await findAll(url, "select id from app.sessions_rest")).toEqual(["202", "203"]);
  expect(await tables()).toHaveLength(5);
});

test("partitions of partitions are dropped, too: in each branch what is entirely dead", async () => {
  await asOwner(
    `${SESSIONS} partition by list (tenant)`,
    "create table app.tenant_a partition of app.sessions for values in ('a') partition by range (expires_at)",
    "create table app.a_2001 partition of app.tenant_a for values from ('2001-01-01+00') to ('2002-01-01+00') partition by hash (id)",
    "create table app.a_2001_0 partition of app.a_2001 for values with (modulus 2, remainder 0)",
    "create table app.a_2001_1 partition of app.a_2001 for values with (modulus 2, remainder 1)",
    "create table app.a_rest partition of app.tenant_a for values from ('2002-01-01+00') to ('2101-01-01+00')",
    "create table app.tenant_b partition of app.sessions for values in ('b')",
    ROWS,
    "insert into app.sessions values (301, 'b', '2001-06-01+00'), (302, 'b', now() + interval '1 day')",
  );
  const { exitCode, report } = await runCleanup(url, yaml());
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.partitions.dropped).toEqual([{ name: "app.a_2001", rows: 100 }]);
  expect(await tables()).toEqual(["a_rest", "sessions", "tenant_a", "tenant_b"]);
  expect(await findAll(url, "select id from app.sessions where id > 300")).toEqual(["302"]);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["31"]);
});

const BY_TYPE = [
  {
    type: "date",
    setting: ", timezone: UTC",
    bounds: ["'2001-01-01'", "'2002-01-01'", "'2101-01-01'"],
    values: { never: "'0001-01-01'", ancient: "'2000-06-01'", dead: "'2001-06-01'", live: "now()::date + 1" },
  },
  {
    type: "bigint",
    setting: ", epoch: seconds",
    bounds: ["970000000", "1000000000", "5000000000"],
    values: { never: "0", ancient: "960000000", dead: "990000000", live: "4102444800" },
  },
];

test.each(BY_TYPE)(
  "partitions by $type are distinguished by the same rule; one without a lower bound could have rows without an expiry",
  async ({ type, setting, bounds: [first, second, third], values: { never, ancient, dead, live } }) => {
    await asOwner(
      `create table app.sessions (id integer, expires_at ${type}) partition by range (expires_at)`,
      `create table app.ancient partition of app.sessions for values from (minvalue) to (${first})`,
      `create table app.old partition of app.sessions for values from (${first}) to (${second})`,
      `create table app.new partition of app.sessions for values from (${second}) to (${third})`,
      `create table app.future partition of app.sessions for values from (${third}) to (maxvalue)`,
      `insert into app.sessions values (1, ${ancient}), (2, ${dead}), (3, ${live}), (4, ${never})`,
    );
    expect((await runCleanup(url, yaml(setting))).exitCode).toBe(0);
    expect(await tables()).toEqual(["ancient", "future", "new", "sessions"]);
    expect(await findAll(url, "select id from app.sessions")).toEqual(["3", "4"]);
  },
);

test("a partition whose range includes a value that means never is emptied row by row", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  await execute(url, "update app.sessions set expires_at = '2001-12-31+00' where id <= 10");
  const { exitCode, report } = await runCleanup(url, yaml(", never: ['2001-12-31 00:00:00+00']"));
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.partitions.dropped.map(({ name }) => name)).toEqual(["app.sessions_2002"]);
  expect(await findAll(url, "select count(*) from app.sessions_2001")).toEqual(["10"]);
});

test("a partition in use is left half detached, and the next run finishes it", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query("begin");
  await other.query("select count(*) from app.sessions");
  const first = await runCleanup(url, yaml(), { APITOKEN_CLEANUP_LOCK_TIMEOUT: "200ms" });
  expect(first.exitCode).toBe(0);
  expect(first.report.targets[1]?.partitions.kept[0]?.reason).toContain("other sessions use it");
  await other.end();

  const next = await runCleanup(url, yaml());
  expect(next.exitCode).toBe(0);
  expect(next.report.targets[1]?.partitions.dropped.map(({ name }) => name)).toContain("app.sessions_2001");
  expect(await tables()).toEqual(["sessions", "sessions_now"]);
  expect(await findAll(url, "select count(*) from apitoken.detached_partitions")).toEqual(["0"]);
});

test("a detach that kill -9 has interrupted is finished by the next run", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query("begin");
  await other.query("select count(*) from app.sessions");
  const program = startCleanup(url, yaml(), { APITOKEN_CLEANUP_LOCK_TIMEOUT: "1h" });
  await eventually(() => isTrue(url, "exists (select from pg_inherits where inhdetachpending)"));
  program.process.kill("SIGKILL");
  await program.ended;
  await execute(
    url,
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cleanup' and datname = current_database()",
  );
  await other.end();
  await eventually(() =>
    isTrue(
      url,
      "not exists (select from pg_stat_activity where application_name = 'cleanup' and datname = current_database())",
    ),
  );
  expect(await isTrue(url, "exists (select from pg_inherits where inhdetachpending)")).toBe(true);

  const next = await runCleanup(url, yaml());
  expect(next.exitCode).toBe(0);
  expect(await tables()).toEqual(["sessions", "sessions_now"]);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["30"]);
});

test("what a person has begun to detach is left to that person", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  const other = new pg.Client({ connectionString: url });
  await other.connect();
  await other.query("begin");
  await other.query("select count(*) from app.sessions");
  const person = new pg.Client({ connectionString: url, statement_timeout: 500 });
  await person.connect();
  await expect(
    person.query("alter table app.sessions detach partition app.sessions_2001 concurrently"),
  ).rejects.toMatchObject({ code: "57014" });
  await Promise.all([person.end(), other.end()]);

  const { exitCode, report } = await runCleanup(url, yaml());
  expect(exitCode).toBe(0);
  expect(report.targets[1]?.partitions.kept[0]).toEqual({
    name: "app.sessions_2001",
    reason: "somebody else is detaching it",
  });
  expect(await findAll(url, "select count(*) from app.sessions_2001")).toEqual(["100"]);
});

test("a partition that a run has recorded but not detached belongs to its owner: if detached later, it is not dropped", async () => {
  await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
  await execute(
    url,
    `insert into apitoken.detached_partitions (relation, partition_name, target)
     values ('app.sessions_now'::regclass, 'app.sessions_now', 'app.sessions')`,
  );
  expect((await runCleanup(url, yaml())).exitCode).toBe(0);
  await asOwner("alter table app.sessions detach partition app.sessions_now");
  expect((await runCleanup(url, yaml())).exitCode).toBe(0);
  expect(await findAll(url, "select count(*) from app.sessions_now")).toEqual(["30"]);
});

test.each(["summary", "rows"])(
  "a partition that was detached before the kill, and not dropped, is dropped by the next run; audit %s",
  async (audit) => {
    await asOwner(`${SESSIONS} partition by range (expires_at)`, ...PARTITIONS, ROWS);
    await execute(
      url,
      `insert into apitoken.detached_partitions (relation, partition_name, target)
     values ('app.sessions_2001'::regclass, 'app.sessions_2001', 'app.sessions'), (1, 'app.gone', 'app.sessions')`,
      "alter table app.sessions detach partition app.sessions_2001",
      "analyze app.sessions_2001",
      "delete from app.sessions_2001 where id > 90",
    );
    const { exitCode, report } = await runCleanup(url, yaml(`, audit: ${audit}, key: [id]`));
    expect(exitCode).toBe(0);
    expect(report.targets[1]?.partitions.dropped.map(({ name }) => name)).toEqual([
      "app.sessions_2001",
      "app.sessions_2002",
    ]);
    expect(await tables()).toEqual(["sessions", "sessions_now"]);
    expect(await findAll(url, "select count(*) from apitoken.detached_partitions")).toEqual(["0"]);
    expect(await findAll(url, "select sum(rows) from apitoken.cleaned_batches")).toEqual(["160"]);
    expect(await findAll(url, "select deleted from apitoken.cleanup_runs")).toEqual(["160"]);
    expect(await findAll(url, "select count(*) from apitoken.cleaned_rows")).toEqual([audit === "rows" ? "160" : "0"]);
  },
);
