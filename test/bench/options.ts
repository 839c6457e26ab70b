/*
 * All benches together can take an hour, so everything that can be wrong with the command line is found before they start.
 */
import { accessSync, constants, statSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { parseArgs } from "node:util";
import { type BenchRecord, readRecord } from "./record.ts";

/** What a run of the benches is to do. */
export interface BenchOptions {
  readonly needsHelp: boolean;
  /** The one bench to run; undefined: all. */
  readonly only: string | undefined;
  /** Where the figures are written to. */
  readonly json: string | undefined;
  /** The earlier run to compare with, and the file that it was read from. */
  readonly before: { readonly file: string; readonly record: BenchRecord } | undefined;
}

export function formatHelp(benches: readonly string[]): string {
  return `npm run bench: measures the programs against the best that the machine can do, in one run

  npm run bench                     runs all benches and prints a table
  npm run bench -- --only NAME      runs one of ${benches.join(", ")}
  npm run bench -- --json FILE      also writes the figures, the date and the machine to FILE
  npm run bench -- --compare FILE   also prints how the figures differ from those in FILE, written by --json
  npm run bench -- --help           prints this

docs/benchmarks/README.md explains how to record and compare releases.
`;
}

/** Reads the command line and the file to compare with. Throws an Error that says what is wrong. */
export function readOptions(args: readonly string[], benches: readonly string[]): BenchOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      only: { type: "string" },
      json: { type: "string" },
      compare: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  const { only, json, compare, help } = values;
  if (help) return { needsHelp: true, only, json, before: undefined };
  if (only !== undefined && !benches.includes(only)) {
    throw new Error(`there is no bench "${only}"; the benches are ${benches.join(", ")}`);
  }
  if (json !== undefined) checkWritable(json);
  const before = compare === undefined ? undefined : { file: compare, record: readRecord(compare) };
  return { needsHelp: false, only, json, before };
}

function checkWritable(file: string): void {
  if (statSync(file, { throwIfNoEntry: false })?.isDirectory()) throw new Error(`${file} is a folder`);
  try {
    accessSync(dirname(resolve(file)), constants.W_OK);
  } catch (error) {
    throw new Error(`${file} cannot be written: ${(error as Error).message}`);
  }
}
