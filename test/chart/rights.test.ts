import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ControlPlane, startControlPlane } from "../../local/control-plane.ts";
import { applyObjects, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { connectCluster, readToken, type TestCluster } from "../support/cluster.ts";
import { runCommand } from "../support/commands.ts";
import { type ControllerProcess, startControllerProcess } from "../support/controller-process.ts";
import { createTestDatabase, findRows, verifies } from "../support/database.ts";
import { eventually } from "../support/eventually.ts";
import { installResources } from "../support/global-setup.ts";
import { createClusterResources } from "../support/policies.ts";
import { untilReady, untilReason } from "../support/resources.ts";

/*
 * The ServiceAccount of the chart can do what the controller needs, and nothing else: a controller with its token lives
 * through everything that happens to an ApiToken, with the rights for all namespaces and with those for one.
 */

const RELEASE = `rights-${randomBytes(3).toString("hex")}`;
const ACCOUNT = `${RELEASE}-apitoken-operator`;
const RIGHTS = /^(ServiceAccount|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$/; // grants rights, or narrows them

/** What a Secret of the controller has again after people have removed it. */
const RESTORED = {
  labels: { "apitoken.dev/managed": "true" },
  annotations: { "apitoken.dev/token-id": expect.any(String) },
  ownerReferences: [{ kind: "ApiToken", name: "life" }],
};

describe.skipIf(tools.helm === undefined).each(["all namespaces", "one namespace"])("with rights in %s", (scope) => {
  const isNamespaced = scope === "one namespace";
  let controlPlane: ControlPlane;
  let home: TestCluster;
  let tenant: TestCluster;
  let stranger: TestCluster;
  let databaseUrl: string;
  let folder: string;
  let kubeconfigPath: string;
  let rights: Rendered[];
  let controller: ControllerProcess;

  beforeAll(async () => {
    controlPlane = await startControlPlane();
    installResources(controlPlane);
    const connect = () => connectCluster(controlPlane.kubeconfigPath);
    [home, tenant, stranger] = await Promise.all([connect(), connect(), connect()]);
    databaseUrl = await createTestDatabase();
    folder = mkdtempSync(join(tmpdir(), "apitoken-rights-"));
    const values = { devPostgres: { enabled: true }, watchNamespaces: isNamespaced ? [tenant.namespace] : [] };
    const objects = await renderChart(values, { namespace: home.namespace, release: RELEASE });
    rights = objects.filter(({ kind }) => RIGHTS.test(kind));
    expect(await applyObjects(rights, [], controlPlane.kubeconfigPath)).toMatchObject({ code: 0, stderr: "" });
    // An API server takes a moment to apply a policy. From then on the account cannot create a Secret without the label.
    const as = `--as=system:serviceaccount:${home.namespace}:${ACCOUNT}`;
    const tryIt = () => tenant.kubectl(["create", "secret", "generic", "bare", "--dry-run=server", as]);
    await eventually(async () => expect((await tryIt()).output).toContain("lacks the label"));
    const { output: token } = await home.kubectl(["create", "token", ACCOUNT]);
    kubeconfigPath = join(folder, "kubeconfig");
    writeFileSync(kubeconfigPath, (await withToken(home, token.trim())) ?? "");
    // Only one namespace, because this controller must ignore the ApiTokens of other tests.
    controller = await startControllerProcess(home, databaseUrl, RELEASE, {
      KUBECONFIG: kubeconfigPath,
      APITOKEN_WATCH_NAMESPACES: tenant.namespace,
      APITOKEN_LOG_LEVEL: "debug",
    });
  });
  afterAll(async () => {
    await controller?.dispose();
    await Promise.all([home?.close(), tenant?.close(), stranger?.close()]);
    await controlPlane?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  });

  test("the controller can do everything for an ApiToken, without a single refusal", async () => {
    await tenant.apply("life", { owner: "alice", duration: "1h" });
    await untilReady(tenant, "life");
    const first = readToken(await tenant.getSecret("life"));
    const keyring = await home.getSecret("apitoken-keyring");
    expect(keyring).toBeDefined();
    expect(await verifies(home, databaseUrl, first)).toBe(true);

    await tenant.annotate("life", { "apitoken.dev/rotate-requested-at": new Date().toISOString() });
    await untilReason(tenant, "life", "Rotated");
    expect(readToken(await tenant.getSecret("life"))).not.toBe(first);

    await tenant.patch("life", { scopes: ["orders:read"], secret: { labels: { team: "shop" } } });
    await eventually(async () =>
      expect((await tenant.getSecret("life"))?.metadata.labels).toMatchObject({ team: "shop" }),
    );

    for (const taken of [{ labels: null }, { ownerReferences: null }, { annotations: null }]) {
      const patch = JSON.stringify({ metadata: taken });
      await tenant.kubectl(["patch", "secret", "life", "--type=merge", "-p", patch]);
      await tenant.annotate("life", { "example.com/look": Object.keys(taken).join() });
      await eventually(async () => expect((await tenant.getSecret("life"))?.metadata).toMatchObject(RESTORED));
    }

    await tenant.kubectl(["delete", "secret", "life"]);
    await eventually(async () => expect(await tenant.getSecret("life")).toBeDefined());

    const policies = createClusterResources(tenant);
    await policies.applyPolicy("team", { maxTokensPerOwner: 10 });
    await eventually(async () =>
      expect((await policies.getPolicy("team")).status?.conditions).toMatchObject([
        { type: "Accepted", status: "True" },
      ]),
    );
    await policies.clear();

    await block(tenant, `${tenant.namespace}-block`);
    await untilReason(tenant, "life", "OwnerBlocked");
    await tenant.kubectl(["delete", "ownerblock", `${tenant.namespace}-block`]);
    await untilReady(tenant, "life");

    await tenant.patch("life", { revoked: true });
    await untilReason(tenant, "life", "RevokedBySpec");
    expect(await tenant.getSecret("life")).toBeUndefined();
    await tenant.delete("life");
    await eventually(async () => expect(await tenant.get("life")).toBeUndefined());
    expect((await findRows(databaseUrl, "life")).filter(({ is_live }) => is_live)).toEqual([]);

    const { output } = await tenant.kubectl(["get", "events.events.k8s.io", "-o", "name"]);
    expect(output).toContain("life");
    expect(controller.readLog()).not.toMatch(/"code":403|forbidden/i);
  });

  test("its keys can be rotated with its rights", async () => {
    const result = await runCommand(home, databaseUrl, ["keys", "rotate"], { KUBECONFIG: kubeconfigPath });
    expect(result).toMatchObject({ code: 0, stdout: expect.stringContaining("added") });
  });

  /** Whether the account may, according to the API server. */
  async function mayI(verb: string, resource: string, namespace?: string): Promise<boolean> {
    const as = `system:serviceaccount:${home.namespace}:${ACCOUNT}`;
    const where = namespace === undefined ? [] : ["-n", namespace];
    const { output } = await home.kubectl(["auth", "can-i", verb, resource, "--as", as, ...where]);
    return output.trim().split("\n").at(-1) === "yes";
  }

  test.each([
    ["create", "apitokens.apitoken.dev"],
    ["delete", "apitokens.apitoken.dev"],
    ["update", "apitokens.apitoken.dev"],
    ["deletecollection", "secrets"],
    ["update", "secrets"],
    ["get", "configmaps"],
    ["get", "pods"],
    ["create", "pods"],
    ["create", "pods/exec"],
    ["create", "serviceaccounts/token"],
    ["get", "leases.coordination.k8s.io/another"],
    ["delete", "leases.coordination.k8s.io"],
    ["list", "events.events.k8s.io"],
    ["create", "roles.rbac.authorization.k8s.io"],
    ["create", "rolebindings.rbac.authorization.k8s.io"],
    ["patch", "deployments.apps"],
  ])("it may not %s %s, neither in its own namespace nor in a tenant's", async (verb, resource) => {
    expect([await mayI(verb, resource, home.namespace), await mayI(verb, resource, tenant.namespace)]).toEqual([
      false,
      false,
    ]);
  });

  test.each([
    ["create", "apitokenpolicies.apitoken.dev"],
    ["update", "apitokenpolicies.apitoken.dev"],
    ["delete", "apitokenpolicies.apitoken.dev"],
    ["create", "ownerblocks.apitoken.dev"],
    ["delete", "ownerblocks.apitoken.dev"],
    ["patch", "namespaces"],
    ["delete", "namespaces"],
    ["get", "nodes"],
    ["create", "clusterroles.rbac.authorization.k8s.io"],
    ["create", "clusterrolebindings.rbac.authorization.k8s.io"],
    ["update", "customresourcedefinitions.apiextensions.k8s.io"],
    ["update", "validatingadmissionpolicies.admissionregistration.k8s.io"],
    ["impersonate", "users"],
    ["escalate", "clusterroles.rbac.authorization.k8s.io"],
  ])("it may not %s %s", async (verb, resource) => {
    expect(await mayI(verb, resource)).toBe(false);
  });

  test.skipIf(isNamespaced)("it may read everywhere", async () => {
    for (const resource of ["secrets", "apitokens.apitoken.dev"]) {
      for (const verb of ["list", "watch", "patch"]) expect(await mayI(verb, resource)).toBe(true);
    }
    expect(await mayI("create", "secrets", stranger.namespace)).toBe(true);
  });

  test.skipIf(!isNamespaced)(
    "it can read no Secret elsewhere, not even in its own namespace but for the keyring",
    async () => {
      await stranger.kubectl(["create", "secret", "generic", "theirs"]);
      await home.kubectl(["create", "secret", "generic", "database"]);
      const get = (namespace: string, name: string) =>
        home.kubectl(["--kubeconfig", kubeconfigPath, "-n", namespace, "get", "secret", name, "-o", "name"]);
      expect(await get(stranger.namespace, "theirs")).toMatchObject({
        code: 1,
        output: expect.stringContaining("Forbidden"),
      });
      expect(await get(home.namespace, "database")).toMatchObject({ code: 1 });
      expect(await get(home.namespace, "apitoken-keyring")).toMatchObject({ code: 0 });
      expect(await mayI("list", "secrets", stranger.namespace)).toBe(false);
      expect(await mayI("list", "secrets")).toBe(false);
      expect(await mayI("watch", "apitokens.apitoken.dev", stranger.namespace)).toBe(false);
    },
  );
});

async function block(cluster: TestCluster, name: string): Promise<void> {
  const body = {
    apiVersion: "apitoken.dev/v1alpha1",
    kind: "OwnerBlock",
    metadata: { name },
    spec: { owner: "alice" },
  };
  expect(await cluster.kubectl(["create", "-f", "-"], JSON.stringify(body))).toMatchObject({ code: 0 });
}

/** The tests' kubeconfig with another user. */
async function withToken({ kubectl }: TestCluster, token: string): Promise<string> {
  const { output } = await kubectl(["config", "view", "--raw", "-o", "json"]);
  const config = JSON.parse(output);
  config.users[0].user = { token };
  return JSON.stringify(config);
}

describe.skipIf(tools.helm === undefined)("the roles for people", () => {
  test.each([
    ["view", ["get", "list", "watch"], ["create", "delete"]],
    ["edit", ["get", "create", "patch", "delete"], ["impersonate"]],
    ["admin", ["get", "create", "patch", "delete"], ["impersonate"]],
  ])("the cluster's own %s", async (role, may, mayNot) => {
    const cluster = await connectCluster();
    try {
      const roles = (
        await renderChart({ devPostgres: { enabled: true } }, { namespace: cluster.namespace, release: RELEASE })
      ).filter(({ kind, metadata }) => kind === "ClusterRole" && /-(view|edit|policy-admin)$/.test(metadata.name));
      expect(roles).toHaveLength(3);
      // A controller-manager, if there is one, aggregates roles by these labels.
      const into = `rbac.authorization.k8s.io/aggregate-to-${role}`;
      const rules = roles.filter(({ metadata }) => metadata.labels?.[into] === "true").flatMap(({ rules }) => rules);
      const verbs = new Set(rules.flatMap(({ resources, verbs }) => (resources.includes("apitokens") ? verbs : [])));
      expect(may.filter((verb) => !verbs.has(verb))).toEqual([]);
      expect(mayNot.filter((verb) => verbs.has(verb))).toEqual([]);
      expect(rules.flatMap(({ resources }) => resources).filter((resource) => !/^apitokens/.test(resource))).toEqual(
        [],
      );
    } finally {
      await cluster.close();
    }
  });
});
