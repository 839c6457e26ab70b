import { expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { isTrue, runCleanup } from "./program.ts";
import { confirmed, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/** One row per block, a little more than 1 GiB: tables of that size are not scanned for the sake of a few rows. */
const ROWS = 132_000;

const YAML = "targets: [{ table: app.wide, expiresAt: expires_at, revokedAt: revoked_at, audit: rows }]";

test("the few dead rows of a large table are found through indexes: it is neither scanned nor counted, and only sampled before its first run", async () => {
  const url = await createTestDatabase();
  await execute(
    url,
    "create schema app",
    "create table app.wide (id integer primary key, filler text, expires_at timestamptz, revoked_at timestamptz) with (fillfactor = 10, autovacuum_enabled = off)",
    "alter table app.wide alter filler set storage plain",
    `insert into app.wide select n, repeat('x', 900), case when n % 10 = 0 then now() - interval '8 days' else now() + interval '1 day' end - n * interval '1 ms',
       case when n % 100 = 1 then now() - interval '9 days' - n * interval '1 ms' end from generate_series(1, ${ROWS}) n`,
    "create index on app.wide (expires_at)",
    "create index on app.wide (revoked_at) where revoked_at is not null",
    "vacuum (analyze) app.wide",
    ...GRANT_APP,
  );
  expect(await isTrue(url, "pg_relation_size('app.wide') > 2 ^ 30")).toBe(true);
  const scans = () => findAll(url, "select seq_scan + seq_tup_read from pg_stat_user_tables where relname = 'wide'");
  const [unseen] = await scans();
  const first = await runCleanup(url, ["--dry-run", "--config", writeConfig(YAML)]);
  expect(first.exitCode, first.stdout).toBe(0);
  const before = await scans();
  expect(Number(before[0]) - Number(unseen)).toBeLessThan(ROWS); // before a first run, a sample for each of the two times
  const config = writeConfig(confirmed(YAML));
  const { exitCode, report } = await runCleanup(url, ["-o", "json", "--config", config]);
  expect(exitCode).toBe(0);
  const expired = ROWS / 10;
  const revoked = ROWS / 100;
  expect(report.targets[1]).toMatchObject({
    before: { isEstimate: true, due: { expired, revoked } },
    deleted: { expired, revoked },
    after: { due: { expired: 0, revoked: 0 } },
  });
  expect(await scans()).toEqual(before);
  expect(await findAll(url, "select count(*) from app.wide where expires_at > now() and revoked_at is null")).toEqual([
    String(ROWS - expired - revoked),
  ]);
  expect(await findAll(url, "select count(distinct row_key) from apitoken.cleaned_rows")).toEqual([
    String(expired + revoked),
  ]);
});
