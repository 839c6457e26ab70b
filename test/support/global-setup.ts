import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestProject } from "vitest/node";
import { migrate } from "../../src/postgres/migrations.ts";
import { startControlPlane } from "./control-plane.ts";
import { startPostgres } from "./postgres-server.ts";

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

/** The database that every test file's own is cloned from. */
export const TEMPLATE_DATABASE = "apitoken_template";

/** Starts one Postgres with a migrated template database, and one control plane with our CRD. */
export default async function setUp({ provide }: TestProject): Promise<() => Promise<void>> {
  const [postgres, controlPlane] = await Promise.all([
    startPostgres(),
    startControlPlane({ withControllerManager: true }),
  ]);
  await migrate(await postgres.createDatabase(TEMPLATE_DATABASE));
  applyCrds(controlPlane.kubectlPath, controlPlane.kubeconfigPath);
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

/** Installs the CRDs and waits until the API server serves them. */
export function applyCrds(kubectlPath: string, kubeconfigPath: string): void {
  const folder = fileURLToPath(new URL("../../crds/", import.meta.url));
  const kubectl = (...args: string[]) => execFileSync(kubectlPath, ["--kubeconfig", kubeconfigPath, ...args]);
  kubectl("apply", "--server-side", "-f", folder);
  kubectl("wait", "--for=condition=Established", "--timeout=30s", "crd/apitokens.apitoken.dev");
}
