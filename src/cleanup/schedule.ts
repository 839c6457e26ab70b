/*
 * Runs on a schedule within the process, for those who have no CronJob or cron.
 */
import cron from "node-cron";
import { ConfigError } from "../runtime/config.ts";
import { EXIT } from "../runtime/exit-codes.ts";
import type { Logger } from "../runtime/log.ts";
import { whenAborted } from "../runtime/signals.ts";

export interface Schedule {
  /** Five fields, or six with seconds first. */
  readonly expression: string;
  /** An IANA time zone such as Europe/Berlin. */
  readonly timezone: string;
}

/** Throws a ConfigError if the expression or the time zone is invalid. */
export function readSchedule(expression: string, timezone = "UTC"): Schedule {
  if (!cron.validate(expression)) {
    throw new ConfigError(`--schedule is ${JSON.stringify(expression)}: must be a cron expression such as "0 2 * * *"`);
  }
  try {
    new Intl.DateTimeFormat("en", { timeZone: timezone });
  } catch (cause) {
    throw new ConfigError(`--timezone is ${JSON.stringify(timezone)}: must be a time zone such as Europe/Berlin`, {
      cause,
    });
  }
  return { expression, timezone };
}

/** node-cron would write to standard output, which is for reports; its events go into our log instead. */
const silent = { info() {}, warn() {}, error() {}, debug() {} };

/**
 * Runs at the scheduled times until `stop`, then waits for a run that is in progress. A missed time (the process was
 * suspended, or the previous run was still in progress) is not caught up: each run deletes all that is due, so the next one
 * does the work of both. A failed run does not end the schedule.
 */
export async function runOnSchedule(
  { expression, timezone }: Schedule,
  run: () => Promise<number>,
  log: Logger,
  stop: AbortSignal,
): Promise<number> {
  let current: Promise<void> | undefined;
  const task = cron.schedule(
    expression,
    () => {
      if (current !== undefined) {
        log.warn("the previous run is still in progress; this one is skipped");
        return;
      }
      current = run()
        .then((exitCode) => log.info({ exitCode, nextAt: task.getNextRun() }, "waiting for the next run"))
        .catch((error: unknown) => log.error({ err: error }, "scheduled run failed"))
        .finally(() => {
          current = undefined;
        });
    },
    { timezone, logger: silent, suppressMissedWarning: true },
  );
  task.on("execution:missed", ({ date }) =>
    log.warn({ missedAt: date }, "a run was missed; the next one does its work"),
  );
  log.info({ schedule: expression, timezone, nextAt: task.getNextRun() }, "waiting for the first run");
  await whenAborted(stop);
  await task.destroy();
  await current;
  return EXIT.done;
}
