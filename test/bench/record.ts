/*
 * The file that `--json` writes and `--compare` reads. The figures are its top level, so that `jq .startup_ms` and a diff
 * of two files work; beside them are the date and the machine, without which nobody can compare them later.
 */
import { readFileSync } from "node:fs";
import { z } from "zod";
import type { Figures } from "./figures.ts";
import type { Machine } from "./machine.ts";

/** One run of the benches. */
export interface BenchRecord {
  /** When the run ended, RFC 3339. */
  readonly date: string;
  readonly machine: Machine;
  readonly figures: Figures;
}

const recordSchema = z
  .object({
    date: z.iso.datetime(),
    machine: z.object({
      cpus: z.number(),
      cpu: z.string(),
      memoryGib: z.number(),
      node: z.string(),
      postgres: z.string(),
      kubernetes: z.string(),
    }),
  })
  .catchall(z.number());

export function formatRecord({ date, machine, figures }: BenchRecord): string {
  return `${JSON.stringify({ date, machine, ...figures }, undefined, 2)}\n`;
}

/** Reads what `--json` has written. Throws an Error that names the file and what is wrong with it. */
export function readRecord(file: string): BenchRecord {
  const { date, machine, ...figures } = parseRecord(readText(file), file);
  if (Object.keys(figures).length === 0) throw new Error(`${file} contains no figures`);
  return { date, machine, figures: figures as Figures };
}

function readText(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const isMissing = (error as NodeJS.ErrnoException).code === "ENOENT";
    throw new Error(isMissing ? `${file} does not exist` : `${file} cannot be read: ${(error as Error).message}`);
  }
}

function parseRecord(text: string, file: string): z.infer<typeof recordSchema> {
  let content: unknown;
  try {
    content = JSON.parse(text);
  } catch (error) {
    throw new Error(`${file} is not JSON: ${(error as Error).message}`);
  }
  const { data, error } = recordSchema.safeParse(content);
  if (error === undefined) return data;
  const problems = error.issues.map(
    ({ path, message }) => `${path.length === 0 ? "" : `${path.join(".")}: `}${message}`,
  );
  throw new Error(`${file} was not written by --json: ${problems.join("; ")}`);
}
