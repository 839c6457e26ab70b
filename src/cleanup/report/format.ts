/*
 * How the cleanup's reports write days, retentions and sizes. What all programs write in the same way is in
 * runtime/text.ts.
 */
import { type Column, formatTable, type Paint } from "../../runtime/terminal.ts";
import { formatDuration } from "../../token/duration.ts";

/** A table of figures as lines: names on the left, figures on the right, the row with the name `total` in bold. */
export function formatFigures(titles: readonly string[], rows: readonly (readonly string[])[], paint: Paint): string[] {
  const columns = titles.map(
    (title, index): Column => (index === 0 ? { title, minWidth: 14 } : { title, align: "right", minWidth: 12 }),
  );
  const cells = rows.map((row) => (row[0] === "total" ? row.map((text) => ({ text, style: "bold" as const })) : row));
  return formatTable({ columns, rows: cells, indent: "  " }, paint);
}

/** 2026-11-21, in UTC. */
export function formatDay(moment: Date | undefined): string {
  return moment === undefined ? "-" : moment.toISOString().slice(0, 10);
}

/** 7d for whole days, otherwise 1h30m. */
export function formatRetention(retentionMs: number): string {
  const days = retentionMs / 86_400_000;
  return Number.isInteger(days) && days > 0 ? `${days}d` : formatDuration(retentionMs);
}

/** 47.3 MiB, or 88 KiB. */
export function formatSize(bytes: number): string {
  if (bytes < 2 ** 20) return `${Math.ceil(bytes / 2 ** 10)} KiB`;
  return `${(bytes / 2 ** 20).toLocaleString("en-US", { maximumFractionDigits: 1 })} MiB`;
}
