/*
 * The tour acts as a user would: with kubectl, SQL, the cleanup program and requests to a gateway. It never calls the
 * programs' code to change something.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { runAsSuperuser } from "../local/postgres-server.ts";
import { command, output } from "./console.ts";
import type { Stage } from "./stage.ts";

const WAIT_MS = 30_000;
const ROOT = fileURLToPath(new URL("../", import.meta.url));

export interface Result {
  readonly code: number;
  readonly text: string;
}

/** Reads the token from an ApiToken's Secret without printing it, because terminals keep a history. */
export async function readToken(stage: Stage, secret: string): Promise<string> {
  const args = ["get", "secret", secret, "-o", "jsonpath={.data.token}"];
  const { text } = await execute(stage.kubectlPath, ["--kubeconfig", stage.kubeconfigPath, ...args]);
  return Buffer.from(text, "base64").toString();
}

/** What the application behind the gateway answers: whom the gateway has taken the caller for. */
export interface Greeting {
  readonly owner: string;
  readonly tokenId: string;
  readonly state: string;
}

/** Sends a request through the gateway; undefined if it refuses the token. Throws an Error if it cannot say. */
export async function callApplication(stage: Stage, token: string): Promise<Greeting | undefined> {
  const url = `${stage.gatewayUrl}/orders`;
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  if (response.status !== 200 && response.status !== 401) throw new Error(`${url} answered ${response.status}`);
  return response.ok ? ((await response.json()) as Greeting) : undefined;
}

/** The same, as a user would do it with curl. Tokens are printed in part, because terminals keep a history. */
export async function check(stage: Stage, token: string): Promise<Greeting | undefined> {
  command(`curl -H "authorization: Bearer ${token.slice(0, 8)}…${token.slice(-1)}" ${stage.gatewayUrl}/orders`);
  const greeting = await callApplication(stage, token);
  output(greeting === undefined ? "401 Unauthorized" : `200 OK ${JSON.stringify(greeting)}`);
  return greeting;
}

/** Sends one request after the other until the token is refused. */
export function keepCalling(
  stage: Stage,
  token: string,
): {
  /** How many requests were let through, and when the last of them began. Throws an Error if that takes too long. */
  untilRefused(): Promise<{ readonly good: number; readonly lastGoodMs: number }>;
} {
  let good = 0;
  let lastGoodMs = 0;
  let isLate = false;
  const work = async () => {
    while (!isLate) {
      const startedAtMs = Date.now();
      if ((await callApplication(stage, token)) === undefined) return { good, lastGoodMs };
      good += 1;
      lastGoodMs = startedAtMs;
    }
    throw new Error("the token is still good");
  };
  const calling = work();
  calling.catch(() => {});
  return {
    async untilRefused() {
      const limit = setTimeout(() => {
        isLate = true;
      }, WAIT_MS);
      return calling.finally(() => clearTimeout(limit));
    },
  };
}

/** Waits until a check returns true. Throws an Error that names what was waited for. */
export async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const endsAtMs = performance.now() + WAIT_MS;
  while (!(await check())) {
    if (performance.now() > endsAtMs) throw new Error(`not within ${WAIT_MS / 1_000} s: ${what}`);
    await delay(200);
  }
}

export async function runKubectl(stage: Stage, args: readonly string[]): Promise<Result> {
  command(`kubectl ${args.map((arg) => (/[\s{}'"]/.test(arg) ? `'${arg}'` : arg)).join(" ")}`);
  const result = await execute(stage.kubectlPath, ["--kubeconfig", stage.kubeconfigPath, ...args]);
  output(result.text);
  return result;
}

export async function runSql(stage: Stage, text: string): Promise<void> {
  command(`psql -c "${text}"`);
  const rows = await runAsSuperuser<Record<string, unknown>>(stage.databaseUrl, text);
  const cells = rows.map((row) => Object.values(row).map((value) => formatCell(value)));
  const table = [Object.keys(rows[0] ?? {}), ...cells];
  const widths = (table[0] ?? []).map((_, column) => Math.max(...table.map((row) => row[column]?.length ?? 0)));
  output(
    table
      .map((row) =>
        row
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join("  ")
          .trimEnd(),
      )
      .join("\n"),
  );
}

function formatCell(value: unknown): string {
  if (value instanceof Date) return value.toISOString().slice(0, 19);
  return Array.isArray(value) ? value.join(",") : String(value ?? "");
}

export async function runCleanup(stage: Stage, ...args: string[]): Promise<Result> {
  command(["cleanup", ...args].join(" "));
  const env = { ...process.env, DATABASE_URL: stage.cleanupUrl, APITOKEN_LOG_LEVEL: "warn" };
  const result = await execute(process.execPath, [join(ROOT, "src/cleanup/main.ts"), ...args], env);
  output(result.text);
  return result;
}

function execute(file: string, args: readonly string[], env = process.env): Promise<Result> {
  return new Promise((resolve) => {
    execFile(file, args, { cwd: ROOT, env, encoding: "utf8" }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? 1), text: stdout + stderr }),
    );
  });
}
