import pg from "pg";
import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { findCleaned, findNames, findRuns, insertTokens, isTrue, runCleanup } from "./program.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
});

const KINDS = [...Object.entries(DUE), ...Object.entries(KEPT)];
const oneOfEach = (count: number) => KINDS.map(([prefix, times]) => ({ prefix, count, ...times }));
const namesOf = (prefixes: readonly string[], count: number) =>
  prefixes.flatMap((prefix) => Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`)).sort();

test("exactly the dead rows past their retention are deleted, and each is in the audit trail", async () => {
  await insertTokens(url, oneOfEach(30));
  const { exitCode, report } = await runCleanup(url, ["-o", "json"]);

  expect(exitCode).toBe(0);
  expect(await findNames(url)).toEqual(namesOf(Object.keys(KEPT), 30));
  const cleaned = await findCleaned(url);
  expect(cleaned.map(({ name }) => name).sort()).toEqual(namesOf(Object.keys(DUE), 30));
  expect(new Set(cleaned.map(({ name, reason }) => `${name.split("-")[0]} ${reason}`))).toEqual(
    new Set(["expired Expired", "revoked Revoked"]),
  );
  expect(new Set(cleaned.map(({ actor }) => actor))).toEqual(new Set(["cleanup"]));

  const counts = { total: 180, live: 60, expired: 60, revoked: 60, due: { expired: 30, revoked: 30 } };
  const left = { total: 120, live: 60, expired: 30, revoked: 30, due: { expired: 0, revoked: 0 } };
  expect(report).toMatchObject({
    outcome: "succeeded",
    isDryRun: false,
    targets: [{ table: "apitoken.tokens", before: counts, after: left, deleted: { expired: 30, revoked: 30 } }],
  });
  const [run, ...others] = await findRuns(url);
  expect(others).toEqual([]);
  expect(run).toMatchObject({ id: report.runId, outcome: "succeeded", deleted: "60", error: null });
  expect(run?.finished_at).toBeInstanceOf(Date);
  expect(run?.targets).toEqual(JSON.parse(JSON.stringify(report.targets)));
});

test("the configured retentions apply, and each counts from the row's own death", async () => {
  await insertTokens(url, [
    { prefix: "expired-before", count: 2, expires: "-61 minutes" },
    { prefix: "expired-after", count: 2, expires: "-59 minutes" },
    { prefix: "revoked-before", count: 2, expires: "1 day", revoked: "-121 minutes" },
    { prefix: "revoked-after", count: 2, expires: "1 day", revoked: "-119 minutes" },
    { prefix: "revoked-after-it-had-expired", count: 2, expires: "-50 minutes", revoked: "-1 minute" },
  ]);
  const { exitCode } = await runCleanup(url, [], {
    APITOKEN_CLEANUP_RETENTION_EXPIRED: "1h",
    APITOKEN_CLEANUP_RETENTION_REVOKED: "2h",
  });
  expect(exitCode).toBe(0);
  expect(await findNames(url)).toEqual(namesOf(["expired-after", "revoked-after", "revoked-after-it-had-expired"], 2));
});

test.each(["America/St_Johns", "Asia/Shanghai", "Pacific/Kiritimati"])(
  "to the minute in time zone %s, whatever way times are written there",
  async (zone) => {
    const defaults = { timezone: zone, datestyle: "SQL, DMY", default_transaction_isolation: "serializable" };
    for (const [setting, value] of Object.entries(defaults)) {
      await runAsSuperuser(url, `alter database ${new URL(url).pathname.slice(1)} set ${setting} = '${value}'`);
    }
    await insertTokens(url, [
      { prefix: "past", count: 5, expires: "-7 days -1 minute" },
      { prefix: "not-yet", count: 5, expires: "-7 days 1 minute" },
      { prefix: "live", count: 5, expires: "1 minute" },
    ]);
    const { exitCode, report } = await runCleanup(url, ["-o", "json"], { TZ: "Pacific/Pago_Pago", PGTZ: zone });
    expect(exitCode).toBe(0);
    const oldestMinutes = (Date.now() - Date.parse(String(report.targets[0]?.before?.oldestDeadAt))) / 60_000;
    expect(oldestMinutes).toBeCloseTo(7 * 24 * 60 + 1, 0);
    expect(await findNames(url)).toEqual(namesOf(["live", "not-yet"], 5));
  },
);

test("a dry run's numbers are those of the real run, and it writes nothing at all", async () => {
  await insertTokens(url, oneOfEach(20));
  await runAsSuperuser(
    url,
    `create table apitoken.security_events_2020_01 partition of apitoken.security_events
       for values from ('2020-01-01+00') to ('2020-02-01+00');
     insert into apitoken.security_events (event, actor, occurred_at) values ('Old', 'test', '2020-01-15+00')`,
  );
  const written = () =>
    runAsSuperuser(
      url,
      `select (select count(*) from apitoken.tokens) as tokens, (select count(*) from apitoken.security_events) as events,
              (select count(*) from apitoken.cleanup_runs) as runs,
              (select count(*) from pg_inherits where inhparent = 'apitoken.security_events'::regclass) as partitions`,
    );
  const untouched = await written();
  const dry = await runCleanup(url, ["--dry-run", "-o", "json"]);
  expect(dry.exitCode).toBe(0);
  expect(await written()).toEqual(untouched);

  const real = await runCleanup(url, ["-o", "json"]);
  expect(real.report.targets[0]?.deleted).toMatchObject({ ...dry.report.targets[0]?.before?.due });
  expect(real.report.targets[0]?.before).toEqual(dry.report.targets[0]?.before);
  expect(real.report.auditPartitions.emptied).toEqual(dry.report.auditPartitions.emptied);
  expect(dry.report.auditPartitions.emptied).toEqual(["security_events_2020_01"]);
});

test("more than the cap: refused with exit code 3, and nothing is deleted", async () => {
  await insertTokens(url, [
    { prefix: "dead", count: 1_900, ...DUE.expired },
    { prefix: "live", count: 100, ...KEPT.live },
  ]);
  const refused = await runCleanup(url);
  expect(refused.exitCode).toBe(3);
  expect(refused.stdout).toContain("1900 of 2000 rows of apitoken.tokens (95 %) would be deleted");
  expect(await findNames(url)).toHaveLength(2_000);
  expect(await findCleaned(url)).toEqual([]);
  expect(await findRuns(url)).toMatchObject([{ outcome: "refused", deleted: "0" }]);

  const allowed = await runCleanup(url, ["--max-fraction", "0.95"]);
  expect(allowed.exitCode).toBe(0);
  expect(await findNames(url)).toHaveLength(100);
});

test("a summary in the audit trail matches what was deleted", async () => {
  await insertTokens(url, oneOfEach(40));
  await runCleanup(url, [], { APITOKEN_CLEANUP_AUDIT: "summary" });
  const events = await runAsSuperuser<{ run: string; expired: number; revoked: number }>(
    url,
    `select run::text, sum(rows) filter (where reason = 'Expired')::integer as expired,
            sum(rows) filter (where reason = 'Revoked')::integer as revoked
     from apitoken.cleaned_batches group by 1`,
  );
  expect(events).toEqual([{ run: (await findRuns(url))[0]?.id, expired: 40, revoked: 40 }]);
  expect(await findCleaned(url)).toEqual([]);
});

test("without audit only the run's record says how many were deleted", async () => {
  await insertTokens(url, oneOfEach(40));
  await runCleanup(url, [], { APITOKEN_CLEANUP_AUDIT: "none" });
  expect(await runAsSuperuser(url, "select from apitoken.cleaned_batches")).toEqual([]);
  expect(await findRuns(url)).toMatchObject([{ deleted: "80" }]);
});

test("the audit trail has partitions three months ahead, and no event past its retention", async () => {
  const partitions = async () =>
    (
      await runAsSuperuser<{ name: string }>(
        url,
        `select inhrelid::regclass::text as name from pg_inherits
         where inhparent = 'apitoken.security_events'::regclass order by 1`,
      )
    ).map(({ name }) => name.slice(-7));
  const expected = await partitions();
  const [furthest] = await runAsSuperuser<{ name: string }>(
    url,
    "select to_char(now() at time zone 'UTC' + interval '3 months', 'YYYY_MM') as name",
  );
  expect(expected.at(-1)).toBe(furthest?.name);
  await runAsSuperuser(url, `drop table apitoken.security_events_${furthest?.name}`);
  await runAsSuperuser(
    url,
    `create table apitoken.security_events_2020_01 partition of apitoken.security_events
       for values from ('2020-01-01+00') to ('2020-02-01+00');
     insert into apitoken.security_events (event, actor, occurred_at) values ('Old', 'test', '2020-01-15+00');
     drop table apitoken.token_usage_${furthest?.name};
     create table apitoken.token_usage_2020_01 partition of apitoken.token_usage
       for values from ('2020-01-01') to ('2020-02-01');
     insert into apitoken.token_usage values ('aaaaaaaaaaaa', '2020-01-15', 'Good', 1), ('aaaaaaaaaaaa', (now() at time zone 'UTC')::date, 'Good', 2)`,
  );
  const { report } = await runCleanup(url, ["-o", "json"]);
  expect(await partitions()).toEqual(["2020_01", ...expected]);
  expect(report.auditPartitions).toEqual({
    created: [`security_events_${furthest?.name}`, `token_usage_${furthest?.name}`],
    emptied: ["security_events_2020_01", "token_usage_2020_01"],
  });
  expect(await runAsSuperuser(url, "select uses from apitoken.token_usage")).toEqual([{ uses: "2" }]);
  expect(await runAsSuperuser(url, "select from apitoken.security_events where event = 'Old'")).toEqual([]);
  const again = await runCleanup(url, ["-o", "json"]);
  expect(again.report.auditPartitions).toEqual({ created: [], emptied: [] });
  // The controller drops it.
  await runAsSuperuser(
    url,
    "set role apitoken_controller; select apitoken.drop_empty_partitions(t) from unnest(array['security_events', 'token_usage']) t",
  );
  expect(await partitions()).toEqual(expected);
  expect(await runAsSuperuser(url, "select to_regclass('apitoken.token_usage_2020_01') as old")).toEqual([
    { old: null },
  ]);
});

test("after a run that deleted much, the table is vacuumed if the role may; otherwise the report says why not", async () => {
  const kinds = [
    { prefix: "dead", count: 10_000, ...DUE.expired },
    { prefix: "live", count: 5_000, ...KEPT.live },
  ];
  await insertTokens(url, kinds);
  const knowsMaintain = await isTrue(url, "current_setting('server_version_num')::integer >= 170000");
  if (knowsMaintain) {
    await runAsSuperuser(url, "grant maintain on apitoken.tokens to apitoken_cleanup");
    expect((await runCleanup(url, ["-o", "json"])).report.targets[0]?.vacuum).toBe("done");
    await runAsSuperuser(url, "delete from apitoken.tokens");
    await insertTokens(url, kinds);
    await runAsSuperuser(url, "revoke maintain on apitoken.tokens from apitoken_cleanup");
  }
  const { exitCode, report } = await runCleanup(url, ["-o", "json"]);
  expect(exitCode).toBe(0);
  expect(report.targets[0]?.vacuum).toBe("not permitted to this role; autovacuum will do it");
});

test("the rows of a large table are deleted in several batches, and nobody is notified", async () => {
  await insertTokens(url, [
    { prefix: "dead", count: 30_000, ...DUE.expired },
    { prefix: "live", count: 30_000, ...KEPT.live },
  ]);
  const listener = new pg.Client({ connectionString: url });
  await listener.connect();
  const heard: string[] = [];
  listener.on("notification", ({ payload }) => heard.push(payload ?? ""));
  await listener.query("listen apitoken_changed");

  const { report } = await runCleanup(url, ["-o", "json"], { APITOKEN_CLEANUP_BATCH_TARGET: "10ms" });
  await runAsSuperuser(url, "notify apitoken_changed, 'the end'");
  await eventually(() => heard.includes("the end"));
  await listener.end();

  expect(heard).toEqual(["the end"]);
  expect(report.targets[0]?.batches).toBeGreaterThan(5);
  expect(await findNames(url)).toHaveLength(30_000);
  const cleaned = await findCleaned(url);
  expect(new Set(cleaned.map(({ token_id }) => token_id)).size).toBe(30_000);
  expect(cleaned).toHaveLength(30_000);
});
