/*
 * A verifier as a process of its own, with a wrong clock, a network that can fail and a folder for its snapshot; and somebody who
 * asks it about all tokens, all the time.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Keyring } from "../../../src/token/keyring.ts";
import { startDatabaseProxy, type TcpProxy } from "../proxy.ts";
import { prepareVerifier } from "../verifier/program.ts";
import type { Bounds } from "./oracle.ts";

const SHIFT_CLOCK = fileURLToPath(new URL("../shift-clock.mjs", import.meta.url));

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
  const snapshotFolder = mkdtempSync(join(tmpdir(), "apitoken-walk-"));
  const network = await startDatabaseProxy(databaseUrl);
  const program = await prepareVerifier({
    url: network.url,
    keyring,
    settings: {
      APITOKEN_VERIFIER_STALE_AFTER_LOSS: `${bounds.staleMs}ms`,
      APITOKEN_VERIFIER_OUTAGE: `${bounds.outageMs}ms`,
      APITOKEN_VERIFIER_SNAPSHOT_DIR: snapshotFolder,
    },
    environment: { CLOCK_SHIFT_MS: String(clockShiftMs) },
    nodeOptions: ["--import", SHIFT_CLOCK],
  });
  const { introspectionUrl, gatewayUrl, httpUrl, logPath, writeKeyring, start, stop } = program;
  start();

  return {
    name,
    introspectionUrl,
    network,
    logPath,
    writeKeyring,
    start,
    stop,
    async ask(plaintext) {
      const headers = { authorization: `Bearer ${plaintext}` };
      try {
        const response = await fetch(`${gatewayUrl}/verify`, { headers });
        await response.arrayBuffer();
        return response.status;
      } catch {
        return undefined;
      }
    },
    async isFresh() {
      const response = await fetch(`${httpUrl}/metrics`);
      return (await response.text()).includes("\napitoken_verifier_fresh 1\n");
    },
    async close() {
      await program.close();
      await network.close();
      rmSync(snapshotFolder, { recursive: true, force: true });
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
