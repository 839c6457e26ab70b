/*
 * Some tests must kill a controller, freeze it or send it signals, which needs a real process. Everything else uses
 * controllers.ts, which is faster. Such a controller also reports on the OwnerBlocks of other tests, from its own database: so
 * it needs an API server of the file's own.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "../../local/processes.ts";
import type { TestCluster } from "./cluster.ts";
import { controllerSettings } from "./controllers.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));

/** A controller that runs in its own process. */
export interface ControllerProcess {
  readonly identity: string;
  readonly port: number;
  readonly process: BackgroundProcess;
  readLog(): string;
  /** Kills it if it still runs, and deletes its log. */
  dispose(): Promise<void>;
}

/** Starts a controller and waits until it is ready. */
export async function startControllerProcess(
  cluster: TestCluster,
  databaseUrl: string,
  identity: string,
  settings: Readonly<Record<string, string>> = {},
): Promise<ControllerProcess> {
  const controller = await launchControllerProcess(cluster, databaseUrl, identity, settings);
  const isReady = async () => (await fetch(`http://127.0.0.1:${controller.port}/readyz`)).ok;
  await waitUntilReady("the controller", controller.process, isReady, 30_000);
  return controller;
}

/** Starts a controller without waiting until it is ready. */
export async function launchControllerProcess(
  cluster: TestCluster,
  databaseUrl: string,
  identity: string,
  settings: Readonly<Record<string, string>> = {},
  args: readonly string[] = [],
): Promise<ControllerProcess> {
  const [port] = (await findFreePorts(1)) as [number];
  const dir = mkdtempSync(join(tmpdir(), "apitoken-controller-"));
  const background = startProcess(process.execPath, [join(ROOT, "src/controller/main.ts"), ...args], {
    logPath: join(dir, "log"),
    cwd: ROOT,
    env: {
      ...process.env,
      ...controllerSettings(cluster, databaseUrl),
      APITOKEN_IDENTITY: identity,
      APITOKEN_HTTP_PORT: String(port),
      ...settings,
    },
  });
  return {
    identity,
    port,
    process: background,
    readLog: () => readFileSync(background.logPath, "utf8"),
    async dispose() {
      await background.stop("SIGKILL");
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
