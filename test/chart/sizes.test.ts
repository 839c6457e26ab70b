import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { applyObjects, type Rendered, renderChart, tools } from "../support/chart/helm.ts";
import { anApiTokenBody, connectCluster, type TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";

/* What a CRD cannot bound, a policy of the chart refuses, in a real API server. */

const REQUEST = "apitoken.dev/rotate-requested-at";

const finalizers = (count: number) => Array.from({ length: count }, (_, index) => `example.com/f${index}`);

describe.skipIf(tools.helm === undefined)("the metadata of an ApiToken", () => {
  let cluster: TestCluster;
  let objects: Rendered[] = [];

  const create = (name: string, metadata: object, ...args: string[]) => {
    const body = anApiTokenBody(cluster.namespace, name, { owner: "alice" });
    const input = JSON.stringify({ ...body, metadata: { ...body.metadata, ...metadata } });
    return cluster.kubectl(["create", ...args, "-f", "-"], input);
  };

  beforeAll(async () => {
    cluster = await connectCluster();
    const values = { devPostgres: { enabled: true } };
    const all = await renderChart(values, { namespace: cluster.namespace, release: "sizes" });
    objects = all.filter(({ kind, metadata }) => /Admission/.test(kind) && metadata.name.endsWith(".sizes"));
    expect(objects).toHaveLength(2);
    await create("old", { annotations: { [REQUEST]: "x".repeat(300) }, finalizers: finalizers(40) });
    // For one namespace, because other tests share the API server.
    const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": cluster.namespace } };
    const narrowed = objects.map((object) =>
      object.kind.endsWith("Binding")
        ? { ...object, spec: { ...object.spec, matchResources: { namespaceSelector } } }
        : object,
    );
    expect(await applyObjects(narrowed)).toMatchObject({ code: 0, stderr: "" });
    // An API server takes a moment to hear of a policy.
    await eventually(async () =>
      expect((await create("probe", { finalizers: finalizers(33) }, "--dry-run=server")).code).toBe(1),
    );
  });
  afterAll(async () => {
    await cluster?.kubectl(["patch", "apitoken", "old", "--type=merge", "-p", '{"metadata":{"finalizers":null}}']);
    for (const { kind, metadata } of objects) await cluster.kubectl(["delete", kind, metadata.name]);
    await cluster?.close();
  });

  test("the API server accepts the types of the expressions", async () => {
    const name = objects.find(({ kind }) => kind.endsWith("Policy"))?.metadata.name ?? "";
    const { output } = await cluster.kubectl(["get", "validatingadmissionpolicy", name, "-o", "json"]);
    expect(JSON.parse(output).status?.typeChecking?.expressionWarnings ?? []).toEqual([]);
  });

  test.each([
    ["a request", { annotations: { [REQUEST]: "x".repeat(257) } }, `${REQUEST} has 257 characters: at most 256`],
    ["finalizers", { finalizers: finalizers(33) }, "metadata.finalizers has 33 entries: at most 32"],
  ])("%s that nobody needs so large is refused", async (_what, metadata, message) => {
    expect(await create("refused", metadata)).toMatchObject({ code: 1, output: expect.stringContaining(message) });
  });

  test("what is large enough for everyone is accepted", async () => {
    const metadata = { annotations: { [REQUEST]: "x".repeat(256) }, finalizers: finalizers(32) };
    expect(await create("accepted", metadata, "--dry-run=server")).toMatchObject({ code: 0 });
  });

  test("what is there already may stay or become smaller", async () => {
    const annotate = (value: string) => cluster.kubectl(["annotate", "apitoken", "old", "--overwrite", value]);
    expect(await annotate("example.com/note=1")).toMatchObject({ code: 0 });
    expect(await annotate(`${REQUEST}=${"y".repeat(300)}`)).toMatchObject({ code: 1 });
    expect(await annotate(`${REQUEST}=now`)).toMatchObject({ code: 0 });
  });
});
