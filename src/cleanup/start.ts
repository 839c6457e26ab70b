import { type Database, openDatabase } from "../postgres/database.ts";
import { sqlState } from "../postgres/errors.ts";
import { ConfigError, readEnvironment } from "../runtime/config.ts";
import { createLogger, type Logger } from "../runtime/log.ts";
import { EXIT_DONE } from "../runtime/program.ts";
import { type CleanupConfig, cleanupEnvironment, readCommandLine } from "./config.ts";
import { createLoggedProgress, createTerminalProgress } from "./progress.ts";
import { formatReport, type RunReport } from "./report.ts";
import { runCleanup } from "./run.ts";

const EXIT_CODES = { succeeded: EXIT_DONE, failed: 1, refused: 3, stopped: 4 } as const;

/** The options as the command line has them. */
export type CommandLine = Readonly<Record<string, string | boolean | undefined>>;

/** Runs the cleanup once, on a connection of its own, and prints what it did. Returns the exit code. */
export async function start(options: CommandLine, environment: NodeJS.ProcessEnv, stop: AbortSignal): Promise<number> {
  const config: CleanupConfig = { ...readEnvironment(cleanupEnvironment, environment), ...readCommandLine(options) };
  const useColours = environment.NO_COLOR === undefined;
  const isWatched = process.stderr.isTTY === true;
  const log = createLogger("cleanup", config.APITOKEN_LOG_LEVEL);
  if (isWatched) log.level = "silent"; // a person reads the report and the progress instead

  const report = await runOnce(config, log, stop, (table, rowsDue) =>
    isWatched
      ? createTerminalProgress(process.stderr, useColours, table, rowsDue)
      : createLoggedProgress(log, table, rowsDue),
  );
  process.stdout.write(
    config.output === "json"
      ? `${JSON.stringify(report ?? { outcome: "skipped", message: ANOTHER_RUN })}\n`
      : report === undefined
        ? `${ANOTHER_RUN}\n`
        : formatReport(report, useColours && process.stdout.isTTY === true),
  );
  log.info(report === undefined ? { outcome: "skipped" } : summarize(report), "cleanup ended");
  return report === undefined ? EXIT_DONE : EXIT_CODES[report.outcome];
}

const ANOTHER_RUN = "another cleanup of this database is at work; nothing was done";

async function runOnce(
  config: CleanupConfig,
  log: Logger,
  stop: AbortSignal,
  createProgress: Parameters<typeof runCleanup>[0]["createProgress"],
): Promise<RunReport | undefined> {
  const deadline = config.maxDurationMs === undefined ? [] : [AbortSignal.timeout(config.maxDurationMs)];
  const db = openDatabase({
    url: config.DATABASE_URL,
    role: "apitoken_cleanup",
    actor: "cleanup",
    maxConnections: 1,
    statementTimeoutMs: config.APITOKEN_CLEANUP_STATEMENT_TIMEOUT,
  });
  try {
    await requireAccess(db);
    return await db.withConnection((session) =>
      runCleanup({ session, config, log, stop: AbortSignal.any([stop, ...deadline]), createProgress }),
    );
  } finally {
    await db.close();
  }
}

/** SQLSTATEs with which Postgres refuses a connection that no second try would get. */
const REFUSALS: Readonly<Record<string, string>> = {
  "28P01": "the password is wrong",
  "28000": "the server does not let this login in; look at pg_hba.conf",
  "3D000": "there is no such database",
  "22023": 'the role apitoken_cleanup does not exist; run "migrate" first',
  "42501": "the login is not a member of the role apitoken_cleanup; grant apitoken_cleanup to it",
};

/** Throws a ConfigError when the database is there but does not let this program in. */
async function requireAccess(db: Database): Promise<void> {
  await db.query({ text: "select" }).catch((error: unknown) => {
    const fault = REFUSALS[sqlState(error) ?? ""];
    if (fault === undefined) throw error;
    throw new ConfigError(`DATABASE_URL: ${fault} (${(error as Error).message})`, { cause: error });
  });
}

function summarize({ outcome, isDryRun, runId, durationMs, targets, vacuum, message }: RunReport) {
  const tables = targets.map(({ table, deleted, batches, before, after }) => ({
    table,
    deleted,
    batches,
    due: (after ?? before).due,
    sizeBytes: (after ?? before).sizeBytes,
  }));
  return { outcome, isDryRun, runId, durationMs: Math.round(durationMs), tables, vacuum, message };
}
