/*
 * The tour must not need a cluster, a database or Docker. So it starts real servers on this machine, as the tests do, and
 * runs the controller and the verifier as separate processes with their own logins.
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
import { type Gateway, startGateway } from "./gateway.ts";
import { mountKeyring } from "./keyring-file.ts";
import { claimStateDir } from "./state-dir.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../", import.meta.url));
const NAMESPACE = "apitoken-system";
const START_MS = 30_000;

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
  readonly verifier: RunningVerifier;
  /** Where a gateway in front of an application listens, which asks the verifier. */
  readonly gatewayUrl: string;
  stop(): Promise<void>;
}

/** The verifier's process, and where it is asked. */
interface RunningVerifier {
  readonly process: BackgroundProcess;
  /** For gateways. */
  readonly url: string;
  /** For backends. */
  readonly introspectionUrl: string;
  readonly metricsUrl: string;
}

/** Has a part stopped together with everything else. */
type Keep = <T extends { stop(): Promise<void> }>(part: Promise<T>) => Promise<T>;

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
  const keep: Keep = async (part) => {
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
    const verifier = await withProgress(
      "Starting the verifier",
      startVerifier(stateDir, controlPlane, urls.verifier, keep),
    );
    const gateway: Gateway = await keep(startGateway(verifier.url));
    const stage = {
      stateDir,
      kubectlPath: controlPlane.kubectlPath,
      kubeconfigPath: controlPlane.kubeconfigPath,
      databaseUrl: urls.superuser,
      cleanupUrl: urls.cleanup,
      metricsUrl: controller.metricsUrl,
      controller: controller.process,
      verifier,
      gatewayUrl: gateway.url,
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
  readonly verifier: string;
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
    verifier: await createLogin("verifier", "apitoken_verifier"),
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
  await waitUntilReady("the controller", controller, async () => (await fetch(`${url}/readyz`)).ok, START_MS);
  return { process: controller, metricsUrl: `${url}/metrics`, stop: () => controller.stop() };
}

/** Starts it as its pod would: with its own login, and the keyring in a file that follows the Secret. */
async function startVerifier(
  stateDir: string,
  { kubeconfigPath }: ControlPlane,
  databaseUrl: string,
  keep: Keep,
): Promise<RunningVerifier> {
  const keyringFile = join(stateDir, "keyring.json");
  await keep(mountKeyring(kubeconfigPath, NAMESPACE, keyringFile, START_MS));
  const [port, introspectionPort, httpPort] = (await findFreePorts(3)) as [number, number, number];
  const verifier = startProcess(process.execPath, [join(ROOT, "src/verifier/main.ts")], {
    logPath: join(stateDir, "verifier.log"),
    cwd: ROOT,
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      APITOKEN_KEYRING_FILE: keyringFile,
      APITOKEN_VERIFIER_PORT: String(port),
      APITOKEN_VERIFIER_INTROSPECTION_PORT: String(introspectionPort),
      APITOKEN_VERIFIER_GRPC_PORT: "0",
      APITOKEN_HTTP_PORT: String(httpPort),
      APITOKEN_VERIFIER_DRAIN: "0s", // nobody balances between several
    },
  });
  await keep(Promise.resolve(verifier));
  const url = (of: number) => `http://127.0.0.1:${of}`;
  await waitUntilReady("the verifier", verifier, async () => (await fetch(`${url(httpPort)}/readyz`)).ok, START_MS);
  return {
    process: verifier,
    url: url(port),
    introspectionUrl: url(introspectionPort),
    metricsUrl: `${url(httpPort)}/metrics`,
  };
}

/** Writes the file atomically: a script that waits for it finds it complete. */
function writeEnv(stage: Omit<Stage, "stop">, { apiserver }: ControlPlane, postgres: PostgresServer): void {
  const variables = {
    KUBECONFIG: stage.kubeconfigPath,
    KUBECTL: stage.kubectlPath,
    DATABASE_URL: stage.databaseUrl,
    CONTROLLER_METRICS_URL: stage.metricsUrl,
    VERIFIER_URL: stage.verifier.url,
    VERIFIER_INTROSPECTION_URL: stage.verifier.introspectionUrl,
    VERIFIER_METRICS_URL: stage.verifier.metricsUrl,
    GATEWAY_URL: stage.gatewayUrl,
    CONTROLLER_PID: stage.controller.pid,
    VERIFIER_PID: stage.verifier.process.pid,
    APISERVER_PID: apiserver.pid,
    POSTGRES_PID: postgres.process().pid,
  };
  const lines = Object.entries(variables).map(([name, value]) => `export ${name}='${value}'\n`);
  const path = join(stage.stateDir, "env");
  const kubectl = 'kubectl() { "$KUBECTL" "$@"; }\n'; // the README's commands work where no kubectl is installed
  writeFileSync(`${path}.tmp`, lines.join("") + kubectl, { mode: 0o600 });
  renameSync(`${path}.tmp`, path);
}
