/*
 * The e2e runs other programs and must show enough for somebody to find a failure in CI: each step with its time, and
 * all output of a command that fails.
 */
import { spawn } from "node:child_process";
import { setTimeout as delay } from "node:timers/promises";
import { createPaint, isColoured } from "../../src/runtime/terminal.ts";

const paint = createPaint(isColoured(process.stdout, process.env));
const beganAtMs = performance.now();

/** Prints the headline of a step, with the seconds since the start. */
export function step(title: string): void {
  const seconds = ((performance.now() - beganAtMs) / 1_000).toFixed(0).padStart(4);
  process.stdout.write(`\n${paint("bold", `[${seconds} s] ${title}`)}\n`);
}

/** Prints the result of a step. */
export function print(text: string): void {
  process.stdout.write(`${text.trimEnd().replace(/^/gm, "         ")}\n`);
}

/** Runs a program and returns its standard output. Throws an Error with all its output if it fails. */
export function run(command: string, args: readonly string[], input?: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "pipe"] });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (chunk) => (stdout += chunk));
    child.stderr.on("data", (chunk) => (stderr += chunk));
    child.once("error", (error) => reject(new Error(`cannot run ${command}`, { cause: error })));
    child.once("close", (code) => {
      if (code === 0) resolve(stdout);
      else reject(new Error(`${command} ${args.join(" ")} ended with ${code}:\n${stdout}${stderr}`));
    });
    child.stdin.on("error", () => {}); // the program ended without reading its input
    child.stdin.end(input ?? "");
  });
}

/** Runs a command line from the user, with each {name} replaced. */
export async function runLine(line: string, values: Readonly<Record<string, string>>): Promise<void> {
  const filled = line.replace(/\{(\w*)\}/g, (whole, name: string) => values[name] ?? whole);
  print(`$ ${filled}`);
  await run("sh", ["-c", filled]);
}

/** Runs kubectl with a text on its standard input. */
export const kubectlWith = (input: string, ...args: string[]): Promise<string> =>
  run(process.env.KUBECTL ?? "kubectl", args, input);

export const kubectl = (...args: string[]): Promise<string> => kubectlWith("", ...args);

export const kubectlApply = (objects: readonly object[] | string): Promise<string> =>
  kubectlWith(
    typeof objects === "string" ? objects : JSON.stringify({ apiVersion: "v1", kind: "List", items: objects }),
    ...["apply", "--server-side", "--force-conflicts", "-f", "-"],
  );

/** Reads objects as JSON. */
export async function getJson<T>(...args: string[]): Promise<T> {
  return JSON.parse(await kubectl("get", ...args, "-o", "json")) as T;
}

/** Waits until `check` returns something other than undefined or false, and returns it. Throws its last error. */
export async function until<T>(
  what: string,
  check: () => Promise<T | undefined | false>,
  timeoutMs = 120_000,
): Promise<T> {
  const endsAtMs = performance.now() + timeoutMs;
  let last: unknown;
  while (performance.now() < endsAtMs) {
    try {
      const result = await check();
      if (result !== undefined && result !== false) return result;
      last = undefined;
    } catch (error) {
      last = error;
    }
    await delay(250);
  }
  throw new Error(`${what}: not within ${timeoutMs / 1_000} s`, { cause: last });
}

/** Fails the e2e unless a condition holds. */
export function need(condition: boolean, fault: string): asserts condition {
  if (!condition) throw new Error(fault);
}
