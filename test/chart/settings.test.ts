import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { cleanupCommand } from "../../src/cleanup/command.ts";
import { readSettings } from "../../src/cleanup/config.ts";
import { parseConfigFile } from "../../src/cleanup/config-file.ts";
import { controllerEnvironment, readControllerConfig } from "../../src/controller/config.ts";
import { buildCrds } from "../../src/kube/crds/crd.ts";
import { parsePolicy } from "../../src/kube/resources/policy.ts";
import { findCall } from "../../src/runtime/command/parse.ts";
import { readVerifierConfig, verifierEnvironment } from "../../src/verifier/config.ts";
import {
  findDeployment,
  findObject,
  type Rendered,
  readValueSet,
  renderChart,
  tools,
  VALUE_SETS,
} from "../support/chart/helm.ts";

const DEV = { devPostgres: { enabled: true } };
const SERVED = ["--api-versions", "apitoken.dev/v1alpha1/ApiTokenPolicy"];

/** A container's variables, with plausible values for those that come from elsewhere. */
function readEnv({ env }: { env: { name: string; value?: string; valueFrom?: object }[] }): Record<string, string> {
  const elsewhere: Record<string, string> = { DATABASE_URL: "postgres://u@h/d", APITOKEN_NAMESPACE: "apitoken-system" };
  return Object.fromEntries(env.map(({ name, value }) => [name, value ?? elsewhere[name] ?? "from-a-secret"]));
}

const containersOf = (deployment: Rendered) => deployment.spec.template.spec.containers;
const podOf = (cronJob: Rendered) => cronJob.spec.jobTemplate.spec.template.spec;

describe.skipIf(tools.helm === undefined)("the programs read", () => {
  test("the chart's defaults as their own", async () => {
    const objects = await renderChart(DEV);
    const env = readEnv(containersOf(findDeployment(objects, "controller"))[0]);
    const { DATABASE_URL = "", APITOKEN_DATABASE_PASSWORD_FILE = "" } = env;
    const own = { DATABASE_URL, APITOKEN_DATABASE_PASSWORD_FILE };
    expect(readControllerConfig(env)).toEqual(readControllerConfig(own));

    const cleanup = readEnv(podOf(findObject(objects, "CronJob")).containers[0]);
    const empty = parseConfigFile("", "none");
    const expected = { ...own, APITOKEN_DATABASE_PASSWORD_FILE: cleanup.APITOKEN_DATABASE_PASSWORD_FILE };
    expect(readSettings(cleanup, empty)).toEqual(readSettings(expected, empty));
  });

  test("the chart's defaults of the verifier as their own", async () => {
    const objects = await renderChart({ ...DEV, verifier: { enabled: true } });
    const env = readEnv(containersOf(findDeployment(objects, "verifier"))[0]);
    const { DATABASE_URL = "", APITOKEN_DATABASE_PASSWORD_FILE = "", APITOKEN_KEYRING_FILE = "" } = env;
    const own = { DATABASE_URL, APITOKEN_DATABASE_PASSWORD_FILE, APITOKEN_KEYRING_FILE };
    expect(readVerifierConfig(env)).toEqual(readVerifierConfig(own));
    expect(
      Object.keys(env).filter((name) => name.startsWith("APITOKEN_") && !(name in verifierEnvironment.shape)),
    ).toEqual([]);
  });

  test.each(VALUE_SETS)("the settings of the values %s, and know all of them", async (name) => {
    const objects = await renderChart(parse(readValueSet(name)));
    const known = Object.keys(controllerEnvironment.shape);
    const env = readEnv(containersOf(findDeployment(objects, "controller"))[0]);
    // A file that exists only in a pod cannot be read here.
    env.DATABASE_URL = env.DATABASE_URL?.replace(/sslrootcert=[^&]*&?|sslcert=[^&]*&?|sslkey=[^&]*&?/g, "") ?? "";
    expect(() => readControllerConfig(env)).not.toThrow();
    const ours = Object.keys(env).filter((variable) => variable.startsWith("APITOKEN_"));
    expect(ours.filter((variable) => !known.includes(variable))).toEqual([]);
  });

  test("the prefix of the installation's tokens", async () => {
    const prefixWith = async (controller: object) => {
      const objects = await renderChart({ ...DEV, controller });
      return readControllerConfig(readEnv(containersOf(findDeployment(objects, "controller"))[0])).tokenPrefix;
    };
    expect(await prefixWith({})).toBe("apt");
    expect(await prefixWith({ tokenPrefix: "acme" })).toBe("acme");
  });

  test("targets of the cleanup in every form that its configuration file knows", async () => {
    const values = parse(readValueSet("production"));
    const targets = [
      {
        preset: "grafana",
        schema: "grafana",
        with: { idle: "14d" },
        retention: { expired: "1d" },
        confirm: "1a2b3c4d5e6f",
      },
      {
        table: "app.sessions",
        name: "sessions",
        where: "kind = 1",
        expiresAt: ["ends", { column: "created", plus: "30d" }, { column: "created", plusSeconds: "life" }],
        revokedAt: { column: "updated", plus: "1h" },
        revoked: "state = 'off'",
        never: [253402300799, "9999-12-31"],
        timezone: "UTC",
        epoch: "microseconds",
        auditKeys: "plain",
        cascade: ["app.devices"],
        firstRunMaxFraction: 0.8,
        confirm: ["1a2b3c4d5e6f"],
      },
      { table: "app.keys", revoked: "active = false" },
    ];
    const objects = await renderChart({ ...values, cleanup: { ...values.cleanup, targets } });
    const configMap = findObject(objects, "ConfigMap", "tokens-apitoken-operator-cleanup");
    const read = (text: string) => parseConfigFile(text, "config.yaml").targets;
    expect(read(configMap.data["config.yaml"])).toEqual(read(JSON.stringify({ targets })));
  });

  test("the cleanup's targets and limits", async () => {
    const values = parse(readValueSet("production"));
    const objects = await renderChart({
      ...values,
      cleanup: { ...values.cleanup, maxRows: 10_000_000, maxFraction: 0.25 },
    });
    const configMap = findObject(objects, "ConfigMap", "tokens-apitoken-operator-cleanup");
    const file = parseConfigFile(configMap.data["config.yaml"], "config.yaml");
    expect(file.targets.map(({ table, epoch, key }) => ({ table, epoch, key }))).toEqual([
      { table: { schema: "app", table: "refresh_tokens" }, epoch: undefined, key: undefined },
      { table: { schema: "app", table: "user_sessions" }, epoch: "seconds", key: ["tenant", "id"] },
    ]);
    expect(file.targets[0]?.retention).toEqual({ expiredMs: 7 * 86_400_000, revokedMs: 86_400_000 });

    const { args } = podOf(findObject(objects, "CronJob")).containers[0];
    expect(findCall(cleanupCommand, args)).toMatchObject({
      kind: "run",
      path: ["cleanup"],
      options: {
        config: "/etc/apitoken/cleanup/config.yaml",
        "max-rows": 10_000_000,
        "max-fraction": 0.25,
        "max-duration": 7_200_000,
      },
    });
  });

  test("the default policy", async () => {
    const policy = findObject(await renderChart(DEV, { args: SERVED }), "ApiTokenPolicy");
    const parsed = parsePolicy({ metadata: { name: "default", uid: "u", resourceVersion: "1" }, spec: policy.spec });
    expect(parsed).toMatchObject({
      owners: ["${namespace}", "${namespace}/*"],
      owner: { max: 1, onLimit: "RevokeOldest" },
    });
  });
});

describe.skipIf(tools.helm === undefined)("the chart creates", () => {
  test("the CRDs unchanged, and keeps them when the release is removed", async () => {
    const crds = (await renderChart(DEV)).filter(({ kind }) => kind === "CustomResourceDefinition");
    const ours = Object.values(buildCrds()) as unknown as { metadata: { name: string }; spec: object }[];
    expect(crds.map(({ metadata, spec }) => [metadata.name, spec]).sort()).toEqual(
      JSON.parse(JSON.stringify(ours.map(({ metadata, spec }) => [metadata.name, spec]))).sort(),
    );
    for (const { metadata } of crds) expect(metadata.annotations).toEqual({ "helm.sh/resource-policy": "keep" });
  });

  test("no CRDs, and keeps none, if the values say so", async () => {
    const without = await renderChart({ ...DEV, crds: { enabled: false } });
    expect(without.filter(({ kind }) => kind === "CustomResourceDefinition")).toEqual([]);
    const unkept = await renderChart({ ...DEV, crds: { keep: false } });
    expect(
      findObject(unkept, "CustomResourceDefinition", "apitokens.apitoken.dev").metadata.annotations,
    ).toBeUndefined();
  });

  test("the default policy as a hook first, and then as an object of the release", async () => {
    const first = findObject(await renderChart(DEV), "ApiTokenPolicy").metadata.annotations;
    expect(first).toMatchObject({ "helm.sh/hook": "post-install,post-upgrade", "meta.helm.sh/release-name": "tokens" });
    const later = findObject(await renderChart(DEV, { args: SERVED }), "ApiTokenPolicy").metadata;
    expect(later.annotations).toBeUndefined();
    expect(later.labels).toMatchObject({ "app.kubernetes.io/managed-by": "Helm" });
  });

  test("a cleanup without credentials for the API server, which is not retried when a retry would not help", async () => {
    const cronJob = findObject(await renderChart(DEV), "CronJob");
    const pod = podOf(cronJob);
    expect(pod).toMatchObject({ automountServiceAccountToken: false, restartPolicy: "Never" });
    expect(pod.volumes.filter((volume: object) => "projected" in volume)).toEqual([]);
    const { podFailurePolicy, activeDeadlineSeconds } = cronJob.spec.jobTemplate.spec;
    const [disruption, exit] = podFailurePolicy.rules;
    expect(disruption).toMatchObject({ action: "Ignore", onPodConditions: [{ type: "DisruptionTarget" }] });
    expect(exit).toMatchObject({ action: "FailJob", onExitCodes: { operator: "In", values: [2, 3, 4] } });
    expect(activeDeadlineSeconds).toBeGreaterThan(7_200);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThan(30);
  });

  test("a Postgres for trials that no upgrade restarts as long as it has no disk", async () => {
    const strategyWith = async (devPostgres: object) =>
      findObject(await renderChart({ devPostgres: { enabled: true, ...devPostgres } }), "StatefulSet").spec
        .updateStrategy;
    expect((await strategyWith({})).rollingUpdate).toEqual({ partition: 1 });
    expect((await strategyWith({ persistence: { enabled: true } })).rollingUpdate).toEqual({ partition: 0 });
  });

  test("no password in a program's environment", async () => {
    for (const name of ["dev", "production", "everything"] as const) {
      const objects = await renderChart(parse(readValueSet(name)));
      const env = JSON.stringify(
        objects
          .flatMap((object) => [
            ...(object.spec?.template?.spec?.containers ?? []),
            ...(object.spec?.template?.spec?.initContainers ?? []),
            ...(object.spec?.jobTemplate?.spec?.template?.spec?.containers ?? []),
          ])
          .flatMap(({ env = [] }) => env),
      );
      expect(env).toContain("APITOKEN_DATABASE_PASSWORD_FILE");
      expect(env).not.toMatch(/"key":"pass/);
    }
  });

  test("each login's password visible only to its own container", async () => {
    const { spec } = findObject(await renderChart(parse(readValueSet("production"))), "Deployment").spec.template;
    const mountsOf = (name: string) =>
      [...spec.initContainers, ...spec.containers]
        .find((container) => container.name === name)
        .volumeMounts.map((mount: { name: string }) => mount.name);
    expect(mountsOf("migrate")).toEqual(["tmp", "database-migration", "database-ca"]);
    expect(mountsOf("controller")).toEqual(["tmp", "database-controller", "database-ca"]);
  });
});
