/*
 * The tour acts as a user would: with kubectl, SQL, the cleanup program and a verifier. It never calls the controller's code
 * to change something.
 */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { runAsSuperuser } from "../local/postgres-server.ts";
import { verifyToken } from "../local/verify-token.ts";
import { loadKeyring } from "../src/controller/keyring/secret.ts";
import { createTransport } from "../src/kube/transport.ts";
import { openDatabase } from "../src/postgres/database.ts";
import { createTokenHasher } from "../src/runtime/token-hash.ts";
import { command, output } from "./console.ts";
import type { Stage } from "./stage.ts";

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

/** The owner that a token acts for; undefined if the token is not valid. */
export async function check(stage: Stage, token: string): Promise<string | undefined> {
  const transport = await createTransport({ userAgent: "tour", kubeconfigPath: stage.kubeconfigPath });
  const db = openDatabase({ url: stage.databaseUrl, role: "apitoken_verifier", actor: "tour", maxConnections: 1 });
  try {
    command(`verifyToken({ db, keyring, hasher }, "${token.slice(0, 8)}…${token.slice(-1)}")`);
    const place = { namespace: "apitoken-system", name: "apitoken-keyring" };
    const keyring = await loadKeyring(transport, place, () => Promise.resolve(true));
    const row = await verifyToken({ db, keyring, hasher: createTokenHasher() }, token);
    output(
      row === undefined ? "not valid" : `valid: token ${row.id} of ${row.owner}, until ${row.expiresAt.toISOString()}`,
    );
    return row?.owner;
  } finally {
    await Promise.all([transport.close(), db.close()]);
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
