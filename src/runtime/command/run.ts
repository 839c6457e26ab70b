/*
 * Runs a program: what its command line asks for, or the faults that it has.
 */
import { ConfigError } from "../config.ts";
import { EXIT } from "../exit-codes.ts";
import { runProgram } from "../program.ts";
import { VERSION } from "../version.ts";
import type { Command } from "./declare.ts";
import { formatHelp } from "./help.ts";
import { findCall } from "./parse.ts";

/** The width of help that is not printed on a terminal. */
const DEFAULT_WIDTH = 80;

/** Lines longer than this are hard to read, however wide the terminal is. */
const MAXIMUM_WIDTH = 120;

/** Runs a program on the process' arguments, and sets its exit code. */
export async function runCommandLine(program: Command): Promise<void> {
  const call = findCall(program, process.argv.slice(2));
  const isJson = call.kind === "run" && call.options.output === "json";
  const run = async (stop: AbortSignal): Promise<number> => {
    switch (call.kind) {
      case "help":
        process.stdout.write(formatHelp(call.path, call.command, readWidth()));
        return EXIT.done;
      case "version":
        process.stdout.write(`${VERSION}\n`);
        return EXIT.done;
      case "faults":
        throw new ConfigError(call.faults.join("\n"), { faultCode: "APITOKEN_E_USAGE" });
      case "run": {
        const { options, argument } = call;
        return call.command.run?.({ options, argument, environment: process.env, stop }) ?? EXIT.done;
      }
    }
  };
  await runProgram(call.path.join(" "), run, isJson ? "json" : "text", program.name);
}

function readWidth(): number {
  return process.stdout.isTTY ? Math.min(process.stdout.columns || DEFAULT_WIDTH, MAXIMUM_WIDTH) : DEFAULT_WIDTH;
}
