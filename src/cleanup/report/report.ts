/*
 * What a run did: the object that `--output json` prints, and the text for people that is made from it.
 */
import type { Deleted } from "../../postgres/cleanup/batches.ts";
import { countRows, type RowCounts } from "../../postgres/cleanup/counts.ts";
import type { CleanupOutcome } from "../../postgres/cleanup/runs.ts";
import type { FaultCode } from "../../runtime/fault.ts";
import { createPaint, type Paint, type Style } from "../../runtime/terminal.ts";
import { formatCount, stripControls } from "../../runtime/text.ts";
import { formatDuration } from "../../token/duration.ts";
import { formatDay, formatFigures, formatSize } from "./format.ts";

/** What happened to a target's dead partitions. */
export interface PartitionReport {
  /** Dropped as a whole; in a dry run: would be dropped. */
  readonly dropped: readonly { readonly name: string; readonly rows: number }[];
  /** Kept, with the reason; their rows are deleted instead. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

/** Rows that a run has tried to delete and has left, with one reason. */
export interface HeldReason {
  readonly reason: string;
  readonly rows: number;
  /** The first few keys, as the audit trail would have them; empty if the table has no key. */
  readonly keys: readonly string[];
}

/** What a run did to one table. */
export interface TargetReport {
  readonly table: string;
  /** Which definition of the target it was, so that the next run knows that it has been used. */
  readonly definition: string;
  readonly outcome: CleanupOutcome;
  /** Undefined if the rows could not be counted. */
  readonly before: RowCounts | undefined;
  /** Undefined in a dry run, and if the run ended too early to count again. */
  readonly after: RowCounts | undefined;
  /** What would go with the due rows by ON DELETE CASCADE, of all `total` rows of a table; empty if nobody could count it. */
  readonly cascades: readonly { readonly table: string; readonly rows: number; readonly total: number }[];
  /** Row by row; those of dropped partitions are in `partitions`. */
  readonly deleted: Deleted;
  readonly partitions: PartitionReport;
  /** Rows that it has tried to delete and has left, by the reason. */
  readonly held: readonly HeldReason[];
  readonly batches: number;
  /** Of the batches only, without counting and vacuum. */
  readonly durationMs: number;
  /** How long it paused, by reason. */
  readonly pausedMs: Readonly<Partial<Record<string, number>>>;
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  /** Why it vacuumed or did not. */
  readonly vacuum: string;
  /** Why it failed, as docs/errors.md explains it. */
  readonly code: FaultCode | undefined;
  readonly message: string | undefined;
}

/** What a run did. `--output json` prints exactly this object; times are milliseconds. */
export interface RunReport {
  readonly outcome: CleanupOutcome;
  readonly isDryRun: boolean;
  readonly runId: string | undefined;
  readonly durationMs: number;
  readonly targets: readonly TargetReport[];
  readonly auditPartitions: { readonly created: readonly string[]; readonly emptied: readonly string[] };
  /** Why it was refused or failed, as docs/errors.md explains it; the first reason of several. */
  readonly code: FaultCode | undefined;
  readonly message: string | undefined;
}

/** All rows of a table that a run has deleted, in batches and with dropped partitions. */
export function countDeleted({ deleted, partitions }: Pick<TargetReport, "deleted" | "partitions">): number {
  return countRows(deleted) + partitions.dropped.reduce((sum, { rows }) => sum + rows, 0);
}

const OUTCOME_STYLES: Readonly<Record<CleanupOutcome, Style>> = {
  succeeded: "green",
  stopped: "yellow",
  refused: "red",
  failed: "red",
};

/** The report for people: each table before and after, and one line that says how the run ended. */
export function formatReport(report: RunReport, useColours: boolean): string {
  const paint = createPaint(useColours);
  const lines = report.targets.flatMap((target) => formatTarget(target, report.isDryRun, paint));
  const { created, emptied } = report.auditPartitions;
  if (created.length > 0) lines.push(`own partitions created: ${created.join(", ")}`);
  if (emptied.length > 0) {
    lines.push(`own partitions ${report.isDryRun ? "to empty" : "emptied"}: ${emptied.join(", ")}`);
  }
  const summary = report.isDryRun && report.outcome === "succeeded" ? "dry run: nothing was written" : report.outcome;
  lines.push(`${paint(OUTCOME_STYLES[report.outcome], summary)} after ${formatElapsed(report.durationMs)}`);
  const isShown = report.targets.some(({ message }) => message !== undefined);
  if (report.message !== undefined && !isShown) lines.push(...report.message.split("\n").map(stripControls));
  if (report.code !== undefined) lines.push(`Error code: ${report.code} (docs/errors.md)`);
  return `${lines.join("\n")}\n`;
}

function formatTarget(target: TargetReport, isDryRun: boolean, paint: Paint): string[] {
  const { before, held, partitions } = target;
  const isAnyHeld = (before?.held ?? 0) > 0;
  const taken = isDryRun
    ? target.cascades.map(({ table, rows }) => [table, rows] as const)
    : Object.entries(target.deleted.taken);
  const notes = [
    ...(isAnyHeld ? ["held: dead rows that stay, because of rows that refer to them or would go with them"] : []),
    ...held.map(
      ({ reason, rows, keys }) =>
        `held: ${formatCount(rows)}, because ${reason}${keys.length === 0 ? "" : `: ${keys.join(", ")}`}`,
    ),
    ...taken
      .filter(([, rows]) => rows > 0)
      .map(([table, rows]) => `with them by ON DELETE CASCADE: ${formatCount(rows)} rows of ${table}`),
    ...partitions.dropped.map(({ name, rows }) =>
      isDryRun ? `partition to drop: ${name}` : `partition dropped: ${name} (${formatCount(rows)} rows)`,
    ),
    ...partitions.kept.map(({ name, reason }) => `partition not dropped: ${name} (${reason})`),
    ...Object.entries(target.pausedMs).map(
      ([reason, pausedMs]) => `paused for ${formatElapsed(pausedMs ?? 0)}: ${reason}`,
    ),
    ...(isDryRun || before === undefined ? [] : [`vacuum: ${target.vacuum}`]),
    ...(target.message === undefined ? [] : [target.message]),
  ];
  return [
    paint("bold", stripControls(target.table)),
    ...(before === undefined ? [] : formatCounts(target, before, isDryRun, paint)),
    ...notes.map((note) => `  ${stripControls(note)}`),
  ];
}

function formatCounts(target: TargetReport, before: RowCounts, isDryRun: boolean, paint: Paint): string[] {
  const { after, deleted } = target;
  const gone = isDryRun ? before.due : { ...deleted, expired: countDeleted(target) - deleted.revoked };
  const show = (value: number | undefined) => (value === undefined ? "" : formatCount(value));
  const about = (counts: RowCounts | undefined, value: number | undefined) =>
    counts?.isEstimate ? `~${show(value)}` : show(value);
  const titles = ["", "before", after ? "after" : "", isDryRun ? "to delete" : "deleted"];
  const rows = [
    ["live", about(before, before.live), about(after, after?.live), ""],
    ...(before.withoutExpiry > 0
      ? [["without an expiry", show(before.withoutExpiry), show(after?.withoutExpiry), ""]]
      : []),
    ["expired", show(before.expired), show(after?.expired), show(gone.expired)],
    ["revoked", show(before.revoked), show(after?.revoked), show(gone.revoked)],
    ["total", about(before, before.total), about(after, after?.total), show(countRows(gone))],
    ["past retention", show(countRows(before.due)), show(after && countRows(after.due)), ""],
    ...(before.held > 0 || (after?.held ?? 0) > 0 ? [["held", show(before.held), show(after?.held), ""]] : []),
    ["oldest dead", formatDay(before.oldestDeadAt), after ? formatDay(after.oldestDeadAt) : "", ""],
    ["size", formatSize(sizeOf(before)), after ? formatSize(sizeOf(after)) : "", ""],
  ];
  return formatFigures(titles, rows, paint);
}

function sizeOf({ tableBytes, indexBytes }: RowCounts): number {
  return tableBytes + indexBytes;
}

/** Short times to the millisecond, others to the tenth of a second. */
export function formatElapsed(elapsedMs: number): string {
  return elapsedMs < 1_000 ? `${Math.ceil(elapsedMs)}ms` : formatDuration(Math.round(elapsedMs / 100) * 100);
}
