import { afterEach, beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createLogin, createTestDatabase, type TestLogin } from "../../support/database.ts";
import { pgbouncer, startPgBouncer } from "../../support/pgbouncer.ts";
import { runCleanup } from "./program.ts";
import { execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/* A login's settings and a pooler can change what a session does. What a run stands on holds all the same, or the run is refused. */

let url: string;
let login: TestLogin;

/** A trigger records the settings with which rows are deleted. */
beforeEach(async () => {
  url = await createTestDatabase();
  login = await createLogin(url, "apitoken_cleanup");
  await execute(
    url,
    "create schema app",
    "create table app.t (id bytea primary key, expires_at timestamptz)",
    `insert into app.t select int4send(n), now() + (case when n <= 3 then -9 else 9 end) * interval '1 day' + n * interval '1 minute'
     from generate_series(1, 6) n`,
    "create table app.seen (name text primary key, value text)",
    `create function app.look() returns trigger language plpgsql as $$ begin
       insert into app.seen
       select name, current_setting(name, true) from unnest(array['role', 'apitoken.actor', 'statement_timeout', 'lock_timeout',
         'transaction_timeout', 'idle_session_timeout', 'row_security', 'session_replication_role', 'bytea_output', 'timezone']) name
       on conflict do nothing;
       return old; end $$`,
    "create trigger look before delete on app.t for each row execute function app.look()",
    ...GRANT_APP,
    "grant insert on app.seen to apitoken_cleanup",
  );
});
afterEach(() => runAsSuperuser(url, `drop role ${login.name}`));

const YAML = "targets: [{ table: app.t, expiresAt: expires_at, audit: rows, auditKeys: plain }]";
const clean = (address: string) => runCleanup(address, ["-o", "json", "--config", writeConfig(YAML)]);
const left = () => findAll(url, "select count(*) from app.t");

async function expectSettings() {
  const seen = await runAsSuperuser<{ name: string; value: string | null }>(url, "select * from app.seen");
  const values = Object.fromEntries(seen.map(({ name, value }) => [name, value]));
  expect(values).toMatchObject({
    role: "apitoken_cleanup",
    "apitoken.actor": "cleanup",
    statement_timeout: "5min",
    idle_session_timeout: "0",
    row_security: "on",
    session_replication_role: "origin",
    bytea_output: "hex",
    timezone: "UTC",
  });
  expect(["0", null]).toContain(values.transaction_timeout);
}

const SETTINGS = {
  statement_timeout: "3s",
  lock_timeout: "1ms",
  idle_in_transaction_session_timeout: "1ms",
  idle_session_timeout: "1s",
  row_security: "off",
  search_path: '"no such schema"',
  timezone: "Asia/Tokyo",
  datestyle: "SQL, DMY",
  intervalstyle: "sql_standard",
  bytea_output: "escape",
  extra_float_digits: "-15",
  standard_conforming_strings: "off",
  default_transaction_isolation: "serializable",
};

test("no setting of the login ends or changes a run", async () => {
  const known = await findAll(url, "select name from pg_settings where name = 'transaction_timeout'");
  const settings = { ...SETTINGS, ...(known.length > 0 ? { transaction_timeout: "1s" } : {}) };
  for (const [name, value] of Object.entries(settings)) {
    await execute(url, `alter role ${login.name} set ${name} to ${name === "search_path" ? value : `'${value}'`}`);
  }
  const result = await clean(login.url);
  expect(result.exitCode, result.stderr).toBe(0);
  expect(result.report.targets[1]).toMatchObject({ outcome: "succeeded", deleted: { expired: 3 } });
  expect(await left()).toEqual(["3"]);
  await expectSettings();
  expect(await findAll(url, "select row_key from apitoken.cleaned_rows where table_name = 'app.t'")).toEqual([
    "\\x00000001",
    "\\x00000002",
    "\\x00000003",
  ]);
});

test.each(["replica", "local"])(
  "with session_replication_role = %s nothing is deleted, and the message names it",
  async (value) => {
    await execute(url, `alter role ${login.name} set session_replication_role to '${value}'`);
    const { exitCode, stdout, stderr } = await clean(login.url);
    expect(exitCode).toBe(1);
    expect(stdout + stderr).toContain(`session_replication_role = ${value}`);
    expect(await left()).toEqual(["6"]);
  },
);

test("with default_transaction_read_only nothing is deleted, and the message names it", async () => {
  await execute(url, `alter role ${login.name} set default_transaction_read_only to on`);
  const { exitCode, stdout } = await clean(login.url);
  expect(exitCode).toBe(1);
  expect(stdout).toContain("set default_transaction_read_only to off");
  expect(await left()).toEqual(["6"]);
});

test.skipIf(pgbouncer === undefined)(
  "through PgBouncer in session mode, role, time-outs and actor are those of a run without it",
  async ({ onTestFinished }) => {
    const bouncer = await startPgBouncer(url, "session");
    onTestFinished(() => bouncer.stop());
    const { exitCode, stderr } = await clean(bouncer.url);
    expect(exitCode, stderr).toBe(0);
    expect(await left()).toEqual(["3"]);
    await expectSettings();
    const actors = await findAll(url, "select distinct actor from apitoken.cleaned_batches where table_name = 'app.t'");
    expect(actors).toEqual(["cleanup"]);
  },
);

test.skipIf(pgbouncer === undefined).for(["transaction", "statement"] as const)(
  "through PgBouncer in %s mode, the run is refused: nothing is deleted, and no lock is left",
  async (mode, { onTestFinished }) => {
    const bouncer = await startPgBouncer(url, mode);
    onTestFinished(() => bouncer.stop());
    for (const args of [[], ["--dry-run"], ["validate"]]) {
      const { exitCode, stdout, stderr } = await runCleanup(bouncer.url, [...args, "--config", writeConfig(YAML)]);
      expect(exitCode).toBe(1);
      expect(stdout + stderr).toContain("APITOKEN_E_SESSION_LOST");
    }
    expect(await left()).toEqual(["6"]);
    const locks = `select count(*) from pg_locks l join pg_database d on d.oid = l.database
                   where l.locktype = 'advisory' and d.datname = current_database()`;
    expect(await findAll(url, locks)).toEqual(["0"]);
    expect((await clean(url)).exitCode).toBe(0);
  },
);
