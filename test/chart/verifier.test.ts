import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { parseDuration } from "../../src/token/duration.ts";
import { findDeployment, findObject, type Rendered, readValueSet, renderChart, tools } from "../support/chart/helm.ts";

/* What a platform team relies on when it enables the verifier. */

const DEV = { devPostgres: { enabled: true } };
const VALUES = parse(readValueSet("verifier"));
const NAME = "tokens-apitoken-operator-verifier";

const podOf = (objects: readonly Rendered[]) => findDeployment(objects, "verifier").spec.template.spec;

describe.skipIf(tools.helm === undefined)("the verifier", () => {
  test("is not installed unless somebody enables it", async () => {
    const objects = await renderChart(DEV);
    expect(objects.filter(({ metadata }) => metadata.name.includes("verifier"))).toEqual([]);
  });

  test("has no credentials but its own login, the keyring, and what the values name, and can change none", async () => {
    const pod = podOf(await renderChart(VALUES));
    expect(pod.automountServiceAccountToken).toBe(false);
    const secrets = pod.volumes.flatMap(({ secret }: { secret?: { secretName: string } }) => secret?.secretName ?? []);
    const named = ["verifier-break-glass", "verifier-signing", "verifier-tls"];
    expect(secrets.sort()).toEqual(["apitoken-keyring", "tokens-verifier", ...named]);
    const volumes = pod.volumes.filter(({ secret }: { secret?: object }) => secret !== undefined);
    const [{ volumeMounts }] = pod.containers;
    for (const { name } of volumes) {
      const mounts = volumeMounts.filter((mount: { name: string }) => mount.name === name);
      for (const mount of mounts) expect(mount).toMatchObject({ readOnly: true });
    }
  });

  test("speaks TLS with the certificate of a Secret, and plain HTTP without one", async () => {
    const names = async (values: object) =>
      podOf(await renderChart(values)).containers[0].env.map(({ name }: { name: string }) => name);
    const files = ["APITOKEN_VERIFIER_TLS_CERT", "APITOKEN_VERIFIER_TLS_KEY"];
    expect(await names(VALUES)).toEqual(expect.arrayContaining(files));
    expect(await names({ ...VALUES, verifier: { enabled: true } })).not.toEqual(expect.arrayContaining(files));
  });

  test("has the time to answer what is still sent to a pod that ends", async () => {
    const pod = podOf(await renderChart(VALUES));
    const drain = pod.containers[0].env.find(({ name }: { name: string }) => name === "APITOKEN_VERIFIER_DRAIN");
    expect(pod.terminationGracePeriodSeconds * 1_000).toBeGreaterThanOrEqual(parseDuration(drain.value) + 5_000);
  });

  test("keeps its replicas apart, and loses one at a time", async () => {
    const objects = await renderChart({ ...DEV, verifier: { enabled: true } });
    const deployment = findDeployment(objects, "verifier");
    const { matchLabels } = deployment.spec.selector;
    const spread = deployment.spec.template.spec.topologySpreadConstraints;
    expect(spread.map(({ topologyKey }: { topologyKey: string }) => topologyKey)).toEqual([
      "kubernetes.io/hostname",
      "topology.kubernetes.io/zone",
    ]);
    for (const { labelSelector } of spread) expect(labelSelector).toEqual({ matchLabels });
    expect(deployment.spec.strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
    const budget = findObject(objects, "PodDisruptionBudget", NAME).spec;
    expect(budget).toMatchObject({ maxUnavailable: 1, selector: { matchLabels } });
  });

  test("is scraped and tested like the controller, even where peers are named", async () => {
    const objects = await renderChart({
      ...VALUES,
      metrics: { serviceMonitor: { enabled: true }, podMonitor: { enabled: true } },
      networkPolicy: { metricsFrom: [{ namespaceSelector: {} }] },
    });
    const { matchLabels } = findDeployment(objects, "verifier").spec.selector;
    for (const kind of ["ServiceMonitor", "PodMonitor"]) {
      expect(findObject(objects, kind, NAME).spec.selector, kind).toEqual({ matchLabels });
    }
    const isOfTest = ({ podSelector }: { podSelector?: { matchLabels: Record<string, string> } }) =>
      podSelector?.matchLabels["app.kubernetes.io/component"] === "test";
    expect(findObject(objects, "NetworkPolicy", NAME).spec.ingress[0].from.some(isOfTest)).toBe(true);
    const [pod] = findObject(objects, "Pod").spec.containers;
    expect(pod.args.join()).toContain(`retry("verifier", "${NAME}", 60)`);
  });

  test("lets to each of its ports only those whom the values name, and reaches DNS and the database only", async () => {
    const peer = (name: string) => ({ namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": name } } });
    const objects = await renderChart({
      ...VALUES,
      database: { ...VALUES.database, port: 6432 },
      networkPolicy: {
        metricsFrom: [peer("monitoring")],
        verifyFrom: [peer("gateways")],
        introspectFrom: [peer("backends")],
        databaseTo: [peer("databases")],
      },
    });
    const { podSelector, policyTypes, ingress, egress } = findObject(objects, "NetworkPolicy", NAME).spec;
    const { selector, template } = findDeployment(objects, "verifier").spec;
    expect(podSelector).toEqual({ matchLabels: selector.matchLabels });
    expect(policyTypes).toEqual(["Ingress", "Egress"]);
    type Rule = { ports: { port: string | number; protocol?: string }[]; from?: object[]; to?: object[] };
    const numbers = new Map<string | number, number>(
      template.spec.containers[0].ports.map(
        ({ name, containerPort }: { name: string; containerPort: number }) => [name, containerPort] as const,
      ),
    );
    const isOfTest = (from: object) => "podSelector" in from;
    const admitted = (ingress as Rule[]).flatMap(({ ports, from }) =>
      ports.map(({ port }) => [numbers.get(port), from?.filter((one) => !isOfTest(one))]),
    );
    expect(admitted).toEqual([
      [8080, [peer("monitoring")]],
      [8181, [peer("gateways")]],
      [8183, [peer("gateways")]],
      [8182, [peer("backends")]],
    ]);
    const reached = (egress as Rule[]).map(({ ports, to }) => [[...new Set(ports.map(({ port }) => port))], to]);
    expect(reached).toEqual([
      [[53, 5353], undefined],
      [[6432], [peer("databases")]],
    ]);
  });

  test("is ready when it says so itself, and alive as long as it answers", async () => {
    const [{ readinessProbe, livenessProbe }] = podOf(await renderChart(VALUES)).containers;
    expect(readinessProbe.httpGet).toEqual({ path: "/readyz", port: "http" });
    expect(livenessProbe.httpGet).toEqual({ path: "/healthz", port: "http" });
  });
});
