/*
 * A verifier as a process of its own, for tests about what only a process has: signals, restarts, a command line, a clock.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "../../../local/processes.ts";
import { formatKeyring } from "../../../src/runtime/keyring-json.ts";
import type { Keyring } from "../../../src/token/keyring.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));
const START_MS = 30_000;

export interface VerifierProgramOptions {
  readonly url: string;
  readonly keyring: Keyring;
  readonly settings?: Readonly<Record<string, string>>;
  /** Environment variables that are not the verifier's own. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly nodeOptions?: readonly string[];
}

/** A verifier that can be ended and started again, always with the same ports and files. */
export interface VerifierProgram {
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  readonly grpcPort: number;
  readonly gatewayUrl: string;
  readonly introspectionUrl: string;
  readonly httpUrl: string;
  /** Holds its keyring, its log, and what the settings name without a path before it; removed at the end. */
  readonly folder: string;
  readonly keyringFile: string;
  readonly logPath: string;
  /** Everything that it has printed. */
  readLog(): string;
  writeKeyring(keyring: Keyring): void;
  /** Starts a process; it need not answer yet. */
  start(): BackgroundProcess;
  /** Resolves when `/readyz` says so. */
  untilReady(): Promise<void>;
  isReady(): Promise<boolean>;
  /** Ends the process, if one runs. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Ends everything. */
  close(): Promise<void>;
}

/** Prepares a verifier; nothing runs yet. */
export async function prepareVerifier(options: VerifierProgramOptions): Promise<VerifierProgram> {
  const { url, keyring, settings = {}, environment = {}, nodeOptions = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), "apitoken-verifier-"));
  const keyringFile = join(folder, "keyring.json");
  const logPath = join(folder, "log");
  const writeKeyring = (next: Keyring) => writeFileSync(keyringFile, formatKeyring(next));
  writeKeyring(keyring);
  const ports = (await findFreePorts(4)) as [number, number, number, number];
  const [gatewayPort, introspectionPort, grpcPort, httpPort] = ports;
  const httpUrl = `http://127.0.0.1:${httpPort}`;
  const env = {
    ...process.env,
    ...environment,
    DATABASE_URL: url,
    APITOKEN_KEYRING_FILE: keyringFile,
    APITOKEN_VERIFIER_PORT: String(gatewayPort),
    APITOKEN_VERIFIER_INTROSPECTION_PORT: String(introspectionPort),
    APITOKEN_VERIFIER_GRPC_PORT: String(grpcPort),
    APITOKEN_HTTP_PORT: String(httpPort),
    APITOKEN_VERIFIER_DRAIN: "0s",
    APITOKEN_LOG_LEVEL: "debug",
    ...settings,
  };
  const program = [...nodeOptions, join(ROOT, "src/verifier/main.ts")];
  let running: BackgroundProcess | undefined;

  const isReady = async () => {
    try {
      return (await fetch(`${httpUrl}/readyz`)).status === 200;
    } catch {
      return false;
    }
  };
  const stop = async (signal?: NodeJS.Signals) => {
    await running?.stop(signal);
  };
  return {
    gatewayPort,
    introspectionPort,
    grpcPort,
    gatewayUrl: `http://127.0.0.1:${gatewayPort}`,
    introspectionUrl: `http://127.0.0.1:${introspectionPort}`,
    httpUrl,
    folder,
    keyringFile,
    logPath,
    readLog: () => readFileSync(logPath, "utf8"),
    writeKeyring,
    start() {
      running = startProcess(process.execPath, program, { logPath, env, cwd: folder });
      return running;
    },
    async untilReady() {
      if (running === undefined) throw new Error("the verifier has not been started");
      await waitUntilReady("the verifier", running, isReady, START_MS);
    },
    isReady,
    stop,
    async close() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
