import type { Writable } from "node:stream";
import { styleText } from "node:util";
import { createLogger, type Logger } from "../runtime/log.ts";
import type { CleanupConfig } from "./config.ts";

/**
 * A log for a person at a terminal: one line of plain words for each entry, in place of the progress that stands there. A
 * person reads the report: unless APITOKEN_LOG_LEVEL says otherwise only a schedule tells more than warnings.
 */
export function createTerminalLog(
  terminal: Writable,
  useColours: boolean,
  level: CleanupConfig["APITOKEN_LOG_LEVEL"],
  isScheduled: boolean,
): Logger {
  const shownLevel = level === "info" && !isScheduled ? "warn" : level;
  return createLogger("cleanup", shownLevel, {
    write: (line) => void terminal.write(`\r\x1b[K${formatEntry(JSON.parse(line), useColours)}\n`),
  });
}

const STYLES = { error: "red", warn: "yellow" } as const;

/** As in `warn: cannot push the metrics: fetch failed`. */
function formatEntry(entry: Readonly<Record<string, unknown>>, useColours: boolean): string {
  const { level, msg, err, time: _time, program: _program, ...fields } = entry;
  const style = level === "error" || level === "warn" ? STYLES[level] : "dim";
  const label = useColours ? styleText(style, String(level), { validateStream: false }) : String(level);
  const fault = typeof err === "object" && err !== null && "message" in err ? `: ${err.message}` : "";
  const shown = Object.entries(fields)
    .filter(([, value]) => typeof value !== "object")
    .map(([name, value]) => ` ${name}=${value}`);
  return `${label}: ${msg}${fault}${shown.join("")}`;
}
