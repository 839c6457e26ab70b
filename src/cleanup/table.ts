import type { styleText } from "node:util";
import { formatDuration } from "../token/duration.ts";

export type Style = Parameters<typeof styleText>[0];
export type Paint = (style: Style, text: string) => string;

/** Lines of a table whose first row is its head: names to the left, figures to the right, the row `strong` in bold. */
export function formatTable(rows: readonly (readonly string[])[], paint: Paint, strong = ""): string[] {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => (row[column] ?? "").length)));
  return rows.map((row, index) => {
    const cells = row.map((cell, column) =>
      column === 0
        ? cell.padEnd(Math.max(14, widths[column] ?? 0))
        : cell.padStart(Math.max(14, (widths[column] ?? 0) + 2)),
    );
    const line = `  ${cells.join("")}`.trimEnd();
    return index === 0 ? paint("dim", line) : row[0] === strong ? paint("bold", line) : line;
  });
}

/** 1,234,567 */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** What stands in the database, without characters that would steer a terminal. */
export function formatName(name: string): string {
  return name.replaceAll(/\p{Cc}/gu, "\ufffd");
}

/** 2026-11-21, in UTC. */
export function formatDay(moment: Date | undefined): string {
  return moment === undefined ? "-" : moment.toISOString().slice(0, 10);
}

/** 7d where it is whole days, else 1h30m. */
export function formatRetention(retentionMs: number): string {
  const days = retentionMs / 86_400_000;
  return Number.isInteger(days) && days > 0 ? `${days}d` : formatDuration(retentionMs);
}

/** 47.3 MiB, or 88 KiB. */
export function formatSize(bytes: number): string {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} KiB`;
  return `${(bytes / 2 ** 20).toLocaleString("en-US", { maximumFractionDigits: 1 })} MiB`;
}
