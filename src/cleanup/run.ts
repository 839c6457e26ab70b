/*
 * A run as a process: settings, log, progress, report and exit code around cleanup.ts, once or on a schedule.
 */
import type { CommandContext } from "../runtime/command/declare.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import { createLogger, type Logger } from "../runtime/log.ts";
import { isColoured } from "../runtime/terminal.ts";
import { type CleanupConfig, readCleanupConfig } from "./config.ts";
import { openCleanupDatabase } from "./database.ts";
import type { RunOptions } from "./options.ts";
import { publishReport } from "./report/publish.ts";
import { countDeleted, formatReport, type RunReport } from "./report/report.ts";
import { runCleanup } from "./run/cleanup.ts";
import { createLoggedProgress, createTerminalProgress } from "./run/progress.ts";
import { createTerminalLog } from "./terminal-log.ts";

const EXIT_CODES = { succeeded: EXIT.done, failed: EXIT.failed, refused: EXIT.refused, stopped: EXIT.stopped } as const;

/** How a run is followed: by a person at a terminal, or through its log. */
interface Output {
  readonly log: Logger;
  readonly format: RunOptions["output"];
  /** Whether standard error is a terminal. */
  readonly isWatched: boolean;
  readonly isLogColoured: boolean;
  readonly isReportColoured: boolean;
}

/** `cleanup`, and `cleanup run`; returns its exit code. */
export async function runCleanupCommand(context: CommandContext<RunOptions>): Promise<number> {
  const { options, environment, stop } = context;
  const config = readCleanupConfig(options, environment);
  const output = createOutput(config, context);
  if (options.schedule === undefined) return runOnce(config, output, stop);
  const { readSchedule, runOnSchedule } = await import("./schedule.ts");
  const schedule = readSchedule(options.schedule, options.timezone);
  return runOnSchedule(schedule, () => runOnce(config, output, stop), output.log, stop);
}

function createOutput(config: CleanupConfig, { options, environment }: CommandContext<RunOptions>): Output {
  const isWatched = process.stderr.isTTY === true;
  const isLogColoured = isColoured(process.stderr, environment, options.color);
  const log = isWatched
    ? createTerminalLog(process.stderr, isLogColoured, config.logLevel, options.schedule !== undefined)
    : createLogger("cleanup", config.logLevel);
  const isReportColoured = isColoured(process.stdout, environment, options.color);
  return { log, format: options.output, isWatched, isLogColoured, isReportColoured };
}

const ANOTHER_RUN = "another cleanup of this database is in progress; nothing was done";

/** Runs the cleanup once, on connections of its own, and prints what it did. Returns the exit code. */
async function runOnce(config: CleanupConfig, output: Output, stop: AbortSignal): Promise<number> {
  const { log, format, isWatched } = output;
  const report = await connectAndRun(config, output, stop);
  process.stdout.write(formatOutcome(report, output));
  log.info(report === undefined ? { outcome: "skipped" } : summarize(report), "cleanup ended");
  if (isWatched && report?.message !== undefined && format === "json") process.stderr.write(`${report.message}\n`);
  if (report === undefined) return EXIT.done;
  if (!report.isDryRun) await publishReport(report, config, log);
  return EXIT_CODES[report.outcome];
}

/** Undefined if another run is in progress. */
async function connectAndRun(config: CleanupConfig, output: Output, stop: AbortSignal): Promise<RunReport | undefined> {
  const { log, isWatched, isLogColoured } = output;
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
          ? createTerminalProgress(process.stderr, isLogColoured, table, rowsDue)
          : createLoggedProgress(log, table, rowsDue),
    });
  } finally {
    await db.close();
  }
}

function formatOutcome(report: RunReport | undefined, { format, isReportColoured }: Output): string {
  if (format === "json") return `${JSON.stringify(report ?? { outcome: "skipped", message: ANOTHER_RUN })}\n`;
  return report === undefined ? `${ANOTHER_RUN}\n` : formatReport(report, isReportColoured);
}

function summarize({ outcome, isDryRun, runId, durationMs, targets, code, message }: RunReport) {
  const tables = targets.map((target) => {
    const counts = target.after ?? target.before;
    return {
      table: target.table,
      outcome: target.outcome,
      deleted: countDeleted(target),
      batches: target.batches,
      due: counts?.due,
      sizeBytes: counts && counts.tableBytes + counts.indexBytes,
      vacuum: target.vacuum,
    };
  });
  return { outcome, isDryRun, runId, durationMs: Math.round(durationMs), tables, code, message };
}
