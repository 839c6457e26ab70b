import { styleText } from "node:util";
import type { CleanupOutcome } from "../postgres/cleanup-runs.ts";
import type { ByReason, TokenCounts } from "../postgres/cleanup-tokens.ts";
import { formatDuration } from "../token/duration.ts";

/** What a run did to one table. */
export interface TargetReport {
  readonly table: string;
  readonly before: TokenCounts;
  /** Undefined in a dry run, and when the run ended too early to count again. */
  readonly after: TokenCounts | undefined;
  readonly deleted: ByReason;
  readonly batches: number;
}

/** What a run did. This very object is the output of `--output json`; times are milliseconds. */
export interface RunReport {
  readonly outcome: CleanupOutcome;
  readonly isDryRun: boolean;
  readonly runId: string | undefined;
  readonly durationMs: number;
  readonly targets: readonly TargetReport[];
  readonly auditPartitions: { readonly created: readonly string[]; readonly dropped: readonly string[] };
  /** Why it vacuumed or did not. */
  readonly vacuum: string;
  readonly message: string | undefined;
}

/** The report for a person: a table before and after, and one line that says how it ended. */
export function formatReport(report: RunReport, useColours: boolean): string {
  const paint = (style: Parameters<typeof styleText>[0], text: string) =>
    useColours ? styleText(style, text, { validateStream: false }) : text;
  const lines = report.targets.flatMap((target) => [
    paint("bold", target.table),
    ...formatTable(target, report.isDryRun),
  ]);
  const { created, dropped } = report.auditPartitions;
  if (created.length > 0) lines.push(`audit partitions made: ${created.join(", ")}`);
  if (dropped.length > 0)
    lines.push(`audit partitions ${report.isDryRun ? "to drop" : "dropped"}: ${dropped.join(", ")}`);
  if (!report.isDryRun) lines.push(`vacuum: ${report.vacuum}`);
  const colour = { succeeded: "green", stopped: "yellow", refused: "red", failed: "red" } as const;
  const summary = report.isDryRun && report.outcome === "succeeded" ? "dry run: nothing was written" : report.outcome;
  lines.push(
    `${paint(colour[report.outcome], summary)} after ${formatDuration(Math.max(1, Math.round(report.durationMs)))}`,
  );
  if (report.message !== undefined) lines.push(report.message);
  return `${lines.join("\n")}\n`;
}

function formatTable({ before, after, deleted }: TargetReport, isDryRun: boolean): string[] {
  const due = before.due.expired + before.due.revoked;
  const gone = isDryRun ? due : deleted.expired + deleted.revoked;
  const head = ["", "before", after ? "after" : "", isDryRun ? "to delete" : "deleted"];
  const rows = [
    ["live", count(before.live), count(after?.live), ""],
    ["expired", count(before.expired), count(after?.expired), count(isDryRun ? before.due.expired : deleted.expired)],
    ["revoked", count(before.revoked), count(after?.revoked), count(isDryRun ? before.due.revoked : deleted.revoked)],
    ["total", count(before.total), count(after?.total), count(gone)],
    ["size", size(before.sizeBytes), after ? size(after.sizeBytes) : "", ""],
  ];
  return [head, ...rows].map(([name = "", ...cells]) =>
    `  ${name.padEnd(8)}${cells.map((cell) => cell.padStart(14)).join("")}`.trimEnd(),
  );
}

function count(value: number | undefined): string {
  return value === undefined ? "" : value.toLocaleString("en-US");
}

function size(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString("en-US", { maximumFractionDigits: 1 })} MiB`;
}
