/*
 * kube-state-metrics itself, with our configuration and no more rights than it says, on resources as the controller has written them.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect } from "vitest";
import { parse, stringify } from "yaml";
import { findFreePorts, startProcess } from "../../../local/processes.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { startTestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest } from "../../support/fixtures.ts";
import { pathOfSample } from "../../support/gitops/samples.ts";
import { hasGitOpsTools, kubeStateMetrics } from "../../support/gitops/tools.ts";
import { untilReady, untilReason } from "../../support/resources.ts";

const ALERTS = readFileSync(pathOfSample("kube-state-metrics/alerts.yaml"), "utf8");

const userOf = ({ namespace }: TestCluster) => `kube-state-metrics-${namespace}`;

/** A kubeconfig with which an admin acts as a user who has only the rights in rights.yaml. */
async function withRights(cluster: TestCluster, folder: string): Promise<string> {
  const name = userOf(cluster);
  const rights = parse(readFileSync(pathOfSample("kube-state-metrics/rights.yaml"), "utf8"));
  const binding = {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name },
    subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name }],
  };
  const list = { apiVersion: "v1", kind: "List", items: [{ ...rights, metadata: { name } }, binding] };
  expect(await cluster.kubectl(["apply", "-f", "-"], JSON.stringify(list))).toMatchObject({ code: 0 });
  const config = parse(readFileSync(cluster.kubeconfigPath, "utf8"));
  for (const { user: credentials } of config.users) credentials.as = name;
  const path = join(folder, "kubeconfig");
  writeFileSync(path, stringify(config));
  return path;
}

/** What kube-state-metrics exports. */
const test = clusterTest.extend("readSeries", { scope: "file" }, async ({ cluster }, { onCleanup }) => {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-ksm-"));
  const [port, telemetryPort] = await findFreePorts(2);
  const config = pathOfSample("kube-state-metrics/config.yaml");
  const args = [
    `--kubeconfig=${await withRights(cluster, folder)}`,
    "--custom-resource-state-only",
    `--custom-resource-state-config-file=${config}`,
    "--host=127.0.0.1",
    `--port=${port}`,
    "--telemetry-host=127.0.0.1",
    `--telemetry-port=${telemetryPort}`,
  ];
  const program = startProcess(kubeStateMetrics, args, { logPath: join(folder, "log") });
  onCleanup(async () => {
    await program.stop();
    rmSync(folder, { recursive: true, force: true });
    await cluster.kubectl(["delete", "clusterrole,clusterrolebinding", userOf(cluster)]);
  });
  return async () => {
    expect(program.hasEnded(), readFileSync(join(folder, "log"), "utf8")).toBe(false);
    const response = await fetch(`http://127.0.0.1:${port}/metrics`);
    return readExposition(await response.text());
  };
});

/** The value of each series, by its name and its labels but for those that kube-state-metrics adds to all. */
function readExposition(text: string): Map<string, number> {
  const lines = [...text.matchAll(/^(\w+)\{(.*)\} (\S+)$/gm)];
  return new Map(
    lines.map(([, name = "", labels = "", value]) => {
      const own = [...labels.matchAll(/(\w+)="([^"]*)"/g)].filter(([, label]) => !label?.startsWith("customresource_"));
      return [
        `${name} ${own
          .map(([, label, content]) => `${label}=${content}`)
          .sort()
          .join(" ")}`,
        Number(value),
      ];
    }),
  );
}

const seconds = (time: string | undefined) => Date.parse(time ?? "") / 1_000;

describe.skipIf(!hasGitOpsTools)("kube-state-metrics", () => {
  test("exports conditions, ends and uses, with our rights for it, and every metric that the alerts ask for", async ({
    cluster,
    databaseUrl,
    resources,
    readSeries,
  }) => {
    const controller = await startTestController(cluster, databaseUrl);
    try {
      await resources.applyPolicy("seen", { priority: 10 });
      await resources.applyBlock("later", { owner: "mallory", effectiveAt: "2099-01-01T00:00:00Z" });
      await cluster.apply("good", { owner: "alice" });
      await untilReady(cluster, "good");
      await cluster.kubectl(["create", "secret", "generic", "taken", "--from-literal=token=foreign"]);
      await cluster.apply("taken", { owner: "bob" });
      await untilReason(cluster, "taken", "SecretConflict");
      await eventually(async () => expect((await resources.getPolicy("seen")).status?.namespaces).toBe(1));
    } finally {
      await controller.stop();
    }
    const used = { status: { lastUsedAt: "2026-01-02T03:04:05Z" } };
    const patch = ["patch", "apitoken", "good", "--subresource=status", "--type=merge", "-p", JSON.stringify(used)];
    expect(await cluster.kubectl(patch)).toMatchObject({ code: 0 });

    const { namespace } = cluster;
    const status = (await cluster.get("good"))?.status;
    const of = (name: string, owner: string) => `name=${name} namespace=${namespace} owner=${owner}`;
    await eventually(async () => {
      const series = await readSeries();
      const ours = [...series].filter(([name]) => name.includes(namespace));
      expect(Object.fromEntries(ours)).toEqual({
        [`kube_apitoken_condition ${of("good", "alice")} reason=Issued type=Ready`]: 1,
        [`kube_apitoken_condition ${of("taken", "bob")} reason=SecretConflict type=Ready`]: 0,
        [`kube_apitoken_condition ${of("taken", "bob")} reason=SecretConflict type=Stalled`]: 1,
        [`kube_apitoken_expires_timestamp_seconds ${of("good", "alice")}`]: seconds(status?.expiresAt),
        [`kube_apitoken_renews_timestamp_seconds ${of("good", "alice")}`]: seconds(status?.renewAt),
        [`kube_apitoken_last_used_timestamp_seconds ${of("good", "alice")}`]: seconds("2026-01-02T03:04:05Z"),
        [`kube_apitokenpolicy_condition name=${namespace}-seen reason=Accepted type=Accepted`]: 1,
        [`kube_apitokenpolicy_namespaces name=${namespace}-seen`]: 1,
        [`kube_ownerblock_condition name=${namespace}-later reason=Pending type=Effective`]: 0,
      });
      const names = new Set([...series.keys()].map((name) => name.split(" ")[0]));
      expect([...names]).toEqual(expect.arrayContaining([...new Set(ALERTS.match(/kube_\w+/g))]));
    });
  });
});
