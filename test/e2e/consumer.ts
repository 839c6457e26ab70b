/*
 * The e2e's consumer, bundled and run in a pod: reads its token from the mounted Secret as an application would, and
 * checks it against Postgres many times a second. It prints one line of JSON per second.
 */
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { verifyToken } from "../../local/verify-token.ts";
import { openDatabase } from "../../src/postgres/database.ts";
import { parseKeyring } from "../../src/runtime/keyring-json.ts";
import { createTokenHasher } from "../../src/runtime/token-hash.ts";

/** What the consumer has seen since its start. */
export interface ConsumerReport {
  readonly checks: number;
  readonly failures: number;
  /** The last failure. */
  readonly fault?: string;
  /** The ids of the tokens that it has used, in order. */
  readonly tokenIds: readonly string[];
  readonly slowestMs: number;
}

const PER_SECOND = Number(process.env.CHECKS_PER_SECOND ?? 50);
const TOKEN_FILE = process.env.TOKEN_FILE ?? "";

const KEYRING_FILE = process.env.KEYRING_FILE ?? "";

const { keyring } = parseKeyring(readFileSync(KEYRING_FILE, "utf8"), KEYRING_FILE);
const hasher = createTokenHasher();
const db = openDatabase({
  url: process.env.DATABASE_URL ?? "",
  passwordFile: process.env.PASSWORD_FILE,
  role: "apitoken_verifier",
  actor: "e2e-consumer",
  maxConnections: 4,
});
const seen = { checks: 0, failures: 0, fault: undefined as string | undefined, tokenIds: [] as string[], slowestMs: 0 };

async function check(): Promise<void> {
  const startedAtMs = performance.now();
  try {
    const token = await verifyToken({ db, keyring, hasher }, readFileSync(TOKEN_FILE, "utf8"));
    if (token === undefined) throw new Error("the token is not valid");
    if (!seen.tokenIds.includes(token.id)) seen.tokenIds.push(token.id);
  } catch (error) {
    seen.failures += 1;
    seen.fault = `${new Date().toISOString()} ${(error as Error).message}`;
  }
  seen.checks += 1;
  seen.slowestMs = Math.max(seen.slowestMs, Math.round(performance.now() - startedAtMs));
}

process.on("SIGTERM", () => process.exit(0));
const beganAtMs = performance.now();
for (let tick = 0; ; tick += 1) {
  void check();
  if (tick % PER_SECOND === 0) process.stdout.write(`${JSON.stringify(seen)}\n`);
  await delay(Math.max(0, beganAtMs + ((tick + 1) * 1_000) / PER_SECOND - performance.now()));
}
