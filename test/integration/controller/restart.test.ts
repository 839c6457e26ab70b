import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { isIdle, readMetric, startTestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { applyMany } from "../../support/resources.ts";

const COUNT = 1_000;

test("a restart with 1,000 converged ApiTokens writes nothing", async ({ cluster, databaseUrl }) => {
  const first = await startTestController(cluster, databaseUrl);
  await applyMany(cluster, "many", COUNT);
  await eventually(
    async () => {
      const [row] = await runAsSuperuser<{ live: number }>(
        databaseUrl,
        "select count(*)::integer as live from apitoken.tokens where revoked_at is null",
      );
      expect(row?.live).toBe(COUNT);
      expect(await isIdle(first)).toBe(true);
    },
    { timeoutMs: 150_000, intervalMs: 100 },
  );
  await first.stop();

  const tap = createWriteTap();
  const second = await startTestController(cluster, databaseUrl, tap);
  await eventually(async () => {
    expect(await readMetric(second, 'apitoken_reconcile_total{result="converged"}')).toBeGreaterThanOrEqual(COUNT);
    expect(await isIdle(second)).toBe(true);
  });
  expect(await readMetric(second, 'apitoken_reconcile_total{result="changed"}')).toBe(0);
  await second.stop();
  expect(tap.writes).toEqual([]);
}, 240_000);
