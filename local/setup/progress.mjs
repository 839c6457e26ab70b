/*
 * The set-up may take minutes on its first run, and a person who sees nothing stops it. So each step shows what it does
 * and for how long; a tool's own output is shown only if the tool fails.
 */
import { spawn } from "node:child_process";

const REPEAT_MS = process.stderr.isTTY ? 1_000 : 15_000;

/** Shows what is being done and for how long, on standard error, because standard output belongs to the programs. */
export function startProgress(what) {
  const startedAtMs = Date.now();
  const seconds = () => Math.round((Date.now() - startedAtMs) / 1_000);
  const say = (text) => process.stderr.write(process.stderr.isTTY ? `\r\x1b[K${text}` : `${text}\n`);
  say(`set-up: ${what} …`);
  const timer = setInterval(() => say(`set-up: ${what} … ${seconds()} s`), REPEAT_MS);
  return {
    end(result) {
      clearInterval(timer);
      say(`set-up: ${what}: ${result} (${seconds()} s)`);
      if (process.stderr.isTTY) process.stderr.write("\n");
    },
  };
}

/** Prints one line of the set-up. */
export function print(text) {
  process.stderr.write(`set-up: ${text}\n`);
}

/** Runs a program silently and resolves with its output. Rejects with the end of its output if it fails. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    const keep = (chunk) => {
      output = (output + chunk).slice(-8_000);
    };
    child.stdout.on("data", keep);
    child.stderr.on("data", keep);
    child.once("error", reject);
    child.once("close", (code, signal) => {
      if (code === 0) resolve(output);
      else reject(new Error(`${command} ended with ${signal ?? `exit code ${code}`}\n${output.trim()}`));
    });
  });
}
