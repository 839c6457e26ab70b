import { afterAll, beforeAll, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import {
  checkRules,
  expectFiring,
  expectSaid,
  expectShown,
  hasPromtool,
  history,
  lasting,
} from "../../support/alerts/promtool.ts";
import { readAlerts, readDashboardQueries } from "../../support/alerts/rules.ts";
import { type Scrape, scrape, together } from "../../support/alerts/scrape.ts";
import { connectCluster, type TestCluster } from "../../support/cluster.ts";
import { isSettled, readMetric, startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { NO_POLICY_LABEL } from "../../support/global-setup.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";
import { runCleanup } from "../cleanup/program.ts";

let cluster: TestCluster;
let databaseUrl: string;
let controller: TestController;
let healthy: Scrape;

/** The tests share one controller, and each leaves it healthy for the next. */
beforeAll(async () => {
  if (!hasPromtool) return;
  cluster = await connectCluster();
  databaseUrl = await createTestDatabase();
  expect((await runCleanup(databaseUrl)).exitCode).toBe(0);
  controller = await startTestController(cluster, databaseUrl);
  await issueToken(cluster, "kept");
  await cluster.annotate("kept", { "apitoken.dev/rotate-requested-at": "1" });
  await untilReason(cluster, "kept", "Rotated");
  await eventually(() => isSettled(controller));
  healthy = await scrape(controller);
});
afterAll(async () => {
  await controller?.stop();
  await cluster?.close();
});

const read = (line: string) => readMetric(controller, line);

/** The database is queried once a minute, and by a new controller at its first scrape. */
async function restart(): Promise<void> {
  await controller.stop();
  controller = await startTestController(cluster, databaseUrl);
  await eventually(() => isSettled(controller));
}

test.skipIf(!hasPromtool)(
  "on a healthy controller's figures no alert fires, and the dashboard says that all is well",
  async () => {
    expect(healthy.samples.size).toBeGreaterThan(50);
    await expectFiring(lasting(healthy, 24 * 60), []);
    await expectShown(lasting(healthy, 5), "All well?", 0);
  },
);

test.skipIf(!hasPromtool)("Prometheus reads every query of the dashboard", async () => {
  const rules = readDashboardQueries().map(({ expr }, index) => ({ record: `panel:query:${index}`, expr }));
  await checkRules({ groups: [{ name: "dashboard", rules }] });
});

test.skipIf(!hasPromtool)("tokens that expire soon because no policy selects their namespace anymore", async () => {
  await issueToken(cluster, "week", { owner: "alice", duration: "100h" });
  await cluster.kubectl(["label", "namespace", cluster.namespace, `${NO_POLICY_LABEL}=`]);
  await untilReason(cluster, "week", "PolicyMissing");
  await eventually(() => isSettled(controller));
  await expectFiring(lasting(await scrape(controller), 20), ["ApiTokenNotRenewedNoPolicy"]);
  await cluster.kubectl(["label", "namespace", cluster.namespace, `${NO_POLICY_LABEL}-`]);
  await untilReason(cluster, "week", "Issued");
});

test.skipIf(!hasPromtool)("a rotation that fails again and again until the token expires", async () => {
  const rotation = { renewBeforePercentage: 50 };
  await issueToken(cluster, "short", { owner: "alice", duration: "14s", rotation });
  await runAsSuperuser(databaseUrl, "revoke insert on apitoken.tokens from apitoken_controller");
  await eventually(async () => expect(await read('apitoken_failures_total{reason="failed"}')).toBeGreaterThan(0));
  const first = await scrape(controller);
  const failures = await read('apitoken_failures_total{reason="failed"}');
  await eventually(async () =>
    expect(await read('apitoken_failures_total{reason="failed"}')).toBeGreaterThan(failures),
  );
  const later = await scrape(controller);
  expect(await read("apitoken_rotations_due")).toBe(1);
  await runAsSuperuser(databaseUrl, "grant insert on apitoken.tokens to apitoken_controller");

  await expectFiring(history(first.at, { figures: first, minutes: 1 }, { figures: later, since: first, minutes: 29 }), [
    "ApiTokenReconcileErrors",
    "ApiTokenRotationMissesExpiry",
    "ApiTokenRotationOverdue",
  ]);
  await expectShown(lasting(later, 15), "All well?", 1);
  await cluster.delete("short");
});

test.skipIf(!hasPromtool)("far more tokens are issued than usual", async () => {
  const before = await scrape(controller);
  const names = Array.from({ length: 120 }, (_, index) => `hoarded-${index}`);
  await Promise.all(names.map((name) => cluster.apply(name, { owner: "hoarder" })));
  for (const name of names) await untilReady(cluster, name, 30_000);
  await eventually(() => isSettled(controller));
  const after = await scrape(controller);
  const past = history(before.at, { figures: before, minutes: 60 }, { figures: after, minutes: 10 });
  await expectFiring(past, ["ApiTokenIssuingUnusual"]);
});

test.skipIf(!hasPromtool)(
  "owners over the red lines, ended tokens in use, an ApiToken that waits, a token without a successor",
  async () => {
    await issueToken(cluster, "taken-away");
    await cluster.patch("taken-away", { revoked: true });
    await untilReason(cluster, "taken-away", "RevokedBySpec");
    await issueToken(cluster, "brief", { owner: "alice", duration: "10s", rotation: { policy: "Disabled" } });
    await issueToken(cluster, "fixed", {
      owner: "alice",
      expiresAt: new Date(Date.now() + 12 * 3_600_000).toISOString(),
    });
    await cluster.kubectl(["create", "secret", "generic", "occupied"]);
    await cluster.apply("occupied", { owner: "alice" });
    await untilReason(cluster, "occupied", "SecretConflict");
    await pretendOlder("occupied", 3_600_000);
    await untilReason(cluster, "brief", "Expired");
    // As a verifier records the use of a token.
    await runAsSuperuser(
      databaseUrl,
      "update apitoken.tokens set last_used_at = now() where name in ('taken-away', 'brief')",
    );
    await restart();
    const figures = await scrape(controller);

    const past = lasting(figures, 70);
    await expectFiring(past, [
      "ApiTokenExpiredButUsed",
      "ApiTokenNotReady",
      "ApiTokenNotRenewed",
      "ApiTokenOwnerOverFifty",
      "ApiTokenOwnerOverTen",
      "ApiTokenRevokedButUsed",
    ]);
    const rule = readAlerts().find(({ alert }) => alert === "ApiTokenOwnerOverFifty");
    if (rule === undefined) throw new Error("there is no such alert");
    await expectSaid(
      past,
      rule,
      {},
      {
        summary: "Owners have more than fifty live API tokens",
        description:
          "1 owner(s) have more than 50 live tokens, most likely because something creates ApiTokens in a loop.",
      },
    );
  },
);

/** Makes an ApiToken seem to have waited since an earlier time; its reason stays the same. */
async function pretendOlder(name: string, ms: number): Promise<void> {
  const { metadata, status } = (await cluster.get(name)) ?? {};
  const lastTransitionTime = new Date(Date.now() - ms).toISOString().replace(/\.\d+Z$/, "Z");
  const conditions = status?.conditions?.map((condition) => ({ ...condition, lastTransitionTime }));
  const path = `/apis/apitoken.dev/v1alpha1/namespaces/${metadata?.namespace}/apitokens/${name}/status`;
  await cluster.transport.request("PATCH", path, {
    contentType: "application/merge-patch+json",
    body: { status: { conditions } },
  });
}

test.skipIf(!hasPromtool)("two controllers that lead by different Leases", async () => {
  const settings = { APITOKEN_LEASE_NAME: "another" };
  const older = await startTestController(cluster, databaseUrl, { settings });
  try {
    await untilEpochOf(older);
    await controller.stop();
    controller = await startTestController(cluster, databaseUrl);
    await untilEpochOf(controller);
    await eventually(() => isSettled(controller));
    const [first, second] = [await scrape(older, "older-0"), await scrape(controller, "newer-0")];
    // Earlier than the alerts about the tokens of the previous test.
    await expectFiring(lasting(together(first, second), 5), ["ApiTokenTwoLeaders"]);
    await expectFiring(lasting(first, 5), ["ApiTokenTwoLeaders"]);
    await expectFiring(lasting(second, 5), []);
  } finally {
    await older.stop();
  }
});

/** Waits until a controller has begun an epoch, without a scrape, after which its figures would stay for a minute. */
async function untilEpochOf({ identity }: TestController): Promise<void> {
  await eventually(async () => {
    const epochs = await runAsSuperuser(databaseUrl, "select holder from apitoken.leader_epoch");
    expect(epochs).toEqual([{ holder: identity }]);
  });
}
