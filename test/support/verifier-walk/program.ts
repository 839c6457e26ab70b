/*
 * A verifier as a process of its own, with a wrong clock, a network that can fail and a folder for its snapshot; and somebody who
 * asks it about all tokens, all the time.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { type BackgroundProcess, findFreePorts, startProcess } from "../../../local/processes.ts";
import { formatKeyring } from "../../../src/runtime/keyring-json.ts";
import type { Keyring } from "../../../src/token/keyring.ts";
import { startDatabaseProxy, type TcpProxy } from "../proxy.ts";
import type { Bounds } from "./oracle.ts";

const ROOT = fileURLToPath(new URL("../../../", import.meta.url));

export interface WalkingVerifierOptions {
  readonly name: string;
  /** The database's URL, without the network in between. */
  readonly databaseUrl: string;
  readonly keyring: Keyring;
  readonly bounds: Bounds;
  /** How far its clock is ahead. */
  readonly clockShiftMs: number;
}

/** A verifier that can be killed and started again, always with the same ports and the same snapshot. */
export interface WalkingVerifier {
  readonly name: string;
  readonly introspectionUrl: string;
  readonly network: TcpProxy;
  writeKeyring(keyring: Keyring): void;
  /** The status of `/verify`; undefined if it is not running. */
  ask(plaintext: string): Promise<number | undefined>;
  isFresh(): Promise<boolean>;
  start(): void;
  stop(signal: NodeJS.Signals): Promise<void>;
  readonly logPath: string;
  close(): Promise<void>;
}

/** Prepares a verifier and starts it. */
export async function startWalkingVerifier(options: WalkingVerifierOptions): Promise<WalkingVerifier> {
  const { name, databaseUrl, keyring, bounds, clockShiftMs } = options;
  const folder = mkdtempSync(join(tmpdir(), "apitoken-walk-"));
  const keyringFile = join(folder, "keyring.json");
  const logPath = join(folder, "log");
  const snapshotFolder = join(folder, "snapshot");
  mkdirSync(snapshotFolder);
  const writeKeyring = (next: Keyring) => writeFileSync(keyringFile, formatKeyring(next));
  writeKeyring(keyring);
  const network = await startDatabaseProxy(databaseUrl);
  const [gatewayPort, introspectionPort, httpPort] = (await findFreePorts(3)) as [number, number, number];
  const env = {
    ...process.env,
    CLOCK_SHIFT_MS: String(clockShiftMs),
    DATABASE_URL: network.url,
    APITOKEN_KEYRING_FILE: keyringFile,
    APITOKEN_VERIFIER_PORT: String(gatewayPort),
    APITOKEN_VERIFIER_INTROSPECTION_PORT: String(introspectionPort),
    APITOKEN_VERIFIER_GRPC_PORT: "0",
    APITOKEN_HTTP_PORT: String(httpPort),
    APITOKEN_VERIFIER_DRAIN: "0s",
    APITOKEN_VERIFIER_STALE_AFTER_LOSS: `${bounds.staleMs}ms`,
    APITOKEN_VERIFIER_OUTAGE: `${bounds.outageMs}ms`,
    APITOKEN_VERIFIER_SNAPSHOT_DIR: snapshotFolder,
    APITOKEN_LOG_LEVEL: "debug",
  };
  const program = ["--import", join(ROOT, "test/support/shift-clock.mjs"), join(ROOT, "src/verifier/main.ts")];
  let running: BackgroundProcess | undefined;
  const start = () => {
    running = startProcess(process.execPath, program, { logPath, env, cwd: ROOT });
  };
  start();

  return {
    name,
    introspectionUrl: `http://127.0.0.1:${introspectionPort}`,
    network,
    logPath,
    writeKeyring,
    start,
    async ask(plaintext) {
      const headers = { authorization: `Bearer ${plaintext}` };
      try {
        const response = await fetch(`http://127.0.0.1:${gatewayPort}/verify`, { headers });
        await response.arrayBuffer();
        return response.status;
      } catch {
        return undefined;
      }
    },
    async isFresh() {
      const response = await fetch(`http://127.0.0.1:${httpPort}/metrics`);
      return (await response.text()).includes("\napitoken_verifier_fresh 1\n");
    },
    async stop(signal) {
      await running?.stop(signal);
    },
    async close() {
      await running?.stop();
      await network.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Repeats the work, with a pause in between, until the signal. */
export async function keepAsking(end: AbortSignal, work: () => Promise<void>, pauseMs: number): Promise<void> {
  while (!end.aborted) {
    await work();
    await delay(pauseMs, undefined, { signal: end }).catch(() => {});
  }
}
