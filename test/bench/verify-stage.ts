/*
 * A durable Postgres with 100,000 tokens, and the bundled verifier run as its image runs it.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runAsSuperuser, startPostgres } from "../../local/postgres-server.ts";
import { type BackgroundProcess, findFreePorts, startProcess, waitUntilReady } from "../../local/processes.ts";
import { migrate } from "../../src/postgres/migrations.ts";
import { formatKeyring } from "../../src/runtime/keyring-json.ts";
import { createKeyring } from "../../src/token/keyring.ts";
import { type HandMadeToken, issueByHand, issueManyByHand } from "../support/verifier.ts";
import { DURABLE_SETTINGS } from "./cleanup-stage.ts";
import { readImageCommand } from "./image.ts";

/** A running verifier. */
export interface BenchVerifier {
  readonly process: BackgroundProcess;
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  readonly metricsUrl: string;
  /** Milliseconds from the start of the process until it accepted connections, and until it was ready. */
  readonly listeningMs: number;
  readonly readyMs: number;
}

export interface VerifyStage {
  readonly databaseUrl: string;
  /** Good tokens with the scopes read and write. */
  readonly tokens: readonly HandMadeToken[];
  /** A token that may introspect. */
  readonly caller: HandMadeToken;
  /** Transactions of all sessions since the server has started. */
  countTransactions(): Promise<number>;
  startVerifier(settings?: Readonly<Record<string, string>>): Promise<BenchVerifier>;
  stop(): Promise<void>;
}

/** Prepares the database with so many live tokens. */
export async function startVerifyStage(count: number): Promise<VerifyStage> {
  const dir = mkdtempSync(join(tmpdir(), "apitoken-bench-"));
  const postgres = await startPostgres({ settings: DURABLE_SETTINGS });
  const url = await postgres.createDatabase("tokens");
  await migrate({ url });
  const keyring = createKeyring();
  const keyringFile = join(dir, "keyring.json");
  writeFileSync(keyringFile, formatKeyring(keyring));
  const tokens = await issueManyByHand(url, keyring, count - 1);
  const caller = await issueByHand(url, keyring, "scopes = '{apitoken:introspect}'");
  await runAsSuperuser(url, "vacuum analyze apitoken.tokens");

  return {
    databaseUrl: url,
    tokens,
    caller,
    async countTransactions() {
      const [row] = await runAsSuperuser<{ count: string }>(
        url,
        "select sum(xact_commit + xact_rollback)::text as count from pg_stat_database where datname = 'tokens'",
      );
      return Number(row?.count);
    },
    startVerifier: (settings = {}) => startBenchVerifier(dir, { DATABASE_URL: url, ...settings }, keyringFile),
    async stop() {
      await postgres.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function startBenchVerifier(
  dir: string,
  settings: Readonly<Record<string, string>>,
  keyringFile: string,
): Promise<BenchVerifier> {
  const [gatewayPort, introspectionPort, httpPort] = (await findFreePorts(3)) as [number, number, number];
  const image = readImageCommand("verifier");
  const program = fileURLToPath(new URL("../../dist/verifier.js", import.meta.url));
  // For profiles: --cpu-prof, and the folder to write them to.
  const extraOptions = process.env.BENCH_NODE_OPTIONS?.split(" ") ?? [];
  const startedAtMs = performance.now();
  const verifier = startProcess(process.execPath, [...image.nodeOptions, ...extraOptions, program], {
    logPath: join(dir, "verifier.log"),
    env: {
      ...process.env,
      ...image.env,
      APITOKEN_KEYRING_FILE: keyringFile,
      APITOKEN_VERIFIER_PORT: String(gatewayPort),
      APITOKEN_VERIFIER_INTROSPECTION_PORT: String(introspectionPort),
      APITOKEN_HTTP_PORT: String(httpPort),
      APITOKEN_VERIFIER_GRPC_PORT: "0",
      APITOKEN_VERIFIER_DRAIN: "0s",
      ...settings,
    },
  });
  const base = `http://127.0.0.1:${httpPort}`;
  const answers = async (path: string, wanted: number) => (await fetch(`${base}${path}`)).status === wanted;
  const since = () => performance.now() - startedAtMs;
  // Gateways' listener is the last but one to be opened, so that whoever reaches it can ask.
  await waitUntilReady(
    "the verifier's listener",
    verifier,
    async () => (await fetch(`http://127.0.0.1:${gatewayPort}/`)).status === 404,
    10_000,
  );
  const listeningMs = since();
  await waitUntilReady("the verifier", verifier, () => answers("/readyz", 200), 60_000);
  return {
    process: verifier,
    gatewayPort,
    introspectionPort,
    metricsUrl: `${base}/metrics`,
    listeningMs,
    readyMs: since(),
  };
}

/** The resident set of a process, in MiB. Undefined if there is no /proc. */
export function readResidentMib(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1_024;
}

/** Lets what has been queued settle. */
export const settle = () => delay(1_000);
