/*
 * The servers that all test files share. Starting them takes seconds, so it happens once per run; test files then
 * isolate themselves with their own namespace and database.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { type ControlPlane, startControlPlane } from "../../local/control-plane.ts";
import { startPostgres } from "../../local/postgres-server.ts";
import { migrate } from "../../src/postgres/migrations.ts";

/** The addresses of the servers that all test files share. */
export interface SharedServers {
  readonly postgresUrl: string;
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
  readonly auditLogPath: string;
  readonly hasControllerManager: boolean;
}

declare module "vitest" {
  interface ProvidedContext {
    servers: SharedServers;
  }
}

/** The migrated database from which each test file's database is cloned. */
export const TEMPLATE_DATABASE = "apitoken_template";

/** The tests' ApiTokenPolicy does not select namespaces with this label. */
export const NO_POLICY_LABEL = "apitoken-test-no-policy";

/** Starts one Postgres with a migrated template database, and one control plane with our CRD. */
export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  const [postgres, controlPlane] = await Promise.all([
    startPostgres(),
    startControlPlane({ withControllerManager: true }),
  ]);
  await migrate({ url: await postgres.createDatabase(TEMPLATE_DATABASE) });
  installResources(controlPlane);
  provide("servers", {
    postgresUrl: postgres.url,
    kubeconfigPath: controlPlane.kubeconfigPath,
    kubectlPath: controlPlane.kubectlPath,
    auditLogPath: controlPlane.auditLogPath,
    hasControllerManager: controlPlane.controllerManager !== undefined,
  });
  return async () => {
    await Promise.all([postgres.stop(), controlPlane.stop()]);
  };
}

/** Allows everything, so that most tests need no policy of their own. */
const TEST_POLICY = {
  apiVersion: "apitoken.dev/v1alpha1",
  kind: "ApiTokenPolicy",
  metadata: { name: "tests" },
  spec: {
    priority: -1_000,
    namespaceSelector: { matchExpressions: [{ key: NO_POLICY_LABEL, operator: "DoesNotExist" }] },
    maxTokensPerOwner: 100_000,
    rotation: { minRequestInterval: "0s" },
  },
};

/** Installs the CRDs, waits until the API server serves them, and creates the tests' ApiTokenPolicy. */
export function installResources({ kubectlPath, kubeconfigPath }: ControlPlane): void {
  const folder = fileURLToPath(new URL("../../crds/", import.meta.url));
  const kubectl = (args: string[], input = "") =>
    execFileSync(kubectlPath, ["--kubeconfig", kubeconfigPath, ...args], { input });
  kubectl(["apply", "--server-side", "-f", folder]);
  kubectl(["wait", "--for=condition=Established", "--timeout=30s", "-f", folder]);
  kubectl(["apply", "-f", "-"], JSON.stringify(TEST_POLICY));
}
