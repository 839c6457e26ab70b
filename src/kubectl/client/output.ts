/*
 * Where output goes: data to standard output, everything else to standard error, so that a pipe gets the data alone.
 */
import type { CommandContext } from "../../runtime/command/declare.ts";
import { createPaint, isColoured, type Paint } from "../../runtime/terminal.ts";

/** The width of output that is not printed on a terminal. */
const DEFAULT_WIDTH = 100;

/** How texts are laid out on standard output. */
export interface Page {
  readonly paint: Paint;
  readonly width: number;
}

/** The page that standard output is. */
export function findPage({ environment }: Pick<CommandContext, "environment">): Page {
  const { isTTY, columns } = process.stdout;
  return {
    paint: createPaint(isColoured(process.stdout, environment)),
    width: isTTY ? columns || DEFAULT_WIDTH : DEFAULT_WIDTH,
  };
}

/** Writes data. */
export function print(text: string): void {
  process.stdout.write(text.endsWith("\n") || text === "" ? text : `${text}\n`);
}

/** Writes a line of progress, or a question's context. */
export function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** Writes an object as JSON or YAML. */
export async function printObject(object: unknown, format: "json" | "yaml"): Promise<void> {
  if (format === "json") return print(JSON.stringify(object, null, 2));
  const { stringify } = await import("yaml");
  print(stringify(object, { lineWidth: 0, aliasDuplicateObjects: false }));
}
