import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyObjects, findObject, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { anApiTokenBody, conditionOf, connectCluster, readToken, type TestCluster } from "../support/cluster.ts";
import { startTestController, type TestController } from "../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { type ClusterResources, createClusterResources } from "../support/policies.ts";
import { issueToken, untilNextIsNewer, untilReady, untilReason } from "../support/resources.ts";

/*
 * The row of docs/security.md about those who may create ApiTokens and read Secrets in one namespace, under what the chart
 * installs: the default policy, its roles and its admission policies. Everything is tried as that person.
 */

const RELEASE = `tenant-${randomBytes(3).toString("hex")}`;
const TENANT = ["--as", "tenant", "--as-group", "system:authenticated"];

describe.skipIf(tools.helm === undefined)("anyone with the role edit in one namespace", () => {
  let shop: TestCluster;
  let other: TestCluster;
  let databaseUrl: string;
  let roles: readonly Rendered[] = [];
  let policies: readonly ClusterResources[] = [];
  let controller: TestController;

  beforeAll(async () => {
    [shop, other] = await Promise.all([connectCluster(), connectCluster()]);
    databaseUrl = await createTestDatabase();
    const objects = await renderChart(
      { devPostgres: { enabled: true } },
      { namespace: shop.namespace, release: RELEASE },
    );
    roles = objects.filter(({ kind, metadata }) => kind === "ClusterRole" && /-(view|edit)$/.test(metadata.name));
    expect(await applyObjects(roles)).toMatchObject({ code: 0, stderr: "" });
    // What a controller manager aggregates into the cluster's own role edit.
    const parts = ["system:aggregate-to-edit", "system:aggregate-to-view"];
    for (const role of [...parts, ...roles.map(({ metadata }) => metadata.name)]) {
      const grant = ["create", "rolebinding", role, `--clusterrole=${role}`, "--user=tenant"];
      expect(await shop.kubectl(grant)).toMatchObject({ code: 0 });
    }
    const { namespaceSelector: _, priority: __, ...spec } = findObject(objects, "ApiTokenPolicy").spec;
    policies = [shop, other].map(createClusterResources);
    for (const resources of policies) await resources.applyPolicy("default", spec);
    controller = await startTestController(shop, databaseUrl, {
      settings: { APITOKEN_WATCH_NAMESPACES: `${shop.namespace},${other.namespace}` },
    });
    await eventually(async () => expect((await create("any", { owner: shop.namespace })).code).toBe(0));
  }, 60_000);
  afterAll(async () => {
    await controller?.stop();
    await Promise.all(policies.map((resources) => resources.clear()));
    for (const { kind, metadata } of roles) await shop.kubectl(["delete", kind, metadata.name]);
    await Promise.all([shop?.close(), other?.close()]);
  });

  const kubectl = (args: readonly string[], input?: object) =>
    shop.kubectl([...args, ...TENANT], input && JSON.stringify(input));
  const create = (name: string, spec: object, namespace = shop.namespace) =>
    kubectl(["create", "-n", namespace, "-f", "-"], anApiTokenBody(namespace, name, spec));
  const own = (name: string) => `${shop.namespace}/${name}`;
  const readySecret = async (name: string) => {
    await untilReady(shop, name);
    return readToken(await shop.getSecret(name));
  };

  test("gets tokens for the owners of the namespace, and may rotate, revoke and delete them", async () => {
    expect(await create("mine", { owner: own("mine") })).toMatchObject({ code: 0 });
    const token = await readySecret("mine");
    expect(await verifies(shop, databaseUrl, token)).toBe(true);
    const ask = ["annotate", "apitoken", "mine", "apitoken.dev/rotate-requested-at=now"];
    expect(await kubectl(ask)).toMatchObject({ code: 0 });
    await eventually(async () => expect(readToken(await shop.getSecret("mine"))).not.toBe(token));
    expect(
      await kubectl(["patch", "apitoken", "mine", "--type=merge", "-p", '{"spec":{"revoked":true}}']),
    ).toMatchObject({ code: 0 });
    await untilReason(shop, "mine", "RevokedBySpec");
    expect(await kubectl(["delete", "apitoken", "mine"])).toMatchObject({ code: 0 });
  });

  test.each<[string, string[], object?]>([
    ["see policies", ["get", "apitokenpolicies"]],
    [
      "change a policy",
      ["patch", "apitokenpolicy", "default", "--type=merge", "-p", '{"spec":{"maxTokensPerOwner":9}}'],
    ],
    ["see OwnerBlocks", ["get", "ownerblocks"]],
    ["lift an OwnerBlock", ["delete", "ownerblock", "any"]],
    ["set the status of an ApiToken", ["patch", "apitoken", "any", "--subresource=status", "--type=merge", "-p", "{}"]],
    ["see ApiTokens in another namespace", ["get", "apitokens", "-n", "default"]],
    ["read Secrets in another namespace", ["get", "secrets", "-n", "default"]],
    ["see the keyring", ["get", "secret", "apitoken-keyring", "-n", "apitoken-system"]],
  ])("may not %s", async (_what, args) => {
    expect(await kubectl(args)).toMatchObject({ code: 1, output: expect.stringContaining("Forbidden") });
  });

  test("may not create an ApiToken in another namespace", async () => {
    const { output } = await create("theirs", { owner: other.namespace }, other.namespace);
    expect(output).toContain("forbidden");
  });

  test("gets no token for another namespace's owner, and cannot end its token with a newer one", async () => {
    const owner = `${other.namespace}/web`;
    const token = await issueToken(other, "web", { owner });
    await create("thief", { owner });
    await untilReason(shop, "thief", "PolicyDenied");
    expect(await findRows(databaseUrl, "thief")).toEqual([]);
    expect(await verifies(shop, databaseUrl, token)).toBe(true);
    expect(conditionOf(await other.get("web"), "Ready")?.status).toBe("True");
  });

  test("cannot change whose an ApiToken is", async () => {
    await create("fixed", { owner: own("fixed") });
    const patch = JSON.stringify({ spec: { owner: own("other") } });
    const { code, output } = await kubectl(["patch", "apitoken", "fixed", "--type=merge", "-p", patch]);
    expect(output).toContain("a token is bound to its owner forever");
    expect(code).toBe(1);
  });

  test("gets no longer life than the policy's", async () => {
    await create("long", { owner: own("long"), duration: "9000h" });
    await readySecret("long");
    const { issuedAt = "", expiresAt = "" } = (await shop.get("long"))?.status ?? {};
    expect((Date.parse(expiresAt) - Date.parse(issuedAt)) / 3_600_000).toBeLessThanOrEqual(720);
  });

  test("has no other token for an owner by putting the last one back into the Secret", async () => {
    await create("kept", { owner: own("kept") });
    const first = await readySecret("kept");
    await kubectl(["annotate", "apitoken", "kept", "apitoken.dev/rotate-requested-at=now"]);
    await eventually(async () => expect(readToken(await shop.getSecret("kept"))).not.toBe(first));
    const data = JSON.stringify({ stringData: { token: first } });
    expect(await kubectl(["patch", "secret", "kept", "-p", data])).toMatchObject({ code: 0 });
    await eventually(async () => expect(readToken(await shop.getSecret("kept"))).not.toBe(first));
    await untilNextIsNewer(shop, "kept");
    await create("second", { owner: own("kept") });
    await readySecret("second");
    await untilReason(shop, "kept", "Superseded");
    const accepted = (await findRows(databaseUrl, "kept")).filter(({ is_live }) => is_live);
    expect(accepted).toEqual([]);
  });

  test("has no Secret changed that does not belong to the ApiToken", async () => {
    const made = await kubectl(["create", "secret", "generic", "foreign", "--from-literal=password=first"]);
    expect(made).toMatchObject({ code: 0 });
    await create("grabs", { owner: own("grabs"), secret: { name: "foreign" } });
    await untilReason(shop, "grabs", "SecretConflict");
    expect(Object.keys((await shop.getSecret("foreign"))?.data ?? {})).toEqual(["password"]);
  });

  test("has no Secret made that another controller would act on", async () => {
    const labels = { "argocd.argoproj.io/secret-type": "cluster" };
    await create("cluster", { owner: own("cluster"), secret: { labels } });
    await untilReason(shop, "cluster", "InvalidSpec");
    expect(await shop.getSecret("cluster")).toBeUndefined();
  });

  test("has no token for a blocked owner, not even with a new ApiToken", async () => {
    await create("leaver", { owner: own("leaver") });
    const token = await readySecret("leaver");
    await policies[0]?.applyBlock("leaver", { owner: own("leaver") });
    await untilReason(shop, "leaver", "OwnerBlocked");
    expect(await verifies(shop, databaseUrl, token)).toBe(false);
    await create("again", { owner: own("leaver") });
    await untilReason(shop, "again", "OwnerBlocked");
    expect(await findRows(databaseUrl, "again")).toEqual([]);
  });
});
