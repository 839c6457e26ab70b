/*
 * The tour must not need a cluster, a database or Docker. So it starts real servers on this machine, as the tests do, and
 * runs the controller as a separate process with its own login.
 */
import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type ControlPlane, startControlPlane } from "../local/control-plane.ts";
import { type PostgresServer, runAsSuperuser, startPostgres } from "../local/postgres-server.ts";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "../local/processes.ts";
import { withProgress } from "./console.ts";
import { claimStateDir } from "./state-dir.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../", import.meta.url));
const NAMESPACE = "apitoken-system";

/** Everything that the tour uses. */
export interface Stage {
  readonly stateDir: string;
  readonly kubectlPath: string;
  readonly kubeconfigPath: string;
  /** The database's URL for the superuser. */
  readonly databaseUrl: string;
  /** The URL for a login that is a member of apitoken_cleanup and of no other role. */
  readonly cleanupUrl: string;
  readonly metricsUrl: string;
  readonly controller: BackgroundProcess;
  stop(): Promise<void>;
}

/** Starts everything. If a part fails or the signal is aborted, stops what has started, and throws. */
export async function startStage(stateDirOption: string | undefined, signal: AbortSignal): Promise<Stage> {
  const isTemporary = stateDirOption === undefined;
  const stateDir = isTemporary ? mkdtempSync(join(tmpdir(), "apitoken-operator-")) : resolve(stateDirOption);
  const { release } = claimStateDir(stateDir);
  const started: { stop(): Promise<void> }[] = [];
  const stop = async () => {
    for (const part of started.reverse()) await part.stop();
    rmSync(join(stateDir, "env"), { force: true });
    release();
    if (isTemporary) rmSync(stateDir, { recursive: true, force: true });
  };
  const keep = async <T extends { stop(): Promise<void> }>(part: Promise<T>): Promise<T> => {
    const value = await part;
    started.push(value);
    signal.throwIfAborted();
    return value;
  };

  try {
    const [postgres, controlPlane] = await withProgress(
      "Starting Postgres and the control plane",
      settleAll(
        keep(startPostgres()),
        keep(startControlPlane({ dir: join(stateDir, "control-plane"), withControllerManager: true })),
      ),
    );
    const urls = await withProgress("Migrating the schema and creating the logins", prepareDatabase(postgres));
    await withProgress("Installing the CRDs and the default policy", prepareCluster(controlPlane));
    const controller = await withProgress(
      "Starting the controller",
      keep(startController(stateDir, controlPlane, urls.controller)),
    );
    const stage = {
      stateDir,
      kubectlPath: controlPlane.kubectlPath,
      kubeconfigPath: controlPlane.kubeconfigPath,
      databaseUrl: urls.superuser,
      cleanupUrl: urls.cleanup,
      metricsUrl: controller.metricsUrl,
      controller: controller.process,
      stop,
    };
    writeEnv(stage, controlPlane, postgres);
    return stage;
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Waits for both even if one fails, so that each one that has started can be stopped. */
async function settleAll<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
  await Promise.allSettled([first, second]);
  return Promise.all([first, second]);
}

interface Urls {
  readonly superuser: string;
  readonly controller: string;
  readonly cleanup: string;
}

async function prepareDatabase(postgres: PostgresServer): Promise<Urls> {
  const superuser = await postgres.createDatabase("tokens");
  await run(process.execPath, [join(ROOT, "src/migrate/main.ts")], {
    env: { ...process.env, DATABASE_URL: superuser },
  });
  const createLogin = async (login: string, role: string) => {
    const password = randomBytes(16).toString("hex");
    await runAsSuperuser(superuser, `create role ${login} login password '${password}' in role ${role}`);
    return superuser.replace(/\/\/[^@]+@/, `//${login}:${password}@`);
  };
  return {
    superuser,
    controller: await createLogin("controller", "apitoken_controller"),
    cleanup: await createLogin("cleanup", "apitoken_cleanup"),
  };
}

async function prepareCluster({ kubectlPath, kubeconfigPath }: ControlPlane): Promise<void> {
  const kubectl = (...args: string[]) => run(kubectlPath, ["--kubeconfig", kubeconfigPath, ...args]);
  await kubectl("apply", "--server-side", "-f", join(ROOT, "crds"));
  await kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", join(ROOT, "crds"));
  await kubectl("apply", "-f", join(ROOT, "examples/platform/default-policy.yaml"));
  await kubectl("create", "namespace", NAMESPACE);
}

async function startController(stateDir: string, { kubeconfigPath }: ControlPlane, databaseUrl: string) {
  const [port] = (await findFreePorts(1)) as [number];
  const controller = startProcess(process.execPath, [join(ROOT, "src/controller/main.ts")], {
    logPath: join(stateDir, "controller.log"),
    cwd: ROOT,
    env: {
      ...process.env,
      KUBECONFIG: kubeconfigPath,
      DATABASE_URL: databaseUrl,
      APITOKEN_NAMESPACE: NAMESPACE,
      APITOKEN_HTTP_PORT: String(port),
    },
  });
  const url = `http://127.0.0.1:${port}`;
  await waitUntilReady("the controller", controller, async () => (await fetch(`${url}/readyz`)).ok, 30_000);
  return { process: controller, metricsUrl: `${url}/metrics`, stop: () => controller.stop() };
}

/** Writes the file atomically: a script that waits for it finds it complete. */
function writeEnv(stage: Omit<Stage, "stop">, { apiserver }: ControlPlane, postgres: PostgresServer): void {
  const variables = {
    KUBECONFIG: stage.kubeconfigPath,
    KUBECTL: stage.kubectlPath,
    DATABASE_URL: stage.databaseUrl,
    CONTROLLER_METRICS_URL: stage.metricsUrl,
    CONTROLLER_PID: stage.controller.pid,
    APISERVER_PID: apiserver.pid,
    POSTGRES_PID: postgres.process().pid,
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  const path = join(stage.stateDir, "env");
  const kubectl = 'kubectl() { "$KUBECTL" "$@"; }\n'; // the README's commands work where no kubectl is installed
  writeFileSync(`${path}.tmp`, lines.join("") + kubectl, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}
