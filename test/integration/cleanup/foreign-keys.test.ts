import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { isTrue, runCleanup } from "./program.ts";
import { confirmed, createSessions, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

let url: string;
const YAML = "targets: [{ table: app.sessions, expiresAt: expires_at, audit: rows }]";
const run = (...args: string[]) => runCleanup(url, ["-o", "json", "--config", writeConfig(YAML), ...args]);

beforeEach(async () => {
  url = await createTestDatabase();
  await createSessions(url, 100);
});

test("rows that are deleted by a cascade are counted", async () => {
  await execute(
    url,
    "create table app.uses (session bigint references app.sessions on delete cascade)",
    "insert into app.uses select n % 300 + 1 from generate_series(1, 900) n",
    ...GRANT_APP,
  );
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at, cascade: [app.uses] }]";
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(yaml)]);
  expect(exitCode).toBe(0);
  expect(report.targets[1]).toMatchObject({
    cascades: [{ table: "app.uses", rows: 300, total: 900 }],
    deleted: { expired: 100, revoked: 0, cascaded: 300, taken: { "app.uses": 300 } },
  });
  expect(await findAll(url, "select count(*) from app.uses")).toEqual(["600"]);
});

test.each(["restrict", "no action"])(
  "with ON DELETE %s, dead rows that are referred to stay and are reported",
  async (action) => {
    await execute(
      url,
      `create table app.logins (session bigint references app.sessions on delete ${action})`,
      "insert into app.logins values (7), (7), (42), (250)",
      ...GRANT_APP,
    );
    const dry = await run("--dry-run");
    expect(dry.report.targets[1]?.before).toMatchObject({ due: { expired: 98 }, held: 2 });
    const { exitCode, report } = await run();
    expect(exitCode).toBe(0);
    expect(report.targets[1]).toMatchObject({ deleted: { expired: 98 }, after: { due: { expired: 0 }, held: 2 } });
    expect(await findAll(url, "select id from app.sessions where id <= 100")).toEqual(["42", "7"]);

    const text = await runCleanup(url, ["--config", writeConfig(YAML)]);
    expect(text.stdout).toContain("held: dead rows that stay, because of rows that refer to them");
  },
);

test("rows that nothing refers to any more, because another target has been cleaned before, go in the same run", async () => {
  await execute(
    url,
    "create table app.logins (id bigint primary key, expires_at timestamptz, session bigint references app.sessions)",
    "insert into app.logins select n, now() - n * interval '1 minute' - interval '9 days', n from generate_series(1, 100) n",
    ...GRANT_APP,
  );
  const yaml = `targets: [
    { table: app.logins, expiresAt: expires_at, firstRunMaxFraction: 1, maxFraction: 1 },
    { table: app.sessions, expiresAt: expires_at }]`;
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(yaml)]);
  expect(report.targets.map(({ before, deleted }) => [before?.held, deleted.expired])).toEqual([
    [0, 0],
    [0, 100],
    [100, 100],
  ]);
  expect(exitCode, report.message).toBe(0);
});

test("ON DELETE SET NULL sets null", async () => {
  await execute(
    url,
    "create table app.logins (session bigint references app.sessions on delete set null)",
    "insert into app.logins values (7), (250)",
    ...GRANT_APP,
  );
  expect((await run()).exitCode).toBe(0);
  expect(await findAll(url, "select coalesce(session, 0) from app.logins")).toEqual(["0", "250"]);
});

test("foreign keys that are not enforced change nothing, as Postgres does nothing because of them", async ({
  skip,
}) => {
  skip(await isTrue(url, "current_setting('server_version_num')::integer < 180000"));
  await execute(
    url,
    "create table app.uses (session bigint references app.sessions on delete cascade not enforced)",
    "create table app.logins (session bigint references app.sessions not enforced)",
    "insert into app.uses values (7), (250)",
    "insert into app.logins values (8), (250)",
    "grant usage on schema app to apitoken_cleanup",
    "grant select, delete, update on app.sessions to apitoken_cleanup",
  );
  const validated = await runCleanup(url, ["validate", "--config", writeConfig(YAML)]);
  expect(validated.exitCode, validated.stdout).toBe(0);
  expect(validated.stdout).not.toMatch(/app\.uses|app\.logins/);
  const { exitCode, report } = await run();
  expect(exitCode, report.message).toBe(0);
  expect(report.targets[1]).toMatchObject({ cascades: [], deleted: { expired: 100 }, after: { held: 0 } });
  expect(await findAll(url, "select session from app.uses union all select session from app.logins")).toHaveLength(4);
});

test("a partitioned table to which a foreign key that is not enforced refers is emptied, as Postgres detaches nothing", async ({
  skip,
}) => {
  skip(await isTrue(url, "current_setting('server_version_num')::integer < 180000"));
  await execute(
    url,
    "create schema own authorization apitoken_cleanup",
    "create table own.parts (at timestamptz primary key) partition by range (at)",
    "create table own.old partition of own.parts for values from ('2001-01-01') to ('2002-01-01')",
    "insert into own.parts select timestamptz '2001-06-01' + n * interval '1 hour' from generate_series(1, 20) n",
    "create table app.uses (at timestamptz references own.parts not enforced)",
    "insert into app.uses select at from own.parts",
    "alter table own.parts owner to apitoken_cleanup",
    "alter table own.old owner to apitoken_cleanup",
  );
  const config = writeConfig("targets: [{ table: own.parts, expiresAt: at, firstRunMaxFraction: 1, maxFraction: 1 }]");
  const validated = await runCleanup(url, ["validate", "--config", config]);
  expect(validated.stdout).toContain("other tables refer to it: its dead partitions are emptied row by row");
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", config]);
  expect(exitCode, report.message).toBe(0);
  expect(report.targets[1]).toMatchObject({ deleted: { expired: 20 } });
});

test.each(["no action", "restrict", "cascade"])(
  "validate says that rows which refer to each other on delete %s go together",
  async (action) => {
    await execute(url, `alter table app.sessions add parent bigint references app.sessions on delete ${action}`);
    const { stdout } = await runCleanup(url, ["validate", "--config", writeConfig(YAML)]);
    expect(stdout).toContain(
      `note: app.sessions (parent) refers to it by sessions_parent_fkey on delete ${action}: ` +
        "rows go together, and stay as long as one of them is not due\n",
    );
    expect(stdout).not.toContain("counted as held");
  },
);

test("validate says what rows do that refer to each other in a table behind a cascade", async () => {
  await execute(
    url,
    "create table app.uses (id bigint primary key, session bigint references app.sessions on delete cascade, parent bigint references app.uses)",
    ...GRANT_APP,
  );
  const config = writeConfig(YAML.replace("audit: rows", "cascade: [app.uses]"));
  const { stdout } = await runCleanup(url, ["validate", "--config", config]);
  expect(stdout).toContain(
    "warning: app.uses (parent) refers to app.uses by uses_parent_fkey on delete no action: " +
      "its rows go together, and what they would go with is counted as held if one of them would be left\n",
  );
});

test("sessions that refer to the newest of their own tokens go with their tokens, unless one of these is live", async () => {
  await execute(
    url,
    "create table app.tokens (id bigint primary key, session bigint not null references app.sessions on delete cascade, expires_at timestamptz)",
    "insert into app.tokens select id, id, expires_at from app.sessions",
    "insert into app.tokens select id + 1000, id, now() - interval '20 days' - id * interval '1 ms' from app.sessions",
    "alter table app.sessions add token bigint references app.tokens",
    "update app.sessions set token = id",
    "update app.tokens set expires_at = now() + interval '1 day' where id = 5",
    ...GRANT_APP,
  );
  const yaml = `targets: [
    { table: app.tokens, expiresAt: expires_at, firstRunMaxFraction: 1 },
    { table: app.sessions, expiresAt: expires_at, cascade: [app.tokens] }]`;
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(confirmed(yaml))]);
  expect(exitCode, report.message).toBe(0);
  expect(report.targets.map(({ deleted, after }) => [deleted.expired, after?.held])).toEqual([
    [0, 0],
    [300, 99],
    [99, 1],
  ]);
  expect(await findAll(url, "select id from app.sessions where id <= 100")).toEqual(["5"]);
  expect(await findAll(url, "select id from app.tokens where id <= 100 or id > 1000")).toEqual(["5"]);
  expect(await findAll(url, "select count(*) from app.tokens")).toEqual(["201"]);
});

test("one table that cannot be cleaned does not keep the others from being cleaned", async () => {
  await execute(
    url,
    "create function app.refuse() returns trigger language plpgsql as $$ begin raise exception 'not this one'; end $$",
    "create trigger refuse before delete on app.sessions for each row execute function app.refuse()",
    "create table app.others (id integer primary key, expires_at timestamptz)",
    "insert into app.others values (1, now() - interval '30 days')",
    ...GRANT_APP,
  );
  const yaml =
    "targets: [{ table: app.sessions, expiresAt: expires_at }, { table: app.others, expiresAt: expires_at }]";
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", writeConfig(confirmed(yaml))]);
  expect(exitCode).toBe(1);
  expect(report.targets.map(({ outcome }) => outcome)).toEqual(["succeeded", "failed", "succeeded"]);
  expect(report.message).toContain(
    "app.sessions: 100 rows cannot be deleted, the last one because function app.refuse",
  );
  expect(report.message).not.toContain("not this one"); // such a message may contain what is in the row
  expect(await findAll(url, "select count(*) from app.others")).toEqual(["0"]);
});
