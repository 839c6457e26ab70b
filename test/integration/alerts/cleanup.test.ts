import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import {
  expectFiring,
  expectSaid,
  expectTables,
  hasPromtool,
  history,
  lasting,
} from "../../support/alerts/promtool.ts";
import { readAlerts } from "../../support/alerts/rules.ts";
import { type Scrape, scrape } from "../../support/alerts/scrape.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { isSettled, startTestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { DUE, insertTokenRows, KEPT } from "../../support/token-rows.ts";
import { runCleanup } from "../cleanup/program.ts";
import { confirmed, execute, GRANT_APP, writeConfig } from "../cleanup/team-table.ts";

/** The figures of a newly started controller, because a running one queries the cleanup's only twice a minute. */
async function scrapeController(cluster: TestCluster, databaseUrl: string): Promise<Scrape> {
  const controller = await startTestController(cluster, databaseUrl);
  try {
    await eventually(() => isSettled(controller));
    return await scrape(controller);
  } finally {
    await controller.stop();
  }
}

const HOUR = 60;
const DAY = 24 * HOUR;

test.skipIf(!hasPromtool)(
  "a cleanup that has never run, does not keep up, or is late",
  async ({ cluster, databaseUrl }) => {
    await insertTokenRows(databaseUrl, [{ prefix: "first", count: 12_000, ...DUE.expired }]);
    const never = await scrapeController(cluster, databaseUrl);
    await expectFiring(lasting(never, 37 * HOUR), ["ApiTokenCleanupNeverSucceeded"]);

    await insertTokenRows(databaseUrl, [{ prefix: "second", count: 15_000, ...DUE.expired }]);
    expect((await runCleanup(databaseUrl, ["--max-rows", "1", "--max-fraction", "1"])).exitCode).toBe(4);
    const behind = await scrapeController(cluster, databaseUrl);
    await expectFiring(
      history(never.at, { figures: never, minutes: 27 * HOUR }, { figures: behind, minutes: 27 * HOUR }),
      ["ApiTokenCleanupBacklogGrowing", "ApiTokenCleanupNeverSucceeded"],
    );

    expect((await runCleanup(databaseUrl, ["--max-fraction", "1"])).exitCode).toBe(0);
    const done = await scrapeController(cluster, databaseUrl);
    await expectFiring(lasting(done, DAY), []);
    await expectFiring(lasting(done, 37 * HOUR), ["ApiTokenCleanupNotSucceeding"]);
  },
);

test.skipIf(!hasPromtool)("a cleanup that the cap refuses names the table", async ({ cluster, databaseUrl }) => {
  await insertTokenRows(databaseUrl, [
    { prefix: "many", count: 1_500, ...DUE.revoked },
    { prefix: "few", count: 10, ...KEPT.live },
  ]);
  expect((await runCleanup(databaseUrl)).exitCode).toBe(3);
  const past = lasting(await scrapeController(cluster, databaseUrl), 10);
  await expectFiring(past, ["ApiTokenCleanupRefused"]);
  const rule = readAlerts().find(({ alert }) => alert === "ApiTokenCleanupRefused");
  if (rule === undefined) throw new Error("there is no such alert");
  await expectSaid(
    past,
    rule,
    { table: "apitoken.tokens" },
    {
      summary: "The cleanup refused to clean apitoken.tokens",
      description:
        "The last run of the cleanup would have deleted a larger part of apitoken.tokens than the cap allows, or found its rows odd before the first run. Nothing was deleted from it.",
    },
  );
  expect((await runCleanup(databaseUrl, ["--max-fraction", "1"])).exitCode).toBe(0);
});

test.skipIf(!hasPromtool)(
  "a cleanup that fails on one table, refuses another that has waited for long, and in two more leaves rows that are held",
  async ({ cluster, databaseUrl }) => {
    await execute(
      databaseUrl,
      "create schema app",
      "create table app.moved (id integer primary key, ends_at timestamptz)",
      "create table app.refused (id integer primary key, expires_at timestamptz)",
      "insert into app.refused select n, now() - interval '40 days' from generate_series(1, 20) n",
      "create table app.guarded (id integer primary key, expires_at timestamptz)",
      "create function app.refuse() returns trigger language plpgsql as $$ begin raise exception 'no'; end $$",
      "create trigger refuse before delete on app.guarded for each row execute function app.refuse()",
      "insert into app.guarded values (1, now() - interval '40 days'), (2, now() - interval '1 day')",
      "create table app.held (id integer primary key, expires_at timestamptz)",
      "insert into app.held select n, now() - interval '40 days' from generate_series(1, 10001) n",
      "create table app.uses (held integer references app.held)",
      "insert into app.uses select id from app.held",
      "create index on app.uses (held)",
      ...GRANT_APP,
    );
    const targets = ["app.moved", "app.refused", "app.guarded", "app.held"].map((table) => ({
      table,
      expiresAt: "expires_at",
    }));
    const config = writeConfig(confirmed(JSON.stringify({ targets })));
    expect((await runCleanup(databaseUrl, ["--config", config])).exitCode).toBe(1);
    const past = lasting(await scrapeController(cluster, databaseUrl), 70);
    await expectFiring(past, [
      "ApiTokenCleanupFailed",
      "ApiTokenCleanupFallsBehind",
      "ApiTokenCleanupHoldsRows",
      "ApiTokenCleanupRefused",
    ]);
    await expectTables(past, "ApiTokenCleanupFallsBehind", ["app.refused"]);
    await expectTables(past, "ApiTokenCleanupHoldsRows", ["app.held"]);
    const rule = readAlerts().find(({ alert }) => alert === "ApiTokenCleanupFailed");
    if (rule === undefined) throw new Error("there is no such alert");
    await expectSaid(
      past,
      rule,
      { table: "app.moved" },
      {
        summary: "The last run of the cleanup failed",
        description:
          "The last run of the cleanup failed on app.moved. What it deleted before that is in the audit trail, and the next run continues.",
      },
    );
  },
);

test.skipIf(!hasPromtool)(
  "a controller that may not read what the cleanup has recorded",
  async ({ cluster, databaseUrl }) => {
    await runAsSuperuser(databaseUrl, "revoke select on apitoken.cleanup_runs from apitoken_controller");
    await expectFiring(lasting(await scrapeController(cluster, databaseUrl), 30), ["ApiTokenCleanupFiguresMissing"]);
  },
);
