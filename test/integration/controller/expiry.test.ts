import { describe, expect } from "vitest";
import { conditionOf, readToken, type TestCluster } from "../../support/cluster.ts";
import { startTestController } from "../../support/controllers.ts";
import { verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest } from "../../support/fixtures.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import { issueToken, untilReady } from "../../support/resources.ts";

/** A database that can be taken away from the controller alone. */
const test = clusterTest.extend("line", async ({ databaseUrl }, { onCleanup }) => {
  const proxy = await startDatabaseProxy(databaseUrl);
  onCleanup(() => proxy.close());
  return proxy;
});

const readyOf = async (cluster: TestCluster, name: string) => conditionOf(await cluster.get(name), "Ready");
const expiryOf = async (cluster: TestCluster, name: string) =>
  Date.parse((await cluster.get(name))?.status?.expiresAt ?? "");

/** A busy machine; the controller looks once a second, leaves a second to the pass that is due, and asks for the time. */
const PATIENCE_MS = 6_000;

describe("a token that expires while the database is away", () => {
  test.for(["refuse", "stall"] as const)(
    "(%s) is not Ready past its expiry, and is followed by the next one once the database is back",
    { timeout: 120_000 },
    async (kind, { cluster, databaseUrl, line }) => {
      const name = `expires-${kind}`;
      const controller = await startTestController(cluster, line.url);
      try {
        await issueToken(cluster, `${name}-kept`);
        await issueToken(cluster, name, { owner: "alice", duration: "10s" });
        const kept = await cluster.get(`${name}-kept`);
        await line.setMode({ kind });
        const expiresAtMs = await expiryOf(cluster, name);
        await eventually(
          async () =>
            expect(await readyOf(cluster, name)).toMatchObject({ status: "False", reason: "DatabaseUnavailable" }),
          { timeoutMs: expiresAtMs - Date.now() + PATIENCE_MS },
        );
        expect(Date.now()).toBeGreaterThanOrEqual(expiresAtMs);
        expect((await readyOf(cluster, name))?.message).toContain("The token expired at ");
        expect(await cluster.get(`${name}-kept`)).toEqual(kept);

        line.reset();
        await line.setMode({ kind: "pass" });
        await untilReady(cluster, name, 60_000);
        expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret(name)))).toBe(true);
      } finally {
        await controller.stop();
      }
    },
  );
});

test("the first thing that a controller does after a start is to end Ready of what has expired meanwhile", async ({
  cluster,
  line,
}) => {
  const first = await startTestController(cluster, line.url);
  await issueToken(cluster, "unattended", { owner: "alice", duration: "10s" });
  await first.stop();
  const expiresAtMs = await expiryOf(cluster, "unattended");
  await eventually(() => Date.now() > expiresAtMs + 1_000, { timeoutMs: 20_000, intervalMs: 250 });
  expect((await readyOf(cluster, "unattended"))?.status).toBe("True");

  await line.setMode({ kind: "refuse" });
  const second = await startTestController(cluster, line.url);
  try {
    await eventually(
      async () =>
        expect(await readyOf(cluster, "unattended")).toMatchObject({ status: "False", reason: "DatabaseUnavailable" }),
      { timeoutMs: PATIENCE_MS },
    );
    await line.setMode({ kind: "pass" });
    await untilReady(cluster, "unattended", 60_000);
  } finally {
    await second.stop();
  }
}, 120_000);

test("a clock of the controller that is an hour ahead ends no Ready, as the database decides", async ({
  cluster,
  databaseUrl,
}) => {
  const controller = await startTestController(cluster, databaseUrl);
  const realNow = Date.now;
  try {
    await issueToken(cluster, "ahead", { owner: "alice", duration: "10m" });
    const before = await cluster.get("ahead");
    Date.now = () => realNow() + 3_600_000;
    const endsAtMs = realNow() + 4_000;
    await eventually(() => realNow() > endsAtMs, { intervalMs: 250 });
    expect(await cluster.get("ahead")).toEqual(before);
  } finally {
    Date.now = realNow;
    await controller.stop();
  }
});
