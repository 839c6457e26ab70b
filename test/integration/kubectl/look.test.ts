/*
 * The commands that show, run by the real kubectl against a real API server, with a controller that writes the status.
 */
import { expect } from "vitest";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { installPlugin } from "../../support/kubectl.ts";
import { issueToken, untilReason } from "../../support/resources.ts";

const test = controllerTest.extend("plugin", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
  const plugin = installPlugin(cluster);
  onCleanup(() => plugin.dispose());
  return plugin;
});

test("status shows the verdict first, and nothing of the token", async ({ cluster, plugin }) => {
  const token = await issueToken(cluster, "orders", { owner: "shop", scopes: ["orders:read"] });
  const { tokenId = "" } = (await cluster.get("orders"))?.status ?? {};
  const { code, stdout, stderr } = await plugin.run("status", "orders");
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).toMatch(`${cluster.namespace}/orders is Ready: the Secret orders holds a token that works.\n`);
  for (const text of [tokenId, "orders:read", "Policy     tests", "Issued", "kubectl apitoken rotate orders"]) {
    expect(stdout).toContain(text);
  }
  await eventually(async () => expect((await plugin.run("status", "orders")).stdout).toMatch(/EVENT.*\nIssued/));
  expect(stdout).not.toContain(token);
});

test("status of an ApiToken that is not Ready says why and what to do, and ends with 5", async ({
  cluster,
  plugin,
}) => {
  await cluster.apply("revoked", { owner: "shop", revoked: true, revocationReason: "it leaked" });
  await untilReason(cluster, "revoked", "RevokedBySpec");
  const { code, stdout } = await plugin.run("status", "revoked");
  expect(code).toBe(5);
  expect(stdout.split("\n")[0]).toContain(`${cluster.namespace}/revoked is not Ready: RevokedBySpec.`);
  expect(stdout).toContain("it leaked");
  expect(stdout).toContain("What to do: Final. Apply another ApiToken.");
});

test("the id of a token is taken wherever a name is, in whatever namespace, and the previous token's as well", async ({
  cluster,
  plugin,
}) => {
  await issueToken(cluster, "rotated", { owner: "shop" });
  const { tokenId: first = "" } = (await cluster.get("rotated"))?.status ?? {};
  await cluster.annotate("rotated", { "apitoken.dev/rotate-requested-at": "1" });
  await eventually(async () => expect((await cluster.get("rotated"))?.status?.previous?.tokenId).toBe(first));
  const { tokenId: second = "" } = (await cluster.get("rotated"))?.status ?? {};
  for (const id of [first, second]) {
    const { stdout } = await plugin.run("status", id, "-n", "default", "-o", "json");
    expect(JSON.parse(stdout)).toMatchObject({ namespace: cluster.namespace, name: "rotated" });
  }
  const missing = await plugin.run("status", "Zzzzzzzzzzzz");
  expect(missing).toMatchObject({ code: 1, stdout: "" });
  expect(missing.stderr).toContain("APITOKEN_E_OBJECT_MISSING");
});

test("status without a name counts, and lists what is not Ready", async ({ cluster, plugin }) => {
  const { code, stdout } = await plugin.run("status");
  expect(code).toBe(5);
  expect(stdout.split("\n")[0]).toBe(`1 of 3 ApiTokens in the namespace ${cluster.namespace} is not Ready.`);
  expect(stdout).toMatch(/^revoked +RevokedBySpec/m);
  expect(JSON.parse((await plugin.run("status", "-A", "-o", "json")).stdout).total).toBeGreaterThanOrEqual(3);
});

test("list filters by owner on the server, and prints rows, names and objects", async ({ cluster, plugin }) => {
  await issueToken(cluster, "other", { owner: "somebody@example.com" });
  const names = async (...args: string[]) => (await plugin.run("list", "-o", "name", ...args)).stdout;
  expect(await names("--owner", "somebody@example.com")).toBe("apitoken.apitoken.dev/other\n");
  expect(await names("--owner", "some*")).toBe("apitoken.apitoken.dev/other\n");
  expect(await names("--not-ready")).toBe("apitoken.apitoken.dev/revoked\n");
  expect(await names("--unused", "1d")).toBe("");
  expect((await plugin.runAs("somebody@example.com", "list", "--mine")).stderr).toContain("APITOKEN_E_RIGHT_MISSING");
  const { stdout } = await plugin.run("list");
  expect(stdout).toMatch(/^NAME +READY +OWNER +REASON +EXPIRES +RENEWS +LAST USED$/m);
  expect(stdout).toMatch(/^other +True +somebody@example\.com +Issued +in 29d/m);
  const { items } = JSON.parse((await plugin.run("list", "-o", "json", "--owner", "somebody@example.com")).stdout);
  expect(items).toMatchObject([{ namespace: cluster.namespace, name: "other", ready: true, reason: "Issued" }]);
  expect((await plugin.run("list", "-o", "yaml")).stdout).toContain("  - namespace: ");
});

test("a user without rights learns which one is missing", async ({ cluster, plugin }) => {
  for (const args of [["status"], ["status", "orders"], ["list"]]) {
    const { code, stdout, stderr } = await plugin.runAs("nobody@example.com", ...args);
    expect({ code, stdout }, args.join(" ")).toEqual({ code: 1, stdout: "" });
    expect(stderr).toMatch(
      new RegExp(
        `^kubectl apitoken: user "nobody@example.com" lacks the right to (list|get) apitokens.apitoken.dev in the namespace ${cluster.namespace}; `,
      ),
    );
  }
});

test("explain asks no cluster", async ({ cluster }) => {
  const plugin = installPlugin(cluster, { kubeconfigPath: "/does/not/exist" });
  const { code, stdout } = await plugin.run("explain", "secretconflict");
  plugin.dispose();
  expect(code).toBe(0);
  expect(stdout).toMatch(/^SecretConflict: reason of the condition Ready of an ApiToken/);
});

test("version reports the plugin and the CRDs, and only the plugin if the cluster cannot be asked", async ({
  cluster,
  plugin,
}) => {
  expect((await plugin.run("version")).stdout).toMatch(/^plugin +\d+\.\d+\.\d+\n(.*\n)*CRDs +v1alpha1/);
  const lost = installPlugin(cluster, { kubeconfigPath: "/does/not/exist" });
  const { code, stdout, stderr } = await lost.run("version");
  lost.dispose();
  expect({ code, stdout: stdout.split("\n").length }).toEqual({ code: 0, stdout: 2 });
  expect(stderr).toContain("The cluster was not asked");
});
