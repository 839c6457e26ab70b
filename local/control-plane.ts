/*
 * A fake API server would accept what a real one refuses: CEL rules, conflicts, RBAC, watches that expire. So tests and
 * the tour run against a real one, which starts in about three seconds without Docker.
 */
import { generateKeyPairSync, randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "./processes.ts";
import { findAssets } from "./setup/assets.mjs";

export interface ControlPlaneOptions {
  /** The folder for its files. Default: a temporary folder that `stop` removes. */
  readonly dir?: string;
  /** Also starts kube-controller-manager, if it is available. */
  readonly withControllerManager?: boolean;
  /** More flags of kube-apiserver. */
  readonly apiserverFlags?: readonly string[];
}

/** A real kube-apiserver with its etcd, on free ports of the loopback interface. */
export interface ControlPlane {
  readonly server: string;
  /** A kubeconfig for a user with all rights. */
  readonly kubeconfigPath: string;
  readonly kubectlPath: string;
  /** One line of JSON for each write request to the API server (audit.k8s.io/v1, level Metadata). */
  readonly auditLogPath: string;
  readonly apiserver: BackgroundProcess;
  readonly etcd: BackgroundProcess;
  readonly controllerManager: BackgroundProcess | undefined;
  stop(): Promise<void>;
}

const START_MS = 60_000;

/** Starts etcd and kube-apiserver. Resolves when the API server is ready, in about three seconds. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const dir = options.dir ?? mkdtempSync(join(tmpdir(), "apitoken-control-plane-"));
  mkdirSync(dir, { recursive: true });
  const assets = findAssets();
  const [etcdPort, peerPort, apiPort, managerPort] = (await findFreePorts(4)) as [number, number, number, number];
  const server = `https://127.0.0.1:${apiPort}`;
  const token = randomBytes(24).toString("hex");
  writeFiles(dir, token);

  const etcd = startEtcd(assets.etcd, dir, etcdPort, peerPort);
  const apiserver = startApiserver(assets["kube-apiserver"], dir, etcdPort, apiPort, options.apiserverFlags);
  await waitUntilReady("kube-apiserver", apiserver, () => isReady(server, token, dir), START_MS);
  const kubeconfigPath = join(dir, "kubeconfig");
  writeFileSync(kubeconfigPath, formatKubeconfig(server, readFileSync(join(dir, "certs/apiserver.crt")), token));

  const managerPath = assets["kube-controller-manager"];
  const controllerManager =
    options.withControllerManager && managerPath !== undefined
      ? startControllerManager(managerPath, dir, managerPort)
      : undefined;

  return {
    server,
    kubeconfigPath,
    kubectlPath: assets.kubectl,
    auditLogPath: join(dir, "audit.log"),
    apiserver,
    etcd,
    controllerManager,
    async stop() {
      await controllerManager?.stop();
      await apiserver.stop("SIGKILL"); // otherwise it would wait a minute for watches to end
      await etcd.stop("SIGKILL");
      if (options.dir === undefined) rmSync(dir, { recursive: true, force: true });
    },
  };
}

function writeFiles(dir: string, token: string): void {
  mkdirSync(join(dir, "certs"), { recursive: true });
  writeFileSync(join(dir, "tokens.csv"), `${token},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const { privateKey, publicKey } = generateKeyPairSync("rsa", {
    modulusLength: 2048,
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
  writeFileSync(join(dir, "service-account.key"), privateKey, { mode: 0o600 });
  writeFileSync(join(dir, "service-account.pub"), publicKey);
  writeFileSync(join(dir, "audit-policy.json"), JSON.stringify(AUDIT_POLICY));
}

const AUDIT_POLICY = {
  apiVersion: "audit.k8s.io/v1",
  kind: "Policy",
  omitStages: ["RequestReceived"],
  rules: [{ level: "Metadata", verbs: ["create", "update", "patch", "delete", "deletecollection"] }, { level: "None" }],
};

function startEtcd(path: string, dir: string, clientPort: number, peerPort: number): BackgroundProcess {
  const client = `http://127.0.0.1:${clientPort}`;
  const peer = `http://127.0.0.1:${peerPort}`;
  const args = [
    ...["--data-dir", join(dir, "etcd")],
    ...["--listen-client-urls", client, "--advertise-client-urls", client],
    ...["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer, "--initial-cluster", `default=${peer}`],
    ...["--unsafe-no-fsync", "--log-level", "warn", "--quota-backend-bytes", String(4 * 2 ** 30)],
  ];
  return startProcess(path, args, { logPath: join(dir, "etcd.log") });
}

function startApiserver(
  path: string,
  dir: string,
  etcdPort: number,
  port: number,
  flags: readonly string[] = [],
): BackgroundProcess {
  const args = [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${join(dir, "certs")}`, // it signs its own certificate
    "--endpoint-reconciler-type=none",
    "--service-cluster-ip-range=10.0.0.0/24",
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${join(dir, "service-account.pub")}`,
    `--service-account-signing-key-file=${join(dir, "service-account.key")}`,
    "--authorization-mode=RBAC",
    `--token-auth-file=${join(dir, "tokens.csv")}`,
    `--audit-policy-file=${join(dir, "audit-policy.json")}`,
    `--audit-log-path=${join(dir, "audit.log")}`,
    "--profiling=false",
    ...flags,
  ];
  return startProcess(path, args, { logPath: join(dir, "kube-apiserver.log") });
}

function startControllerManager(path: string, dir: string, port: number): BackgroundProcess {
  const kubeconfig = join(dir, "kubeconfig");
  const args = [
    `--kubeconfig=${kubeconfig}`,
    `--authentication-kubeconfig=${kubeconfig}`,
    `--authorization-kubeconfig=${kubeconfig}`,
    "--bind-address=127.0.0.1",
    `--secure-port=${port}`,
    `--cert-dir=${join(dir, "certs-manager")}`,
    "--leader-elect=false",
    `--service-account-private-key-file=${join(dir, "service-account.key")}`,
    "--controllers=namespace-controller,garbage-collector-controller,cronjob-controller,job-controller,serviceaccount-controller",
  ];
  return startProcess(path, args, { logPath: join(dir, "kube-controller-manager.log") });
}

function isReady(server: string, token: string, dir: string): Promise<boolean> {
  const certificate = join(dir, "certs/apiserver.crt");
  if (!existsSync(certificate)) return Promise.resolve(false);
  return new Promise((resolve) => {
    const options = { ca: readFileSync(certificate), headers: { authorization: `Bearer ${token}` }, timeout: 2_000 };
    request(`${server}/readyz`, options, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on("error", () => resolve(false))
      .end();
  });
}

function formatKubeconfig(server: string, certificate: Buffer, token: string): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "local", cluster: { server, "certificate-authority-data": certificate.toString("base64") } }],
    users: [{ name: "admin", user: { token } }],
    contexts: [{ name: "local", context: { cluster: "local", user: "admin" } }],
    "current-context": "local",
  });
}
