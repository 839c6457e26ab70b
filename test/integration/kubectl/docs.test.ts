/*
 * docs/kubectl.md shows what the plugin prints: its commands are run one after the other, as a reader would, on a cluster like the one
 * that it describes. UPDATE_DOCS=1 writes what they print now into the guide.
 */
import { execFile } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname } from "node:path";
import { promisify } from "node:util";
import { expect, inject } from "vitest";
import { parse } from "yaml";
import type { TestCluster } from "../../support/cluster.ts";
import { maskOutput, readConsoleBlocks, type ShownCommand, writeConsoleBlocks } from "../../support/console-docs.ts";
import { startControllerProcess } from "../../support/controller-process.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest } from "../../support/fixtures.ts";
import { installPlugin } from "../../support/kubectl.ts";

const GUIDE = new URL("../../../docs/kubectl.md", import.meta.url);
const POLICY = new URL("../../../examples/platform/default-policy.yaml", import.meta.url);
const GROUP = "/apis/apitoken.dev/v1alpha1";

const test = ownClusterTest
  .extend("world", { scope: "file", auto: true }, async ({ cluster, databaseUrl }, { onCleanup }) => {
    await buildWorld(cluster);
    const controller = await startControllerProcess(cluster, databaseUrl, "tokens-controller-7d9f8c6b5-x2x4q", {
      APITOKEN_WATCH_NAMESPACES: "",
      APITOKEN_NAMESPACE: "apitoken-system",
    });
    onCleanup(() => controller.dispose());
    return controller;
  })
  .extend("plugin", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
    const plugin = installPlugin(cluster);
    onCleanup(() => plugin.dispose());
    return plugin;
  });

const create = ({ transport }: TestCluster, path: string, body: object) => transport.request("POST", path, { body });

/** A cluster with the chart's objects, its default policy, a policy for people, and a Secret in the way of an ApiToken. */
async function buildWorld(cluster: TestCluster): Promise<void> {
  await cluster.transport.request("DELETE", `${GROUP}/apitokenpolicies/tests`);
  for (const name of ["apitoken-system", "shop", "people"]) {
    await create(cluster, "/api/v1/namespaces", { metadata: { name } });
  }
  const policies = `${GROUP}/apitokenpolicies`;
  await create(cluster, policies, parse(readFileSync(POLICY, "utf8")));
  const namespaceSelector = { matchLabels: { "kubernetes.io/metadata.name": "people" } };
  const people = { namespaceSelector, owners: ["*@example.com"], maxTokensPerOwner: 5 };
  await create(cluster, policies, aResource("ApiTokenPolicy", { name: "people" }, people));
  await createChartObjects(cluster);
  await create(cluster, "/api/v1/namespaces/shop/secrets", { metadata: { name: "billing" } });
  const tokens = [
    ["shop", "billing", "shop/billing"],
    ["people", "laptop", "alice@example.com"],
    ["people", "notebook", "alice@example.com"],
  ];
  for (const [namespace, name, owner] of tokens) {
    const body = aResource("ApiToken", { namespace, name }, { owner });
    await create(cluster, `${GROUP}/namespaces/${namespace}/apitokens`, body);
  }
}

function aResource(kind: string, metadata: object, spec: object) {
  return { apiVersion: "apitoken.dev/v1alpha1", kind, metadata, spec };
}

/** Deployments and a CronJob as they are when all is well. No controller of Kubernetes runs here that would make it so. */
async function createChartObjects(cluster: TestCluster): Promise<void> {
  const labelsOf = (component: string) => ({
    "app.kubernetes.io/part-of": "apitoken-operator",
    "app.kubernetes.io/component": component,
    "app.kubernetes.io/version": "0.1.0",
  });
  const templateOf = (component: string) => ({
    metadata: { labels: labelsOf(component) },
    spec: { restartPolicy: "Always", containers: [{ name: component, image: "x" }] },
  });
  const write = async (path: string, name: string, body: object, status: object) => {
    await create(cluster, path, body);
    const contentType = "application/merge-patch+json";
    await cluster.transport.request("PATCH", `${path}/${name}/status`, { contentType, body: { status } });
  };
  for (const component of ["controller", "verifier"]) {
    const name = `tokens-${component}`;
    const selector = { matchLabels: labelsOf(component) };
    const spec = { replicas: 2, selector, template: templateOf(component) };
    const status = { replicas: 2, readyReplicas: 2, availableReplicas: 2 };
    const path = "/apis/apps/v1/namespaces/apitoken-system/deployments";
    await write(path, name, { metadata: { name, labels: labelsOf(component) }, spec }, status);
  }
  const template = templateOf("cleanup");
  const jobTemplate = { spec: { template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } } };
  const metadata = { name: "tokens-cleanup", labels: labelsOf("cleanup") };
  const lastSuccessfulTime = new Date().toISOString().replace(/\.\d+Z/, "Z");
  await write(
    "/apis/batch/v1/namespaces/apitoken-system/cronjobs",
    "tokens-cleanup",
    { metadata, spec: { schedule: "17 3 * * *", jobTemplate } },
    { lastScheduleTime: lastSuccessfulTime, lastSuccessfulTime },
  );
}

/** What must have happened before a command, for its output to be complete: Events are written after the status. */
const EVENTS: Readonly<Record<string, readonly [namespace: string, name: string, reason: string]>> = {
  "kubectl apitoken status billing -n shop": ["shop", "billing", "SecretConflict"],
  "kubectl apitoken status orders -n shop": ["shop", "orders", "Rotated"],
  "kubectl apitoken owner alice@example.com": ["people", "notebook", "Issued"],
};

async function untilEvent({ transport }: TestCluster, namespace: string, name: string, reason: string) {
  await eventually(async () => {
    const query = { fieldSelector: `involvedObject.name=${name},reason=${reason}` };
    const path = `/api/v1/namespaces/${namespace}/events`;
    const { items } = await transport.request<{ items: object[] }>("GET", path, { query });
    expect(items.length).toBeGreaterThan(0);
  });
}

/** Each command starts two programs. */
test("the commands of docs/kubectl.md print what it shows", { timeout: 240_000 }, async ({ cluster, plugin }) => {
  const env = {
    ...process.env,
    PATH: [plugin.path, dirname(inject("servers").kubectlPath), process.env.PATH].join(delimiter),
    KUBECONFIG: cluster.kubeconfigPath,
    NO_COLOR: "1",
  };
  const run = async (command: string): Promise<string> => {
    const event = EVENTS[command];
    if (event !== undefined) await untilEvent(cluster, ...event);
    // Some of them end with a code that says what they have found.
    const { stdout } = await promisify(execFile)("sh", ["-c", `{ ${command}; } 2>&1 || true`], { env });
    return stdout.trimEnd().replaceAll(/ +$/gm, "");
  };
  const text = readFileSync(GUIDE, "utf8");
  const shown = readConsoleBlocks(text);
  const printed: ShownCommand[][] = [];
  for (const block of shown) {
    const commands: ShownCommand[] = [];
    for (const { command, output } of block) {
      const now = await run(command);
      // What differs only in what is different each time stays as it is.
      commands.push({ command, output: maskOutput(now) === maskOutput(output) ? output : now });
    }
    printed.push(commands);
  }
  if (process.env.UPDATE_DOCS === "1") writeFileSync(GUIDE, writeConsoleBlocks(text, printed));
  else expect(printed, "UPDATE_DOCS=1 writes what is printed now").toEqual(shown);
  expect(shown.flat().length).toBeGreaterThan(10);
});
