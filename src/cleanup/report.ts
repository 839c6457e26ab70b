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
  /** Of the batches alone: counting and vacuum are not in it. */
  readonly durationMs: number;
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

/** Rows, whatever they died of. */
export function countRows({ expired, revoked }: ByReason): number {
  return expired + revoked;
}

type Style = Parameters<typeof styleText>[0];
type Paint = (style: Style, text: string) => string;

const OUTCOME_STYLES: Readonly<Record<CleanupOutcome, Style>> = {
  succeeded: "green",
  stopped: "yellow",
  refused: "red",
  failed: "red",
};

/** The report for a person: a table before and after, and one line that says how it ended. */
export function formatReport(report: RunReport, useColours: boolean): string {
  const paint: Paint = (style, text) => (useColours ? styleText(style, text, { validateStream: false }) : text);
  const lines = report.targets.flatMap((target) => [
    paint("bold", target.table),
    ...formatTable(target, report.isDryRun, paint),
  ]);
  const { created, dropped } = report.auditPartitions;
  if (created.length > 0) lines.push(`audit partitions made: ${created.join(", ")}`);
  if (dropped.length > 0)
    lines.push(`audit partitions ${report.isDryRun ? "to drop" : "dropped"}: ${dropped.join(", ")}`);
  if (!report.isDryRun) lines.push(`vacuum: ${report.vacuum}`);
  const summary = report.isDryRun && report.outcome === "succeeded" ? "dry run: nothing was written" : report.outcome;
  lines.push(`${paint(OUTCOME_STYLES[report.outcome], summary)} after ${formatElapsed(report.durationMs)}`);
  if (report.message !== undefined) lines.push(report.message);
  return `${lines.join("\n")}\n`;
}

function formatTable(target: TargetReport, isDryRun: boolean, paint: Paint): string[] {
  const { before, after } = target;
  const gone = isDryRun ? before.due : target.deleted;
  const head = ["", "before", after ? "after" : "", isDryRun ? "to delete" : "deleted"];
  const rows = [
    ["live", count(before.live), count(after?.live), ""],
    ["expired", count(before.expired), count(after?.expired), count(gone.expired)],
    ["revoked", count(before.revoked), count(after?.revoked), count(gone.revoked)],
    ["total", count(before.total), count(after?.total), count(countRows(gone))],
    ["past retention", count(countRows(before.due)), count(after && countRows(after.due)), ""],
    ["oldest dead", day(before.oldestDeadAt), after ? day(after.oldestDeadAt) : "", ""],
    ["size", size(before.sizeBytes), after ? size(after.sizeBytes) : "", ""],
  ];
  return [
    paint("dim", formatRow(head)),
    ...rows.map(formatRow).map((line) => (line.startsWith("  total") ? paint("bold", line) : line)),
  ];
}

function formatRow([name = "", ...cells]: string[]): string {
  return `  ${name.padEnd(14)}${cells.map((cell) => cell.padStart(14)).join("")}`.trimEnd();
}

function formatElapsed(elapsedMs: number): string {
  return elapsedMs < 1_000 ? `${Math.ceil(elapsedMs)}ms` : formatDuration(Math.round(elapsedMs / 100) * 100);
}

function count(value: number | undefined): string {
  return value === undefined ? "" : value.toLocaleString("en-US");
}

function day(moment: Date | undefined): string {
  return moment === undefined ? "-" : moment.toISOString().slice(0, 10);
}

function size(bytes: number): string {
  return `${(bytes / 2 ** 20).toLocaleString("en-US", { maximumFractionDigits: 1 })} MiB`;
}
