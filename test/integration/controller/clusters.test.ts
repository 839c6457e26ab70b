import { afterAll, beforeAll, expect, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../../../local/control-plane.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import { connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle, startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { installResources } from "../../support/global-setup.ts";
import { createClusterResources } from "../../support/policies.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

let other: ControlPlane;
let here: TestCluster;
let there: TestCluster;
let databaseUrl: string;
let controllers: TestController[];

beforeAll(async () => {
  other = await startControlPlane();
  installResources(other);
  here = await connectCluster();
  there = await connectCluster(other.kubeconfigPath, here.namespace);
  databaseUrl = await createTestDatabase();
  controllers = await Promise.all([here, there].map((cluster) => startTestController(cluster, databaseUrl)));
});

afterAll(async () => {
  await Promise.all((controllers ?? []).map((controller) => controller.stop()));
  await Promise.all([here?.close(), there?.close()]);
  await other?.stop();
});

test("two control planes on one database do not touch each other's rows", async () => {
  const [mine, theirs] = [await issueToken(here, "same"), await issueToken(there, "same")];
  const rows = await findRows(databaseUrl, "same");
  expect(new Set(rows.map((row) => row.cluster_id)).size).toBe(2);
  await issueToken(there, "only-there");

  // A restart looks for rows without an ApiToken. It must ignore those of the other cluster.
  await controllers[0]?.stop();
  controllers[0] = await startTestController(here, databaseUrl);
  const restarted = controllers[0];
  await eventually(() => isIdle(restarted));
  await here.delete("same");
  await eventually(async () => expect(await here.get("same")).toBeUndefined());

  expect(await verifies(here, databaseUrl, mine)).toBe(false);
  expect(await verifies(there, databaseUrl, theirs)).toBe(true);
  expect(readToken(await there.getSecret("same"))).toBe(theirs);
  expect(await findRows(databaseUrl, "only-there")).toMatchObject([{ is_live: true }]);
});

test("an ApiToken restored into another cluster leaves the restored Secret alone, and gets that cluster's token", async () => {
  const plaintext = await issueToken(here, "moved");
  const secret = await here.getSecret("moved");
  const { name, labels, annotations, ownerReferences } = secret?.metadata ?? {};
  const path = secretsPath(there.namespace);
  const body = { metadata: { name, labels, annotations, ownerReferences }, data: secret?.data };
  await there.transport.request("POST", path, { body });
  await there.apply("moved", { owner: "alice" });
  await untilReason(there, "moved", "SecretConflict");
  expect(readToken(await there.getSecret("moved"))).toBe(plaintext);
  expect((await findRows(databaseUrl, "moved")).filter((row) => row.is_live)).toHaveLength(1);

  await there.transport.request("DELETE", `${path}/moved`);
  await untilReady(there, "moved", 20_000);
  expect(await verifies(there, databaseUrl, readToken(await there.getSecret("moved")))).toBe(true);
  expect(readToken(await there.getSecret("moved"))).not.toBe(plaintext);
  expect(readToken(await here.getSecret("moved"))).toBe(plaintext);
  expect(await verifies(here, databaseUrl, plaintext)).toBe(true);
});

test("a block ends the owner's tokens in the other cluster, and its lifting is noticed there", async () => {
  const resources = createClusterResources(here);
  const owner = `roamer-${here.namespace}`;
  const token = await issueToken(there, "roaming", { owner });
  await resources.applyBlock("roamer", { owner });
  await untilReason(there, "roaming", "OwnerBlocked", 5_000);
  expect(await verifies(there, databaseUrl, token)).toBe(false);
  // The other cluster may notice it before this one has reported it.
  await eventually(async () =>
    expect((await resources.getBlock("roamer")).status).toMatchObject({ apiTokens: 0, tokensRevoked: 1 }),
  );
  await resources.deleteBlock("roamer");
  await untilReady(there, "roaming", 5_000);
});

test("a suspended ApiToken of the other cluster shows a block once its time has come", async () => {
  const resources = createClusterResources(here);
  const owner = `sleeper-${here.namespace}`;
  await issueToken(there, "sleeping", { owner });
  await there.patch("sleeping", { suspend: true });
  await untilReason(there, "sleeping", "Suspended");
  const effectiveAt = new Date(Math.ceil(Date.now() / 1_000) * 1_000 + 3_000);
  await resources.applyBlock("sleeper", { owner, effectiveAt: effectiveAt.toISOString() });
  await eventually(async () =>
    expect(await resources.getBlockCondition("sleeper", "Effective")).toMatchObject({ reason: "Blocked" }),
  );
  await untilReason(there, "sleeping", "OwnerBlocked", 5_000);
  expect(Date.now()).toBeGreaterThanOrEqual(effectiveAt.getTime());
  await resources.deleteBlock("sleeper");
});
