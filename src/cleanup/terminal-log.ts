/*
 * The log for a person at a terminal: words instead of JSON.
 */
import type { LogLevel } from "../runtime/config.ts";
import { createLogger, type Logger } from "../runtime/log.ts";
import { createPaint, type OutputStream, type Paint, replaceLine } from "../runtime/terminal.ts";
import { stripControls } from "../runtime/text.ts";

/**
 * A log with one line per entry, which replaces the progress line. Because a person reads the report anyway, "info" shows
 * only warnings and errors, except on a schedule, where the log is all there is to see between runs.
 */
export function createTerminalLog(
  terminal: OutputStream,
  useColours: boolean,
  level: LogLevel,
  isScheduled: boolean,
): Logger {
  const shownLevel = level === "info" && !isScheduled ? "warn" : level;
  const paint = createPaint(useColours);
  return createLogger("cleanup", shownLevel, {
    write: (line) => void terminal.write(`${replaceLine(formatEntry(JSON.parse(line), paint))}\n`),
  });
}

const STYLES = { error: "red", warn: "yellow" } as const;

/** As in `warn: cannot push the metrics: fetch failed`. */
function formatEntry(entry: Readonly<Record<string, unknown>>, paint: Paint): string {
  const { level, msg, err, time: _time, program: _program, ...fields } = entry;
  const style = level === "error" || level === "warn" ? STYLES[level] : "dim";
  const fault = typeof err === "object" && err !== null && "message" in err ? `: ${err.message}` : "";
  const shown = Object.entries(fields)
    .filter(([, value]) => typeof value !== "object")
    .map(([name, value]) => ` ${name}=${value}`);
  return `${paint(style, String(level))}: ${stripControls(`${msg}${fault}${shown.join("")}`)}`;
}
