/*
 * Commands are tested as processes, because exit codes, streams and argument parsing are what their users depend on.
 */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { TestCluster } from "./cluster.ts";
import { controllerSettings } from "./controllers.ts";

const MAIN = fileURLToPath(new URL("../../src/controller/main.ts", import.meta.url));

/** A command's output and exit code. */
export interface CommandResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command of the controller, such as `doctor`, as a process without a terminal, and waits for its end. */
export function runCommand(
  cluster: TestCluster,
  databaseUrl: string,
  args: readonly string[],
  settings: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const env = { ...process.env, ...controllerSettings(cluster, databaseUrl), ...settings };
  const child = spawn(process.execPath, [MAIN, ...args], { env, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (chunk) => (output.stdout += chunk));
  child.stderr.on("data", (chunk) => (output.stderr += chunk));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, ...output }));
  });
}
