import { existsSync, readdirSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { type PostgresServer, runAsSuperuser, startPostgres } from "../../../local/postgres-server.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { findCleaned, findNames, insertTokens, runCleanup } from "../cleanup/program.ts";
import { confirmed, createAppOwner, execute, findAll, writeConfig } from "../cleanup/team-table.ts";

/** Where Debian and its derivatives install each version of Postgres. */
const FOLDER = "/usr/lib/postgresql";

const installed = (existsSync(FOLDER) ? readdirSync(FOLDER) : []).filter(
  (version) => Number(version) >= 14 && existsSync(`${FOLDER}/${version}/bin/initdb`),
);

if (installed.length === 0) test.skip(`no other Postgres is installed in ${FOLDER}: only the embedded one was tested`);

async function start(version: string): Promise<PostgresServer> {
  const postgres = await startPostgres({ bin: `${FOLDER}/${version}/bin` });
  onTestFinished(() => postgres.stop());
  return postgres;
}

test.each(installed)("on Postgres %s migrations and cleanup work as on any other version", async (version) => {
  const postgres = await start(version);
  const url = await postgres.createDatabase("tokens");
  expect((await migrate({ url })).length).toBeGreaterThan(0);
  expect(await migrate({ url })).toEqual([]);
  const [server] = await runAsSuperuser<{ major: string }>(
    url,
    "select (current_setting('server_version_num')::integer / 10000)::text as major",
  );
  expect(server?.major).toBe(version);

  await insertTokens(url, [
    { prefix: "dead", count: 12_000, ...DUE.expired },
    { prefix: "revoked", count: 10, ...DUE.revoked },
    { prefix: "live", count: 3_000, ...KEPT.live },
  ]);
  await createAppOwner(url);
  await execute(
    url,
    ...[
      "create table app.sessions (id integer, expires_at timestamptz, primary key (id, expires_at)) partition by range (expires_at)",
      "create table app.sessions_2001 partition of app.sessions for values from ('2001-01-01+00') to ('2002-01-01+00')",
      "create table app.sessions_now partition of app.sessions for values from ('2002-01-01+00') to ('2101-01-01+00')",
      "insert into app.sessions select n, timestamptz '2001-06-01+00' from generate_series(1, 50) n",
      "insert into app.sessions select n, timestamptz '2002-06-01+00' from generate_series(51, 60) n",
      "insert into app.sessions select n, now() + interval '1 day' from generate_series(61, 90) n",
    ].map((sql) => `set role app_owner; ${sql}`),
  );
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at, audit: rows }]";
  const config = ["--config", writeConfig(confirmed(yaml))];

  expect((await runCleanup(url, ["validate", ...config])).exitCode).toBe(0);
  const dry = await runCleanup(url, ["--dry-run", "-o", "json", ...config]);
  expect(dry.exitCode, dry.stdout).toBe(0);
  expect(dry.report.targets[0]?.before?.due).toEqual({ expired: 12_000, revoked: 10 });
  const { exitCode, report, stderr } = await runCleanup(url, ["-o", "json", ...config]);
  expect(exitCode, stderr).toBe(0);
  expect(report.targets[0]?.vacuum).toBe("not permitted to this role; autovacuum will do it");
  expect(report.targets[1]).toMatchObject({
    deleted: { expired: 10 },
    partitions: { dropped: [{ name: "app.sessions_2001" }] },
    vacuum: "not needed",
  });
  expect(await findNames(url)).toHaveLength(3_000);
  expect(await findCleaned(url)).toHaveLength(12_010);
  expect(await findAll(url, "select count(*) from app.sessions")).toEqual(["30"]);
  expect(
    await findAll(url, "select run from apitoken.find_cleaned('[55, \"2002-06-01T00:00:00+00:00\"]', 'app.sessions')"),
  ).toEqual([report.runId]);
  const [live] = await runAsSuperuser<{ id: string }>(url, "select id from apitoken.tokens limit 1");
  await execute(
    url,
    "set role apitoken_cleanup; select apitoken.delete_dead_tokens(array(select ctid from apitoken.tokens), 'infinity', 'infinity', false)",
  );
  expect(await findAll(url, `select id from apitoken.tokens where id = '${live?.id}'`)).toEqual([live?.id]);
  expect((await runCleanup(url, ["stats", ...config])).exitCode).toBe(0);
});
