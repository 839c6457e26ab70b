import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
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
