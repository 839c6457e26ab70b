/*
 * Failovers, upgrades and rotations must not be noticed by applications. So a consumer uses its token all the time
 * while the e2e does all of these.
 */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { ConsumerReport } from "./consumer.ts";
import { FULLNAME, SYSTEM, TENANT } from "./installation.ts";
import { getJson, kubectl, kubectlApply, until } from "./programs.ts";

interface Secret {
  readonly data: Record<string, string>;
}

/**
 * Starts the consumer in the tenant's namespace: a pod that mounts the Secret of an ApiToken and uses it constantly.
 * @param image one with Node, such as the controller's
 */
export async function startConsumer(image: string, secretName: string): Promise<void> {
  const keyring = await getJson<Secret>("secret", "apitoken-keyring", "-n", SYSTEM);
  const postgres = await getJson<Secret>("secret", `${FULLNAME}-dev-postgres`, "-n", SYSTEM);
  const metadata = { name: "consumer", namespace: TENANT };
  await kubectlApply([
    { apiVersion: "v1", kind: "ConfigMap", metadata, data: { "consumer.mjs": await bundleConsumer() } },
    { apiVersion: "v1", kind: "Secret", metadata, data: { ...keyring.data, password: postgres.data.password } },
    { apiVersion: "v1", kind: "Pod", metadata, spec: describeConsumer(image, secretName) },
  ]);
  await until("the consumer uses its token", async () => (await readConsumer()).checks > 100);
}

function describeConsumer(image: string, secretName: string): object {
  const env = {
    TOKEN_FILE: "/token/token",
    KEYRING_FILE: "/setup/keyring.json",
    PASSWORD_FILE: "/setup/password",
    DATABASE_URL: `postgres://apitoken@${FULLNAME}-dev-postgres.${SYSTEM}:5432/apitoken?sslmode=disable`,
  };
  return {
    automountServiceAccountToken: false,
    securityContext: {
      runAsNonRoot: true,
      runAsUser: 65532,
      fsGroup: 65532,
      seccompProfile: { type: "RuntimeDefault" },
    },
    containers: [
      {
        name: "consumer",
        image,
        imagePullPolicy: "IfNotPresent",
        command: ["/usr/local/bin/node", "/program/consumer.mjs"],
        env: Object.entries(env).map(([name, value]) => ({ name, value })),
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ["ALL"] },
        },
        volumeMounts: ["program", "setup", "token"].map((name) => ({ name, mountPath: `/${name}`, readOnly: true })),
      },
    ],
    volumes: [
      { name: "program", configMap: { name: "consumer" } },
      { name: "setup", secret: { secretName: "consumer", defaultMode: 0o440 } },
      { name: "token", secret: { secretName, defaultMode: 0o440 } },
    ],
  };
}

async function bundleConsumer(): Promise<string> {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL("consumer.ts", import.meta.url))],
    bundle: true,
    write: false,
    minify: true,
    platform: "node",
    format: "esm",
    external: ["pg-native"],
    banner: {
      js: 'import { createRequire as createBundleRequire } from "node:module"; const require = createBundleRequire(import.meta.url);',
    },
  });
  return outputFiles[0]?.text ?? "";
}

/** The consumer's latest report. */
export async function readConsumer(): Promise<ConsumerReport> {
  return JSON.parse(await kubectl("logs", "consumer", "-n", TENANT, "--tail=1")) as ConsumerReport;
}
