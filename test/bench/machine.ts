/*
 * Most figures are ratios, but even ratios depend on what they were measured on: with another number of cores or another
 * Postgres, a difference may not be the project's doing.
 */
import { spawnSync } from "node:child_process";
import { arch, cpus, totalmem } from "node:os";
import { runAsSuperuser, startPostgres } from "../../local/postgres-server.ts";
import { findAssets } from "../../local/setup/assets.mjs";

/** What the benches ran on. */
export interface Machine {
  readonly cpus: number;
  /** The processor's name and architecture. */
  readonly cpu: string;
  readonly memoryGib: number;
  readonly node: string;
  readonly postgres: string;
  readonly kubernetes: string;
}

/** Asks the machine and the servers that the benches start. Takes about a second. */
export async function readMachine(): Promise<Machine> {
  const processors = cpus();
  return {
    cpus: processors.length,
    cpu: `${processors[0]?.model.trim() ?? "unknown"} (${arch()})`,
    memoryGib: Math.round(totalmem() / 2 ** 30),
    node: process.versions.node,
    postgres: await readPostgresVersion(),
    kubernetes: readKubernetesVersion(),
  };
}

/** One line for people. */
export function formatMachine({ cpus, cpu, memoryGib, node, postgres, kubernetes }: Machine): string {
  return `${cpus} cores of ${cpu}, ${memoryGib} GiB, Node ${node}, Postgres ${postgres}, Kubernetes ${kubernetes}`;
}

async function readPostgresVersion(): Promise<string> {
  const server = await startPostgres();
  try {
    const [row] = await runAsSuperuser<{ server_version: string }>(server.url, "show server_version");
    return row?.server_version ?? "unknown";
  } finally {
    await server.stop();
  }
}

/** The API server prints "Kubernetes v1.36.3". */
function readKubernetesVersion(): string {
  const { stdout } = spawnSync(findAssets()["kube-apiserver"], ["--version"], { encoding: "utf8" });
  return /v[\d.]+\S*/.exec(stdout ?? "")?.[0] ?? "unknown";
}
