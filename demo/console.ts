/*
 * The tour's output: a headline for each step, then the commands as a user would type them, and what they print. Readers
 * should be able to repeat a step by copying its commands.
 */
import { createPaint, isColoured } from "../src/runtime/terminal.ts";

const paint = createPaint(isColoured(process.stdout, process.env));

export function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

export function warn(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Prints the headline of a step of the tour. */
export function headline(text: string): void {
  say(`\n${paint("bold", `── ${text} `.padEnd(78, "─"))}`);
}

/** Prints a command as a user would type it. */
export function command(text: string): void {
  say(paint("cyan", `$ ${text}`));
}

/** Prints a command's output. */
export function output(text: string): void {
  say(text.trimEnd());
}

export function verdict(isGood: boolean, text: string): void {
  say(paint(isGood ? "green" : "red", `${isGood ? "✓" : "✗"} ${text}`));
}

/** Prints how long the work has taken, every two seconds and at its end. `what` is a phrase such as "Starting Postgres". */
export async function withProgress<T>(what: string, work: Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  const seconds = () => ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  const timer = setInterval(() => warn(`  … ${what}: ${seconds()} s so far`), 2_000);
  try {
    const result = await work;
    say(paint("dim", `${what}: done in ${seconds()} s`));
    return result;
  } finally {
    clearInterval(timer);
  }
}
