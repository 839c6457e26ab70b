import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyObjects, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { anApiTokenBody, connectCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

/* The chart's ValidatingAdmissionPolicies in a real API server: they refuse at once, with what and why. */

const RULE = {
  name: "team",
  namespaceSelector: { matchLabels: { "apitoken-test-admission": "team" } },
  maxDuration: "24h",
  owners: ["${namespace}/*", "it's+me@example.com"],
  scopes: ["orders:*"],
  names: ["*-token"],
};

describe.skipIf(tools.helm === undefined)("with a rule for its namespace", () => {
  let cluster: TestCluster;
  let objects: Rendered[];
  const create = (name: string, spec: object, ...args: string[]) =>
    cluster.kubectl(["create", ...args, "-f", "-"], JSON.stringify(anApiTokenBody(cluster.namespace, name, spec)));

  beforeAll(async () => {
    cluster = await connectCluster();
    const values = { devPostgres: { enabled: true }, admission: { rules: [RULE] } };
    objects = (await renderChart(values, { namespace: cluster.namespace })).filter(
      ({ kind, metadata }) => /Admission/.test(kind) && metadata.name.endsWith("-team"),
    );
    expect(objects).toHaveLength(2);
    await create("early-token", { owner: "somebody", duration: "720h" });
    await cluster.kubectl(["label", "namespace", cluster.namespace, "apitoken-test-admission=team"]);
    expect(await applyObjects(objects)).toMatchObject({ code: 0, stderr: "" });
    // An API server takes a moment to hear of a policy.
    await eventually(async () => expect((await create("probe", { owner: "x" }, "--dry-run=server")).code).toBe(1));
  });
  afterAll(async () => {
    for (const { kind, metadata } of objects ?? []) await cluster.kubectl(["delete", kind, metadata.name]);
    await cluster?.close();
  });

  test("the API server accepts the types of the expressions", async () => {
    const name = objects[0]?.metadata.name ?? "";
    const { output } = await cluster.kubectl(["get", "validatingadmissionpolicy", name, "-o", "json"]);
    expect(JSON.parse(output).status?.typeChecking?.expressionWarnings ?? []).toEqual([]);
  });

  test.each([
    ["too long a duration", "a-token", { duration: "25h" }, "spec.duration is 25h: at most 24h is allowed here"],
    ["too late an end", "a-token", { expiresAt: "2999-01-01T00:00:00Z" }, "it may be at most 24h in the future here"],
    ["another owner", "a-token", { owner: "mallory" }, "spec.owner is mallory: in namespace test-"],
    ["an owner who only begins so", "a-token", { owner: "it's+me@example.com.evil" }, "spec.owner is it's+me"],
    [
      "an owner whom an expression would take for the glob",
      "a-token",
      { owner: "it'ssme@example.com" },
      "spec.owner is",
    ],
    [
      "a forbidden scope",
      "a-token",
      { scopes: ["orders:read", "admin"] },
      "spec.scopes has a scope that is not allowed",
    ],
    ["another name", "secret", {}, "metadata.name is secret: in namespace test-"],
  ])("%s is refused, with the reason", async (_what, name, spec, fault) => {
    const { code, output } = await create(name, { owner: `${cluster.namespace}/app`, ...spec });
    expect(output).toContain(fault);
    expect(code).toBe(1);
  });

  test.each([
    ["own-token", { owner: "ns" }],
    ["me-token", { owner: "it's+me@example.com", scopes: ["orders:read"], duration: "24h" }],
    ["end-token", { owner: "ns", expiresAt: new Date(Date.now() + 23 * 3_600_000).toISOString() }],
  ])("what the rule allows is accepted: %s", async (name, { owner, ...spec }) => {
    const result = await create(name, { ...spec, owner: owner === "ns" ? `${cluster.namespace}/app` : owner });
    expect(result).toMatchObject({ code: 0 });
  });

  test("an ApiToken that existed before can lose its finalizer and change its labels, but not its spec", async () => {
    expect((await cluster.annotate("early-token", { seen: "yes" })).metadata.annotations).toMatchObject({
      seen: "yes",
    });
    await expect(cluster.patch("early-token", { description: "still here" })).rejects.toMatchObject({ code: 422 });
    await cluster.delete("early-token");
    expect(await cluster.get("early-token")).toBeUndefined();
  });
});
