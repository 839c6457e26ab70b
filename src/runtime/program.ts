import { ConfigError } from "./config.ts";
import type { Logger } from "./log.ts";

/** Exit codes that all programs share; a program may have more. */
export const EXIT_DONE = 0;
export const EXIT_FAILED = 1;
export const EXIT_BAD_CONFIGURATION = 2;

/**
 * Runs a program to its end and sets the process' exit code. `run` is given a signal that is aborted by SIGTERM and
 * SIGINT; a second such signal ends the process at once. When `run` was stopped or has failed, nothing that is still
 * under way (a connection that hangs, say) keeps the process.
 */
export async function runProgram(name: string, run: (stop: AbortSignal) => Promise<number>): Promise<void> {
  const stop = new AbortController();
  const onSignal = (signal: NodeJS.Signals) => {
    if (stop.signal.aborted) process.exit(EXIT_FAILED);
    stop.abort(new Error(`stopped by ${signal}`));
  };
  process.on("SIGTERM", onSignal).on("SIGINT", onSignal);
  try {
    process.exitCode = await run(stop.signal);
  } catch (error) {
    process.exitCode = error instanceof ConfigError ? EXIT_BAD_CONFIGURATION : EXIT_FAILED;
    process.stderr.write(`${name}: ${explain(error)}\n`);
    process.exit();
  } finally {
    process.off("SIGTERM", onSignal).off("SIGINT", onSignal);
  }
  if (stop.signal.aborted) process.exit();
}

function explain(error: unknown): string {
  if (error instanceof ConfigError) return `${error.message}\nSee --help.`;
  if (!(error instanceof Error)) return String(error);
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : "";
  return `${error.message}${cause}`;
}

/** Logs what nothing else caught, and ends the process: its state is unknown. */
export function exitOnUncaught(log: Logger): void {
  const fail = (error: unknown) => {
    log.error({ err: error }, "uncaught error");
    process.exit(EXIT_FAILED);
  };
  process.on("uncaughtException", fail).on("unhandledRejection", fail);
}
