import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyObjects, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { connectCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

/*
 * What RBAC lets the controller's account do to any Secret, the chart's policy narrows to the Secrets that it makes.
 * That the controller itself gets by with that is shown by rights.test.ts, and that the expressions have no faults by
 * the e2e.
 */

const RELEASE = `secrets-${randomBytes(3).toString("hex")}`;
const ACCOUNT = `${RELEASE}-apitoken-operator`;
const KINDS = /^(ServiceAccount|(Cluster)?Role(Binding)?|ValidatingAdmissionPolicy(Binding)?)$/;
interface ToCreate {
  readonly type?: string;
  readonly labels?: Record<string, string>;
  readonly annotations?: Record<string, string>;
}

const LABEL = { "apitoken.dev/managed": "true" };

describe.skipIf(tools.helm === undefined)("the controller's account", () => {
  let home: TestCluster;
  let tenant: TestCluster;
  let objects: Rendered[];

  beforeAll(async () => {
    [home, tenant] = await Promise.all([connectCluster(), connectCluster()]);
    const values = { devPostgres: { enabled: true } };
    const all = await renderChart(values, { namespace: home.namespace, release: RELEASE });
    objects = all.filter(({ kind }) => KINDS.test(kind));
    expect(await applyObjects(objects)).toMatchObject({ code: 0, stderr: "" });
    // An API server takes a moment to hear of a policy.
    await eventually(async () => expect((await create("probe", {}, "--dry-run=server")).code).toBe(1));
  });
  afterAll(async () => {
    const clusterScoped = objects?.filter(({ metadata }) => metadata.namespace === undefined) ?? [];
    for (const { kind, metadata } of clusterScoped) await home.kubectl(["delete", kind, metadata.name]);
    await Promise.all([home?.close(), tenant?.close()]);
  });

  const asAccount = () => ["--as", `system:serviceaccount:${home.namespace}:${ACCOUNT}`];

  /** Creates a Secret in the tenant's namespace as the account. */
  function create(name: string, { type = "Opaque", ...metadata }: ToCreate, ...args: string[]) {
    const body = { apiVersion: "v1", kind: "Secret", type, metadata: { name, ...metadata } };
    return tenant.kubectl(["create", "-f", "-", ...asAccount(), ...args], JSON.stringify(body));
  }

  /** Changes or deletes one as the account. */
  const act = (verb: string, ...args: string[]) => tenant.kubectl([verb, "secret", ...args, ...asAccount()]);
  const merge = (name: string, patch: object) => act("patch", name, "--type=merge", "-p", JSON.stringify(patch));

  test("may create Secrets everywhere by RBAC: only the policy prevents it", async () => {
    const { output } = await tenant.kubectl(["auth", "can-i", "create", "secrets", ...asAccount()]);
    expect(output.trim()).toBe("yes");
  });

  test("gets no credentials of another account, not even with the label", async () => {
    await tenant.kubectl(["create", "serviceaccount", "admin"]);
    const { code, output } = await create("minted", {
      labels: LABEL,
      annotations: { "kubernetes.io/service-account.name": "admin" },
      type: "kubernetes.io/service-account-token",
    });
    expect(output).toContain(
      "the Secret is of type kubernetes.io/service-account-token: the controller writes only Secrets of type Opaque",
    );
    expect(code).toBe(1);
    expect(await tenant.getSecret("minted")).toBeUndefined();
  });

  test("creates Secrets with its label and, without it, only the keyring in its own namespace", async () => {
    expect(await create("labelled", { labels: LABEL })).toMatchObject({ code: 0 });
    expect(await create("bare", {})).toMatchObject({ code: 1, output: expect.stringContaining("lacks the label") });
    expect(await create("apitoken-keyring", {})).toMatchObject({ code: 1 });
    const atHome = [...asAccount(), "-n", home.namespace];
    const body = { apiVersion: "v1", kind: "Secret", metadata: { name: "apitoken-keyring" } };
    const made = await home.kubectl(["create", "-f", "-", ...atHome], JSON.stringify(body));
    expect(made).toMatchObject({ code: 0 });
    const patch = '{"stringData":{"keyring.json":"{}"}}';
    const changed = await home.kubectl(["patch", "secret", "apitoken-keyring", "-p", patch, ...atHome]);
    expect(changed).toMatchObject({ code: 0 });
  });

  test("cannot change, delete or adopt other people's Secrets", async () => {
    await tenant.kubectl(["create", "secret", "generic", "theirs", "--from-literal=password=first"]);
    const refused = { code: 1, output: expect.stringContaining("the Secret does not belong to an ApiToken") };
    expect(await merge("theirs", { data: { password: "" } })).toMatchObject(refused);
    expect(await merge("theirs", { metadata: { labels: LABEL }, data: { password: "" } })).toMatchObject(refused);
    expect(await act("delete", "theirs")).toMatchObject(refused);
    expect((await tenant.getSecret("theirs"))?.data).toEqual({ password: Buffer.from("first").toString("base64") });
  });

  test("can release its own Secrets, and delete them", async () => {
    await create("own", { labels: LABEL });
    expect(await merge("own", { metadata: { labels: { "apitoken.dev/managed": null } } })).toMatchObject({ code: 0 });
    expect(await act("delete", "own")).toMatchObject({ code: 1 });
    await create("next", { labels: LABEL });
    expect(await act("delete", "next")).toMatchObject({ code: 0 });
  });

  test("of another release is not affected by this policy, nor is anybody else", async () => {
    const another = ["--as", `system:serviceaccount:${tenant.namespace}:${ACCOUNT}`, "--as-group", "system:masters"];
    expect(await tenant.kubectl(["create", "secret", "generic", "another", ...another])).toMatchObject({ code: 0 });
    expect(await tenant.kubectl(["create", "secret", "generic", "people"])).toMatchObject({ code: 0 });
  });
});

test.skipIf(tools.helm === undefined)("the policy can be left out", async () => {
  const rendered = await renderChart({
    devPostgres: { enabled: true },
    admission: { ownSecretsOnly: false, recordRequester: false, limitSizes: false },
  });
  expect(rendered.filter(({ kind }) => /Admission/.test(kind))).toEqual([]);
});
