import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { parse } from "yaml";
import {
  applyObjects,
  CHART_PATH,
  type Finished,
  type Rendered,
  readValueSet,
  renderChart,
  runTool,
  tools,
  VALUE_SETS,
} from "../support/chart/helm.ts";
import { writeSchemas, writeSchemasOf } from "../support/chart/openapi-schemas.ts";
import type { TestCluster } from "../support/cluster.ts";
import { eventually } from "../support/eventually.ts";
import { ownClusterTest } from "../support/fixtures.ts";

/* What the chart renders is what an API server takes, with every set of values in its folder ci/. */

const MONITORING = "monitoring.coreos.com/v1";

/** Kinds that the tests' API server lacks: those of the Prometheus operator, if its CRDs are not available. */
const isForeign = ({ apiVersion }: Rendered) => tools.monitoringCrds === undefined && apiVersion === MONITORING;

const MISSPELT_MONITORS = [
  { kind: "ServiceMonitor", spec: { selector: {}, endpoints: [{ port: "http", intervall: "30s" }] } },
  { kind: "PodMonitor", spec: { selector: {}, podMetricEndpoints: [] } },
  { kind: "PrometheusRule", spec: { groups: [{ name: "a", rules: [{ alert: "A", expr: "1", fr: "5m" }] }] } },
].map((each) => ({ apiVersion: MONITORING, metadata: { name: "a" }, ...each }));

/** Installs the Prometheus operator's CRDs in the API server. */
async function installMonitoringCrds(cluster: TestCluster, folder: string): Promise<void> {
  const { code, output } = await cluster.kubectl(["apply", "--server-side", "-f", folder]);
  expect(code, output).toBe(0);
  await untilDocumented(cluster, MONITORING);
}

/** An API server takes a moment to publish the schemas of a new CRD. */
async function untilDocumented({ transport }: TestCluster, apiVersion: string): Promise<void> {
  await eventually(async () =>
    expect(await transport.request("GET", "/openapi/v3")).toHaveProperty(["paths", `apis/${apiVersion}`]),
  );
}

const GO_MOD = readFileSync(new URL("../../local/chart-tools/oldest-kubernetes/go.mod", import.meta.url), "utf8");
/** The oldest Kubernetes that the chart is for, such as 1.31. */
const [, OLDEST = ""] = /k8s\.io\/kubernetes v(\d+\.\d+)\./.exec(GO_MOD) ?? [];

/** On an API server of its own, because its CRDs belong to the whole cluster. */
const test = ownClusterTest
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
  .extend("folder", { scope: "file" }, async ({}, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-schemas-"));
    onCleanup(() => rmSync(folder, { recursive: true, force: true }));
    return folder;
  })
  .extend("schemas", { scope: "file" }, async ({ cluster, folder }) => {
    await untilDocumented(cluster, "apitoken.dev/v1alpha1");
    return writeSchemas(cluster.transport, join(folder, "served"));
  })
  .extend("oldestSchemas", { scope: "file" }, async ({ cluster, folder }) => {
    await untilDocumented(cluster, "apitoken.dev/v1alpha1");
    return writeSchemasOf(tools.oldestApi ?? "", cluster.transport, join(folder, "oldest"));
  });

const hasOldest = tools.kubeconform !== undefined && tools.oldestApi !== undefined;

/** What kubeconform says about these objects. */
function checkStrictly(objects: readonly object[], schemas: string): Promise<Finished> {
  const input = objects.map((object) => JSON.stringify(object)).join("\n---\n");
  return runTool(tools.kubeconform ?? "", ["-strict", "-summary", "-schema-location", schemas], { input });
}

test.beforeAll(async ({ cluster }) => {
  if (tools.monitoringCrds !== undefined) await installMonitoringCrds(cluster, tools.monitoringCrds);
  const labels = ["enforce", "warn", "audit"].map((mode) => `pod-security.kubernetes.io/${mode}=restricted`);
  await cluster.kubectl(["label", "namespace", cluster.namespace, ...labels]);
  for (const namespace of ["team-a", "team-b"]) await cluster.kubectl(["create", "namespace", namespace]);
  // Pods need one. A controller manager would create it, but this API server has none.
  await cluster.kubectl(["create", "serviceaccount", "default"]);
});

test("helm, and the schemas for kubeconform, are available in CI", () => {
  if (process.env.CI === "true")
    expect(tools).toMatchObject({
      helm: expect.any(String),
      monitoringCrds: expect.any(String),
      oldestApi: expect.any(String),
    });
});

test("the oldest Kubernetes that is checked is that which the chart names", () => {
  const { kubeVersion } = parse(readFileSync(join(CHART_PATH, "Chart.yaml"), "utf8"));
  expect(kubeVersion).toBe(`>=${OLDEST}.0-0`);
});

describe.skipIf(tools.helm === undefined).each(VALUE_SETS)("with the values %s", (name) => {
  const values = parse(readValueSet(name)) as object;
  const render = (cluster: TestCluster) => renderChart(values, { namespace: cluster.namespace });

  test("helm lint --strict finds nothing", async () => {
    const path = join(CHART_PATH, "ci", `${name}-values.yaml`);
    const { code, stdout, stderr } = await runTool(tools.helm ?? "", [
      "lint",
      "--strict",
      CHART_PATH,
      "--values",
      path,
    ]);
    expect(stdout + stderr).toContain("0 chart(s) failed");
    expect(stdout + stderr).not.toMatch(/WARNING|ERROR/);
    expect(code).toBe(0);
  });

  test("the API server accepts every object without a warning, even with Pod Security restricted", async ({
    cluster,
  }) => {
    const objects = (await render(cluster)).filter((object) => !isForeign(object));
    const args = ["--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict"];
    const { code, stdout, stderr } = await applyObjects(objects, args, cluster.kubeconfigPath);
    expect(stderr).toBe("");
    expect(stdout.trim().split("\n")).toHaveLength(objects.length);
    expect(code).toBe(0);
  });

  test.skipIf(tools.kubeconform === undefined)("kubeconform -strict finds nothing", async ({ cluster, schemas }) => {
    const objects = (await render(cluster)).filter((object) => !isForeign(object));
    const { code, stdout, stderr } = await checkStrictly(objects, schemas);
    expect(stdout + stderr).toContain(`Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0`);
    expect(code).toBe(0);
  });

  test.skipIf(!hasOldest)(`nor does it for Kubernetes ${OLDEST}`, async ({ cluster, oldestSchemas }) => {
    const options = { namespace: cluster.namespace, args: ["--kube-version", OLDEST] };
    const objects = (await renderChart(values, options)).filter((object) => !isForeign(object));
    const { code, stdout, stderr } = await checkStrictly(objects, oldestSchemas);
    expect(stdout + stderr).toContain(`Valid: ${objects.length}, Invalid: 0, Errors: 0, Skipped: 0`);
    expect(code).toBe(0);
  });

  test("names, namespaces and labels are in order", async ({ cluster }) => {
    const objects = await render(cluster);
    const ids = objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { kind, metadata } of objects.filter(({ metadata }) => !metadata.name.includes("extra"))) {
      expect(metadata.labels, `${kind} ${metadata.name}`).toMatchObject({
        "app.kubernetes.io/instance": "tokens",
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/part-of": "apitoken-operator",
      });
    }
  });
});

test.skipIf(tools.kubeconform === undefined || tools.helm === undefined)(
  "kubeconform would find a misspelt field, of ours, of Kubernetes' and of the Prometheus operator's",
  async ({ schemas }) => {
    const objects = [
      { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "a" }, dta: {} },
      {
        apiVersion: "apitoken.dev/v1alpha1",
        kind: "ApiToken",
        metadata: { name: "a" },
        spec: { owner: "a", scope: [] },
      },
      { apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "a" }, spec: { replicas: "two" } },
      ...(tools.monitoringCrds === undefined ? [] : MISSPELT_MONITORS),
    ];
    const { stdout } = await checkStrictly(objects, schemas);
    expect(stdout).toContain(`Invalid: ${objects.length}, Errors: 0`);
  },
);

test.skipIf(!hasOldest)("kubeconform would find what only a later Kubernetes has", async ({ oldestSchemas }) => {
  const pod = (spec: object) => ({ apiVersion: "v1", kind: "Pod", metadata: { name: "a" }, spec });
  const containers = [{ name: "a", image: "a" }];
  // spec.resources of a pod came with 1.32, and MutatingAdmissionPolicies of v1 with 1.36.
  const policy = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "MutatingAdmissionPolicy",
    metadata: { name: "a" },
  };
  const { stdout } = await checkStrictly(
    [pod({ containers }), pod({ containers, resources: { limits: { cpu: "1" } } }), policy],
    oldestSchemas,
  );
  expect(stdout).toContain("Valid: 1, Invalid: 1, Errors: 1");
});
