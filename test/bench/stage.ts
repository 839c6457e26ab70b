/*
 * Figures of a server without fsync, or of a program that was not bundled, would say nothing about an installation.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type ControlPlane, startControlPlane } from "../../local/control-plane.ts";
import { startPostgres } from "../../local/postgres-server.ts";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "../../local/processes.ts";
import { createTransport, type KubeTransport } from "../../src/kube/transport.ts";
import { migrate } from "../../src/postgres/migrations.ts";
import { installResources } from "../support/global-setup.ts";
import { readImageCommand } from "./image.ts";

/** A running controller, with its metrics. */
export type BenchController = BackgroundProcess & { readonly metricsUrl: string };

/** A control plane, a durable Postgres and a way to start the controller, as fast as they are in production. */
export interface BenchStage {
  readonly controlPlane: ControlPlane;
  readonly transport: KubeTransport;
  readonly databaseUrl: string;
  /** Starts the bundled controller as its image does; by default it watches only the namespace "watched". */
  startController(namespaces?: readonly string[]): Promise<BenchController>;
  stop(): Promise<void>;
}

const DURABLE = { fsync: "on", full_page_writes: "on", synchronous_commit: "on" };

export async function startBenchStage(): Promise<BenchStage> {
  const dir = mkdtempSync(join(tmpdir(), "apitoken-bench-"));
  const [postgres, controlPlane] = await Promise.all([startPostgres({ settings: DURABLE }), startControlPlane()]);
  installResources(controlPlane);
  const databaseUrl = await postgres.createDatabase("tokens");
  await migrate({ url: databaseUrl });
  const transport = await createTransport({ userAgent: "bench", kubeconfigPath: controlPlane.kubeconfigPath });
  for (const name of ["watched", "elsewhere", "bare"]) {
    await transport.request("POST", "/api/v1/namespaces", {
      body: { apiVersion: "v1", kind: "Namespace", metadata: { name } },
    });
  }

  return {
    controlPlane,
    transport,
    databaseUrl,
    async startController(namespaces = ["watched"]) {
      const [port] = (await findFreePorts(1)) as [number];
      const program = fileURLToPath(new URL("../../dist/controller.js", import.meta.url));
      const image = readImageCommand("controller");
      const controller = startProcess(process.execPath, [...image.nodeOptions, program], {
        logPath: join(dir, "controller.log"),
        env: {
          ...process.env,
          ...image.env,
          DATABASE_URL: databaseUrl,
          KUBECONFIG: controlPlane.kubeconfigPath,
          APITOKEN_NAMESPACE: "watched",
          APITOKEN_WATCH_NAMESPACES: namespaces.join(","),
          APITOKEN_IDENTITY: "bench-controller",
          APITOKEN_HTTP_PORT: String(port),
        },
      });
      const metricsUrl = `http://127.0.0.1:${port}/metrics`;
      const isLeading = async () => (await (await fetch(metricsUrl)).text()).includes("apitoken_leading 1");
      await waitUntilReady("the controller", controller, isLeading, 60_000);
      return Object.assign(controller, { metricsUrl });
    },
    async stop() {
      await transport.close();
      await Promise.all([controlPlane.stop(), postgres.stop()]);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Runs `work` for each number below `count`, at most `concurrency` at once. */
export async function runMany(count: number, concurrency: number, work: (index: number) => Promise<unknown>) {
  let next = 0;
  const worker = async () => {
    for (let index = next++; index < count; index = next++) await work(index);
  };
  await Promise.all(Array.from({ length: concurrency }, worker));
}
