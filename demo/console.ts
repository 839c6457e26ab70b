import { styleText } from "node:util";

type Style = Parameters<typeof styleText>[0];

/** Colours on a terminal; plain text elsewhere, or where NO_COLOR is set. */
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

/** The beginning of a step of the tour. */
export function headline(text: string): void {
  say(`\n${paint("bold", `── ${text} `.padEnd(78, "─"))}`);
}

/** A command, as somebody would type it. */
export function command(text: string): void {
  say(paint("cyan", `$ ${text}`));
}

/** What came back. */
export function output(text: string): void {
  say(text.trimEnd());
}

export function verdict(isGood: boolean, text: string): void {
  say(paint(isGood ? "green" : "red", `${isGood ? "✓" : "✗"} ${text}`));
}

/** Says what is going on, and for how long already, until the work has ended. */
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
