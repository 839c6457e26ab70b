/*
 * How every program runs and ends: signals, exit codes, and errors that nothing caught.
 */
import { ConfigError } from "./config.ts";
import { EXIT } from "./exit-codes.ts";
import { Fault, findFaultCode, toJsonFields } from "./fault.ts";
import type { Logger } from "./log.ts";

/** The work would do harm. Nothing was changed. */
export class RefusedError extends Fault {
  override readonly name = "RefusedError";
}

/**
 * Runs a program, or one of its commands ("controller doctor"), to its end and sets the process' exit code. `run` is given
 * a signal that SIGTERM and SIGINT abort; a second such signal ends the process at once. After `run` was stopped or has
 * failed, no work that is still in progress, such as a connection that hangs, keeps the process alive. An error that ends
 * the program is written to standard error, as a text that begins with the program's name or as one line of JSON.
 */
export async function runProgram(
  command: string,
  run: (stop: AbortSignal) => Promise<number>,
  output: "text" | "json" = "text",
  program = command.split(" ")[0],
): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(EXIT.failed);
    stop.abort(new Error(`stopped by ${signal}`));
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  try {
    process.exitCode = await run(stop.signal);
  } catch (error) {
    process.exitCode = findExitCode(error);
    const { aborted, reason } = stop.signal;
    if (aborted && error === reason) process.stderr.write(`${program}: ${reason.message}\n`);
    else if (output === "json") process.stderr.write(`${JSON.stringify({ error: toJsonFields(error) })}\n`);
    else process.stderr.write(`${program}: ${explain(error, command)}\n`);
    process.exit();
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
  if (stop.signal.aborted) process.exit();
}

function findExitCode(error: unknown): number {
  if (error instanceof ConfigError) return EXIT.badUsage;
  return error instanceof RefusedError ? EXIT.refused : EXIT.failed;
}

function explain(error: unknown, command: string): string {
  const code = `Error code: ${findFaultCode(error)} (docs/errors.md)`;
  if (error instanceof ConfigError) {
    return `${error.message}\n${code}\nRun "${command} --help" for options and settings.`;
  }
  if (!(error instanceof Error)) return `${String(error)}\n${code}`;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.message}${cause}\n${code}`;
}

/** Logs an error that nothing caught, and ends the process, whose state is unknown. */
export function exitOnUncaught(log: Logger): void {
  const fail = (error: unknown) => {
    log.error({ err: error }, "uncaught error");
    process.exit(EXIT.failed);
  };
  process.on("uncaughtException", fail).on("unhandledRejection", fail);
}
