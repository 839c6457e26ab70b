/*
 * How the tour looks: a headline for each step, then the commands as a user would type them, and their output. Somebody
 * should be able to repeat any step by copying it.
 */
import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Applies a style on a terminal. Elsewhere, or if NO_COLOR is set, returns plain text. */
function paint(style: Style, text: string): string {
  const isPlain = !process.stdout.isTTY || process.env.NO_COLOR !== undefined;
  return isPlain ? text : styleText(style, text, { validateStream: false });
}

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

/** Shows what is going on, and for how long, until the work has ended. */
export async function withProgress<T>(what: string, work: Promise<T>): Promise<T> {
  const startedAtMs = performance.now();
  const seconds = () => ((performance.now() - startedAtMs) / 1_000).toFixed(1);
  const timer = setInterval(() => warn(`  … ${what}, ${seconds()} s`), 2_000);
  try {
    const result = await work;
    say(`${paint("dim", `${what}: ${seconds()} s`)}`);
    return result;
  } finally {
    clearInterval(timer);
  }
}
