import type { Writable } from "node:stream";
import { styleText } from "node:util";
import type { Logger } from "../runtime/log.ts";
import { formatDuration } from "../token/duration.ts";

/** Says how far a run is. */
export interface Progress {
  /** `fraction` of the table was seen, from 0 to 1, and so many rows have gone. */
  update(fraction: number, deleted: number): void;
  /** Leaves the line to what is printed next. */
  end(): void;
}

const TERMINAL_INTERVAL_MS = 100;
const LOG_INTERVAL_MS = 10_000;
const BAR_WIDTH = 24;

/** On a terminal: one line that is rewritten, with a bar, the rate and the time left. */
export function createTerminalProgress(
  terminal: Writable & { readonly columns?: number },
  useColours: boolean,
  table: string,
  rowsDue: number,
): Progress {
  const update = pace(TERMINAL_INTERVAL_MS, ({ fraction, deleted, rowsPerSecond, leftSeconds }) => {
    const filled = Math.round(fraction * BAR_WIDTH);
    const bar = "█".repeat(filled) + "░".repeat(BAR_WIDTH - filled);
    const of = `${deleted.toLocaleString("en-US")} of ${rowsDue.toLocaleString("en-US")} rows`;
    const text = `${Math.floor(fraction * 100)} % · ${of} · ${rowsPerSecond.toLocaleString("en-US")} rows/s · ${formatDuration(leftSeconds * 1_000)} left`;
    const painted = useColours ? styleText("cyan", bar, { validateStream: false }) : bar;
    // A line that is broken in two could not be rewritten.
    const columns = terminal.columns || Number.POSITIVE_INFINITY;
    const isWide = table.length + BAR_WIDTH + text.length + 2 >= columns;
    terminal.write(`\r\x1b[K${isWide ? `${table} ${text}`.slice(0, columns - 1) : `${table} ${painted} ${text}`}`);
  });
  return { update, end: () => void terminal.write("\r\x1b[K") };
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

/** Calls `say` at most once in an interval. */
function pace(intervalMs: number, say: (soFar: SoFar) => void): Progress["update"] {
  const startedAtMs = performance.now();
  let saidAtMs = startedAtMs;
  return (fraction, deleted) => {
    const nowMs = performance.now();
    if (nowMs - saidAtMs < intervalMs) return;
    saidAtMs = nowMs;
    const elapsedSeconds = (nowMs - startedAtMs) / 1_000;
    const rowsPerSecond = Math.round(deleted / elapsedSeconds);
    const leftSeconds = Math.ceil((elapsedSeconds * (1 - fraction)) / Math.max(fraction, 0.001));
    say({ fraction, deleted, rowsPerSecond, leftSeconds });
  };
}
