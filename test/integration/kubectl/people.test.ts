/*
 * The commands about owners and about the operator, run by the real kubectl. OwnerBlocks belong to the whole cluster, so this file
 * has an API server of its own.
 */
import { expect } from "vitest";
import { startControllerProcess } from "../../support/controller-process.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest } from "../../support/fixtures.ts";
import { installPlugin } from "../../support/kubectl.ts";
import { issueToken, untilReason } from "../../support/resources.ts";

const test = ownClusterTest
  .extend("controller", { scope: "file", auto: true }, async ({ cluster, databaseUrl }, { onCleanup }) => {
    const controller = await startControllerProcess(cluster, databaseUrl, "leader", { APITOKEN_WATCH_NAMESPACES: "" });
    onCleanup(() => controller.dispose());
    return controller;
  })
  .extend("plugin", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
    const plugin = installPlugin(cluster);
    onCleanup(() => plugin.dispose());
    return plugin;
  });

/** Each run of kubectl starts two programs, and these tests run many. */
const LONG = { timeout: 240_000 };

test("owner shows everything of one owner", LONG, async ({ cluster, plugin }) => {
  await issueToken(cluster, "first", { owner: "alice@example.com" });
  await issueToken(cluster, "second", { owner: "alice@example.com" });
  await issueToken(cluster, "other", { owner: "bob@example.com" });
  const owned = await plugin.run("owner", "alice@example.com");
  expect(owned.stdout).toContain("alice@example.com has 2 ApiTokens in 1 namespace, 2 of them Ready.");
  expect(owned.stdout).not.toContain("bob@example.com");
});

test("offboard counts and asks, and ends every token of the owner", LONG, async ({ cluster, plugin }) => {
  const asked = await plugin.run("offboard", "alice@example.com");
  expect(asked).toMatchObject({ code: 2, stdout: "" });
  expect(asked.stderr).toContain("2 of them Ready:");
  expect((await plugin.run("offboard", "alice@example.com", "--dry-run")).stdout).toContain("kind: OwnerBlock");
  expect((await plugin.kubectl("get", "ownerblocks", "-o", "name")).stdout).toBe("");

  const done = await plugin.run("offboard", "alice@example.com", "--reason", "has left", "--yes");
  expect(done).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^OwnerBlock offboard-alice-\S+ is in effect: /),
  });
  await untilReason(cluster, "first", "OwnerBlocked");
  await untilReason(cluster, "second", "OwnerBlocked");
  expect((await plugin.run("owner", "alice@example.com")).stdout).toMatch(/OwnerBlock offboard-alice-\S+: in effect/);
  const again = await plugin.run("offboard", "alice@example.com", "--yes");
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("There is already an OwnerBlock");
  expect(again.stderr).toMatch(/the owner alice@example\.com is blocked already, by the OwnerBlock offboard-alice-/);
});

test("offboard at a date blocks nobody before", LONG, async ({ cluster, plugin }) => {
  const { code, stdout } = await plugin.run("offboard", "bob@example.com", "--at", "2090-01-01T00:00:00Z", "--yes");
  expect({ code, stdout }).toMatchObject({
    code: 0,
    stdout: expect.stringContaining("takes effect at 2090-01-01T00:00:00Z"),
  });
  expect((await plugin.run("status", "other")).code).toBe(0);
  expect((await cluster.get("other"))?.status?.tokenId).toBeDefined();
});

test("review lists every ApiToken as CSV, by owner", LONG, async ({ plugin }) => {
  const { stdout } = await plugin.run("review", "-A");
  const rows = stdout.trim().split("\r\n");
  expect(rows.map((row) => row.split(",")[0])).toEqual([
    "owner",
    "alice@example.com",
    "alice@example.com",
    "bob@example.com",
  ]);
});

test("check says a line for each part, and what is missing", LONG, async ({ cluster, plugin }) => {
  const bare = await plugin.run("check");
  expect(bare.code).toBe(5);
  expect(bare.stdout).toMatch(/^✓ crds +the API server serves apitoken\.dev\/v1alpha1$/m);
  expect(bare.stdout).toMatch(/^✗ controller +no Deployment of the operator's chart is in the cluster/m);
  expect(bare.stdout).toMatch(/^✓ database +no resource reports/m);
  expect(bare.stdout).toMatch(/^! tokens +2 of 3 ApiTokens in the cluster are not Ready/m);

  const labels = { "app.kubernetes.io/part-of": "apitoken-operator", "app.kubernetes.io/component": "controller" };
  const template = { metadata: { labels }, spec: { containers: [{ name: "controller", image: "x" }] } };
  const spec = { replicas: 2, selector: { matchLabels: labels }, template };
  await cluster.transport.request("POST", `/apis/apps/v1/namespaces/${cluster.namespace}/deployments`, {
    body: { metadata: { name: "tokens", labels }, spec },
  });
  const { stdout } = await plugin.run("check", "controller");
  expect(stdout).toMatch(/^✗ controller +Deployment \S+\/tokens: none of 2 pods is available/m);
  expect(stdout).toMatch(/^✓ controller +leader leads$/m);
  expect(await plugin.run("check", "nothing")).toMatchObject({ code: 2 });

  const unknown = await plugin.runAs("nobody@example.com", "check");
  expect(unknown.stdout).toContain("you lack the right to list apitokenpolicies.apitoken.dev in the whole cluster");
  const pre = await plugin.run("check", "--pre");
  expect(pre.stdout).toMatch(/^✓ cluster +Kubernetes v1\./m);
});

test("report has the findings and the status of ApiTokens, and no token", LONG, async ({ cluster, plugin }) => {
  const token = await issueToken(cluster, "reported", { owner: "reported" });
  await cluster.patch("reported", { description: token });
  const { code, stdout } = await plugin.run("report", "-o", "json");
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ apiTokens: { total: 4 }, findings: expect.any(Array) });
  expect(stdout).not.toContain(token);
});

test("kubectl itself finds and completes the plugin", LONG, async ({ cluster, plugin }) => {
  const complete = async (...args: string[]) => (await plugin.kubectl("__complete", "apitoken", ...args)).stdout;
  expect((await plugin.kubectl("plugin", "list")).stdout).toContain("kubectl-apitoken");
  expect(await complete("sta")).toContain("status\t");
  await eventually(async () => expect(await complete("status", "-n", cluster.namespace, "o")).toMatch(/^other\t/m));
  expect(await complete("owner", "b")).toContain("bob@example.com");
  expect(await complete("explain", "Pol")).toContain("PolicyDenied");
  expect(await complete("list", "-o", "")).toContain("wide");
});
