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

/** Throws a ConfigError when either cannot be used. */
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

/** What node-cron has to say goes into our log, not to standard output. */
const silent = { info() {}, warn() {}, error() {}, debug() {} };

/**
 * Runs at the scheduled times until the signal, then waits for a run that is under way. A time that is missed (the
 * process did not run, or the run before was still at it) is not made up for: each run deletes all that is due, so the
 * next one does the work of both. A run that fails does not end the schedule.
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
        log.warn("the run before is still at work; this time is left out");
        return;
      }
      current = run()
        .then((exitCode) => log.info({ exitCode, nextAt: task.getNextRun() }, "waiting for the next time"))
        .catch((error: unknown) => log.error({ err: error }, "scheduled run failed"))
        .finally(() => {
          current = undefined;
        });
    },
    { timezone, logger: silent, suppressMissedWarning: true },
  );
  task.on("execution:missed", ({ date }) =>
    log.warn({ missedAt: date }, "a time was missed; the next run deletes what it would have"),
  );
  log.info({ schedule: expression, timezone, nextAt: task.getNextRun() }, "waiting for the first time");
  await whenAborted(stop);
  await task.destroy();
  await current;
  return EXIT.done;
}
