import { setTimeout as delay } from "node:timers/promises";
import pg from "pg";
import { expect } from "vitest";
import { startPostgres } from "../../../local/postgres-server.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { conditionOf, readToken } from "../../support/cluster.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { findEvents, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

/** The tests' database is on a server of its own, which they pause. */
// biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
const test = controllerTest.extend("postgres", { scope: "file" }, async ({}, { onCleanup }) => {
  const postgres = await startPostgres();
  onCleanup(() => postgres.stop());
  return postgres;
});
test.override("databaseUrl", { scope: "file" }, async ({ postgres }) => {
  const url = await postgres.createDatabase("tokens");
  await migrate({ url });
  return url;
});

test("while Postgres is down a deletion waits and shows why, and continues automatically once it is back", async ({
  postgres,
  cluster,
  databaseUrl,
  controller,
}) => {
  const token = await issueToken(cluster, "waits");
  const kept = await issueToken(cluster, "kept");
  const before = await cluster.get("kept");
  await postgres.pause();

  await cluster.delete("waits");
  await untilReason(cluster, "waits", "DatabaseUnavailable");
  expect((await cluster.get("waits"))?.metadata.finalizers).toHaveLength(1);
  expect(readToken(await cluster.getSecret("waits"))).toBe(token);
  expect(await readMetric(controller, "apitoken_database_available")).toBe(0);

  await cluster.apply("new", { owner: "alice" });
  await untilReason(cluster, "new", "DatabaseUnavailable");
  expect(await cluster.getSecret("new")).toBeUndefined();
  expect(await cluster.get("kept")).toEqual(before);

  await postgres.resume();
  await eventually(async () => expect(await cluster.get("waits")).toBeUndefined());
  expect(await cluster.getSecret("waits")).toBeUndefined();
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  expect((await findEvents(databaseUrl, "waits")).at(-1)).toMatchObject({ reason: "ResourceDeleted" });

  await untilReady(cluster, "new");
  expect(readToken(await cluster.getSecret("kept"))).toBe(kept);
  expect(await verifies(cluster, databaseUrl, kept)).toBe(true);
  expect(await findRows(databaseUrl, "kept")).toHaveLength(1);
});

test("a controller that starts while Postgres is down begins to work once it is back", async ({
  postgres,
  cluster,
  controller,
}) => {
  const token = await issueToken(cluster, "later");
  await controller.stop();
  await postgres.pause();
  await controller.restart();
  await cluster.apply("during", { owner: "alice" });
  await untilReason(cluster, "during", "DatabaseUnavailable");
  expect(conditionOf(await cluster.get("later"), "Ready")?.status).toBe("True");
  await postgres.resume();
  await untilReady(cluster, "during");
  await eventually(() => isIdle(controller));
  expect(readToken(await cluster.getSecret("later"))).toBe(token);
});

test("connections that are cut in the middle of work do no harm", async ({ cluster, databaseUrl }) => {
  const names = Array.from({ length: 40 }, (_, index) => `cut-${index}`);
  const [cut] = await Promise.all([
    cutConnections(databaseUrl, 60),
    ...names.map((name) => cluster.apply(name, { owner: "alice" })),
  ]);
  expect(cut).toBeGreaterThan(60);
  for (const name of names) {
    await untilReady(cluster, name);
    expect((await findRows(databaseUrl, name)).filter((row) => row.is_live)).toHaveLength(1);
    expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret(name)))).toBe(true);
  }
});

/** Cuts all connections of controllers that many times, 50 ms apart; returns how many were cut. */
async function cutConnections(databaseUrl: string, times: number): Promise<number> {
  const client = new pg.Client({ connectionString: databaseUrl });
  await client.connect();
  let cut = 0;
  for (let round = 0; round < times; round += 1) {
    const { rowCount } = await client.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'controller/%'",
    );
    cut += rowCount ?? 0;
    await delay(50);
  }
  await client.end();
  return cut;
}
