import { openDatabase } from "../postgres/database.ts";
import { ConfigError, durationSetting, readEnvironment } from "../runtime/config.ts";
import { createLogger } from "../runtime/log.ts";
import { EXIT_DONE } from "../runtime/program.ts";
import { type CleanupConfig, cleanupEnvironment, cleanupOptions } from "./config.ts";
import { createProgress } from "./progress.ts";
import { formatReport } from "./report.ts";
import { runCleanup } from "./run.ts";

const EXIT_CODES = { succeeded: EXIT_DONE, failed: 1, refused: 3, stopped: 4 } as const;

/** The options as the command line has them. */
export type CommandLine = Readonly<Record<string, string | boolean | undefined>>;

/** Runs the cleanup once, on a connection of its own, and prints what it did. Returns the exit code. */
export async function start(options: CommandLine, environment: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config: CleanupConfig = { ...readEnvironment(cleanupEnvironment, environment), ...readCommandLine(options) };
  const log = createLogger("cleanup", config.APITOKEN_LOG_LEVEL);
  const isText = config.output === "text";
  const deadline = config.maxDurationMs > 0 ? [AbortSignal.timeout(config.maxDurationMs)] : [];
  const db = openDatabase({
    url: config.DATABASE_URL,
    role: "apitoken_cleanup",
    actor: "cleanup",
    maxConnections: 1,
    statementTimeoutMs: config.APITOKEN_CLEANUP_STATEMENT_TIMEOUT,
  });
  try {
    const report = await db.withConnection((session) =>
      runCleanup({
        session,
        config,
        log,
        stop: AbortSignal.any([stop, ...deadline]),
        createProgress: (rowsDue) =>
          isText ? createProgress(process.stderr, rowsDue) : { update: () => {}, end: () => {} },
      }),
    );
    if (report === undefined) {
      process.stdout.write(
        isText
          ? "another cleanup of this database is at work; nothing was done\n"
          : `${JSON.stringify({ outcome: "skipped", message: "another cleanup of this database is at work" })}\n`,
      );
      return EXIT_DONE;
    }
    const useColours = process.stdout.isTTY === true && environment.NO_COLOR === undefined;
    process.stdout.write(isText ? formatReport(report, useColours) : `${JSON.stringify(report)}\n`);
    return EXIT_CODES[report.outcome];
  } finally {
    await db.close();
  }
}

function readCommandLine(options: CommandLine) {
  const maxDuration = durationSetting.safeParse(options["max-duration"] ?? "0s");
  if (!maxDuration.success) throw new ConfigError(`--max-duration: ${maxDuration.error.issues[0]?.message}`);
  const result = cleanupOptions.safeParse({
    isDryRun: options["dry-run"] ?? false,
    output: options.output ?? "text",
    maxFraction: Number(options["max-fraction"] ?? "0.9"),
    maxDurationMs: maxDuration.data,
  });
  if (result.success) return result.data;
  const names: Readonly<Record<string, string>> = { output: "--output", maxFraction: "--max-fraction" };
  const lines = result.error.issues.map((issue) => `${names[String(issue.path[0])]}: ${issue.message}`);
  throw new ConfigError(lines.join("\n"));
}
