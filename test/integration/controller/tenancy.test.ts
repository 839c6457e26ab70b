import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { conditionOf, connectCluster, type TestCluster } from "../../support/cluster.ts";
import { startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { type ClusterResources, createClusterResources } from "../../support/policies.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

/* What the right to create ApiTokens in one namespace is worth under the policy that the chart installs. */

const readPolicySpec = (name: string) =>
  parse(readFileSync(new URL(`../../../examples/platform/${name}.yaml`, import.meta.url), "utf8")).spec;

/** Two namespaces, of which one has a name that begins with the other's: a pattern like `${namespace}-*` confuses them. */
let shop: TestCluster;
let shopEu: TestCluster;
let databaseUrl: string;
let policies: readonly ClusterResources[];
let controller: TestController;

beforeAll(async () => {
  shop = await connectCluster();
  shopEu = await connectCluster(shop.kubeconfigPath, `${shop.namespace}-eu`);
  databaseUrl = await createTestDatabase();
  policies = [shop, shopEu].map(createClusterResources);
  for (const resources of policies) {
    const { namespaceSelector: _, priority: __, ...spec } = readPolicySpec("default-policy");
    await resources.applyPolicy("default", spec);
  }
  controller = await startTestController(shop, databaseUrl, {
    settings: { APITOKEN_WATCH_NAMESPACES: `${shop.namespace},${shopEu.namespace}` },
  });
});

afterAll(async () => {
  await controller?.stop();
  await Promise.all(policies?.map((resources) => resources.clear()) ?? []);
  await Promise.all([shop?.close(), shopEu?.close()]);
});

describe("under the chart's default policy", () => {
  test("a namespace acts for the owner with its own name, and for those below it", async () => {
    for (const [name, owner] of [
      ["itself", shop.namespace],
      ["below", `${shop.namespace}/web`],
      ["deep", `${shop.namespace}/web/eu-1@x`],
    ] as const) {
      const token = await issueToken(shop, name, { owner });
      expect(await verifies(shop, databaseUrl, token)).toBe(true);
    }
  });

  test.each([
    ["the name of another namespace", () => shopEu.namespace],
    ["an owner below another namespace", () => `${shopEu.namespace}/web`],
    ["an owner that only begins with its name", () => `${shop.namespace}-eu`],
    ["its own name in capitals", () => shop.namespace.toUpperCase()],
    ["an owner below its own name in capitals", () => `${shop.namespace.toUpperCase()}/web`],
    ["a wildcard", () => "*"],
    ["the placeholder", () => "${namespace}"],
    ["the placeholder and a name", () => "${namespace}/web"],
    ["a slash before its name", () => `/${shop.namespace}`],
    ["a path through its own name", () => `../${shop.namespace}/web`],
    ["a person", () => "alice"],
    ["a service account", () => `system:serviceaccount:${shop.namespace}:web`],
  ])("a namespace gets no token for %s, and says why", async (what, owner) => {
    const name = `for-${what.replaceAll(/\W+/g, "-")}`;
    await shop.apply(name, { owner: owner() });
    await untilReason(shop, name, "PolicyDenied");
    expect(conditionOf(await shop.get(name), "Ready")?.message).toContain(`owner "${owner()}" is not among its owners`);
    expect(await findRows(databaseUrl, name)).toEqual([]);
  });

  test("a path that leads out of its own name is an owner of its own, and no other namespace's", async () => {
    const web = await issueToken(shopEu, "target", { owner: `${shopEu.namespace}/target` });
    const path = `${shop.namespace}/../${shopEu.namespace}/target`;
    await issueToken(shop, "climber", { owner: path });
    expect(await verifies(shop, databaseUrl, web)).toBe(true);
    expect(conditionOf(await shopEu.get("target"), "Ready")?.status).toBe("True");
  });

  test("nobody can end the token of another namespace with a newer ApiToken for its owner", async () => {
    const owner = `${shopEu.namespace}/victim`;
    const token = await issueToken(shopEu, "victim", { owner });
    for (const [name, claimed] of [
      ["thief", owner],
      ["whole", shopEu.namespace],
    ] as const) {
      await shop.apply(name, { owner: claimed });
      await untilReason(shop, name, "PolicyDenied");
    }
    expect(conditionOf(await shopEu.get("victim"), "Ready")?.status).toBe("True");
    expect(await verifies(shop, databaseUrl, token)).toBe(true);
  });
});

test("an ApiToken from the time of an open policy is denied by the default one, and works again under one that allows it", async () => {
  const [resources] = policies;
  const { namespaceSelector: _, ...open } = readPolicySpec("open-policy");
  await resources?.applyPolicy("open", { ...open, priority: 1 });
  const token = await issueToken(shop, "old", { owner: `old-${shop.namespace}` });
  await resources?.deletePolicy("open");
  await untilReason(shop, "old", "PolicyDenied");
  expect(await verifies(shop, databaseUrl, token)).toBe(false);
  await resources?.applyPolicy("open", { ...open, priority: 1 });
  await untilReady(shop, "old");
});
