/*
 * How far a run has got: for a person who watches it, and for a log that must not fill up with it.
 */
import type { Logger } from "../../runtime/log.ts";
import { createPacer, createPaint, createProgressLine, type OutputStream } from "../../runtime/terminal.ts";
import { count, formatCount, measureWidth, stripControls } from "../../runtime/text.ts";
import { formatDuration } from "../../token/duration.ts";

/** Reports how far a run has got. */
export interface Progress {
  /** `fraction` of the table has been read, from 0 to 1, and `deleted` rows are gone. */
  update(fraction: number, deleted: number): void;
  /** Leaves the line to the next output. */
  end(): void;
}

const TERMINAL_INTERVAL_MS = 100;
const LOG_INTERVAL_MS = 10_000;
const BAR_WIDTH = 24;

/** On a terminal: one line that is rewritten, with a bar, the rate and the time left. */
export function createTerminalProgress(
  terminal: OutputStream,
  useColours: boolean,
  table: string,
  rowsDue: number,
): Progress {
  const paint = createPaint(useColours);
  const line = createProgressLine(terminal);
  const name = stripControls(table);
  const update = pace(TERMINAL_INTERVAL_MS, ({ fraction, deleted, rowsPerSecond, leftSeconds }) => {
    const filled = Math.round(fraction * BAR_WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
    const of = `${formatCount(deleted)} of ${count(rowsDue, "row")}`;
    const text = `${Math.floor(fraction * 100)} % · ${of} · ${formatCount(rowsPerSecond)} rows/s · ${formatDuration(leftSeconds * 1_000)} left`;
    // Where not everything fits, the figures matter more than the bar.
    const isNarrow = measureWidth(`${name} ${bar} ${text}`) >= (terminal.columns || Number.POSITIVE_INFINITY);
    line.show(isNarrow ? `${name} ${text}` : `${name} ${paint("cyan", bar)} ${text}`);
  });
  return { update, end: line.clear };
}

/** Elsewhere: a line of the log now and then, and none in a run of seconds. */
export function createLoggedProgress(log: Logger, table: string, rowsDue: number): Progress {
  return {
    update: pace(LOG_INTERVAL_MS, (soFar) => log.info({ table, rowsDue, ...soFar }, "deleting")),
    end() {},
  };
}

interface SoFar {
  readonly fraction: number;
  readonly deleted: number;
  readonly rowsPerSecond: number;
  readonly leftSeconds: number;
}

/** Calls `show` at most once per interval. */
function pace(intervalMs: number, show: (soFar: SoFar) => void): Progress["update"] {
  const startedAtMs = performance.now();
  const isTime = createPacer(intervalMs);
  return (fraction, deleted) => {
    if (!isTime()) return;
    const elapsedSeconds = (performance.now() - startedAtMs) / 1_000;
    const rowsPerSecond = Math.round(deleted / elapsedSeconds);
    const leftSeconds = Math.ceil((elapsedSeconds * (1 - fraction)) / Math.max(fraction, 0.001));
    show({ fraction, deleted, rowsPerSecond, leftSeconds });
  };
}
