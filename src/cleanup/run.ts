import { type Database, openDatabase } from "../postgres/database.ts";
import { sqlState } from "../postgres/errors.ts";
import { ConfigError, readLogin } from "../runtime/config.ts";
import { createLogger, type Logger } from "../runtime/log.ts";
import { EXIT_DONE } from "../runtime/program.ts";
import { runCleanup } from "./cleanup-run.ts";
import { type CleanupConfig, readCommandLine, readSettings } from "./config.ts";
import { readConfigFile } from "./config-file.ts";
import { createLoggedProgress, createTerminalProgress } from "./progress.ts";
import { publishReport } from "./publish.ts";
import { countDeleted, formatReport, type RunReport } from "./report.ts";
import { createTerminalLog } from "./terminal-log.ts";

const EXIT_CODES = { succeeded: EXIT_DONE, failed: 1, refused: 3, stopped: 4 } as const;

/** The options as the command line has them. */
export type CommandLine = Readonly<Record<string, string | boolean | undefined>>;

/** All settings, wherever they stand. Throws a ConfigError. */
export function readConfig(options: CommandLine, environment: NodeJS.ProcessEnv): CleanupConfig {
  const { config: path = environment.APITOKEN_CLEANUP_CONFIG, ...rest } = options;
  const file = path ? readConfigFile(String(path)) : { targets: [], settings: {} };
  return { ...readSettings(environment, file), ...readCommandLine(rest), targets: file.targets };
}

/** The database as the cleanup uses it: the batches on one connection, and one to watch the server. */
export async function openCleanupDatabase(config: CleanupConfig): Promise<Database> {
  const db = openDatabase({
    ...readLogin(config),
    role: "apitoken_cleanup",
    actor: "cleanup",
    maxConnections: 2,
    statementTimeoutMs: config.APITOKEN_CLEANUP_STATEMENT_TIMEOUT,
  });
  await requireAccess(db).catch(async (error: unknown) => {
    await db.close();
    throw error;
  });
  return db;
}

/** How a person or a log reads a run. */
export interface Output {
  readonly log: Logger;
  readonly isWatched: boolean;
  readonly useColours: boolean;
}

export function createOutput(config: CleanupConfig, environment: NodeJS.ProcessEnv, isScheduled: boolean): Output {
  const isWatched = process.stderr.isTTY === true;
  const useColours = environment.NO_COLOR === undefined;
  const log = isWatched
    ? createTerminalLog(process.stderr, useColours, config.APITOKEN_LOG_LEVEL, isScheduled)
    : createLogger("cleanup", config.APITOKEN_LOG_LEVEL);
  return { log, isWatched, useColours };
}

/** Runs the cleanup once, on connections of its own, and prints what it did. Returns the exit code. */
export async function start(config: CleanupConfig, output: Output, stop: AbortSignal): Promise<number> {
  const { log, isWatched, useColours } = output;
  const report = await runOnce(config, output, stop);
  process.stdout.write(
    config.output === "json"
      ? `${JSON.stringify(report ?? { outcome: "skipped", message: ANOTHER_RUN })}\n`
      : report === undefined
        ? `${ANOTHER_RUN}\n`
        : formatReport(report, useColours && process.stdout.isTTY === true),
  );
  log.info(report === undefined ? { outcome: "skipped" } : summarize(report), "cleanup ended");
  if (isWatched && report?.message !== undefined && config.output === "json")
    process.stderr.write(`${report.message}\n`);
  if (report === undefined) return EXIT_DONE;
  if (!report.isDryRun) await publishReport(report, config, log);
  return EXIT_CODES[report.outcome];
}

const ANOTHER_RUN = "another cleanup of this database is at work; nothing was done";

async function runOnce(config: CleanupConfig, output: Output, stop: AbortSignal): Promise<RunReport | undefined> {
  const { log, isWatched, useColours } = output;
  const deadline = config.maxDurationMs === undefined ? [] : [AbortSignal.timeout(config.maxDurationMs)];
  const db = await openCleanupDatabase(config);
  try {
    return await runCleanup({
      db,
      config,
      log,
      stop: AbortSignal.any([stop, ...deadline]),
      createProgress: (table, rowsDue) =>
        isWatched
          ? createTerminalProgress(process.stderr, useColours, table, rowsDue)
          : createLoggedProgress(log, table, rowsDue),
    });
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
    throw new ConfigError(`DATABASE_URL: ${fault} (${(error as Error).message})`, {
      faultCode: "APITOKEN_E_DATABASE_REFUSED",
      cause: error,
    });
  });
}

function summarize({ outcome, isDryRun, runId, durationMs, targets, code, message }: RunReport) {
  const tables = targets.map((target) => {
    const counts = target.after ?? target.before;
    return {
      table: target.table,
      outcome: target.outcome,
      deleted: countDeleted(target),
      batches: target.batches,
      due: counts.due,
      sizeBytes: counts.tableBytes + counts.indexBytes,
      vacuum: target.vacuum,
    };
  });
  return { outcome, isDryRun, runId, durationMs: Math.round(durationMs), tables, code, message };
}
