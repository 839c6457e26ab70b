/*
 * The metrics of a run. A CronJob's pod is gone before anyone could scrape it, so it leaves them with a Pushgateway or in a
 * textfile.
 */
import { Gauge, Registry } from "prom-client";
import { countRows } from "../../postgres/cleanup/counts.ts";
import type { RunReport, TargetReport } from "./report.ts";

/**
 * A run's metrics, under the names that the controller exports too (docs/cleanup.md). `lastSuccessAt` is when the last
 * successful run ended, whether that was this one or an earlier one.
 */
export function createRunMetrics(report: RunReport, endedAt: Date, lastSuccessAt: Date | undefined): Registry {
  const registry = new Registry();
  const gauge = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
    new Gauge({ name: `apitoken_cleanup_${name}`, help, labelNames, registers: [registry] });

  gauge("last_run_timestamp_seconds", "When the last run ended.").set(endedAt.getTime() / 1_000);
  if (lastSuccessAt !== undefined) {
    gauge("last_success_timestamp_seconds", "When the last run that succeeded ended.").set(
      lastSuccessAt.getTime() / 1_000,
    );
  }
  gauge("last_run_duration_seconds", "How long the last run took.").set(report.durationMs / 1_000);
  const outcomes = gauge("last_run_outcome", "1 for the outcome of the last run.", ["outcome"]);
  for (const outcome of ["succeeded", "stopped", "refused", "failed"]) {
    outcomes.set({ outcome }, report.outcome === outcome ? 1 : 0);
  }

  const refused = gauge("refused", "1 if the last run refused to clean the table.", ["table"]);
  const failed = gauge("target_failed", "1 if the last run failed on the table.", ["table"]);
  const deleted = gauge("last_run_deleted_rows", "Rows that the last run deleted.", ["table", "reason"]);
  const rows = gauge("rows", "Rows at the end of the last run; live rows may be an estimate.", ["table", "state"]);
  const backlog = gauge("backlog_rows", "Rows past their retention.", ["table"]);
  const held = gauge("held_rows", "Rows past their retention that cannot be deleted.", ["table"]);
  const oldest = gauge("oldest_dead_timestamp_seconds", "When the row that has been dead the longest died.", ["table"]);
  const retention = gauge("retention_seconds", "How long a dead row is kept, by cause of death: expired or revoked.", [
    "table",
    "reason",
  ]);
  const bytes = gauge("table_bytes", "Size, by part: table or indexes.", ["table", "part"]);
  const tuples = gauge("dead_tuples", "Deleted row versions that no vacuum has removed yet.", ["table"]);
  const vacuumed = gauge("last_vacuum_timestamp_seconds", "When the table was last vacuumed.", ["table"]);
  const paused = gauge("last_run_paused_seconds", "How long the last run paused.", ["table", "reason"]);
  for (const target of report.targets) {
    const { table } = target;
    refused.set({ table }, target.outcome === "refused" ? 1 : 0);
    failed.set({ table }, target.outcome === "failed" ? 1 : 0);
    for (const [reason, value] of Object.entries(deletedByReason(target))) deleted.set({ table, reason }, value);
    retention.set({ table, reason: "expired" }, target.retention.expiredMs / 1_000);
    retention.set({ table, reason: "revoked" }, target.retention.revokedMs / 1_000);
    for (const [reason, pausedMs] of Object.entries(target.pausedMs))
      paused.set({ table, reason }, (pausedMs ?? 0) / 1_000);
    const counts = target.after ?? target.before;
    if (counts === undefined) continue;
    for (const state of ["live", "expired", "revoked"] as const) rows.set({ table, state }, counts[state]);
    backlog.set({ table }, countRows(counts.due));
    held.set({ table }, counts.held);
    if (counts.oldestDeadAt !== undefined) oldest.set({ table }, counts.oldestDeadAt.getTime() / 1_000);
    bytes.set({ table, part: "table" }, counts.tableBytes);
    bytes.set({ table, part: "indexes" }, counts.indexBytes);
    tuples.set({ table }, counts.deadTuples);
    if (counts.vacuumedAt !== undefined) vacuumed.set({ table }, counts.vacuumedAt.getTime() / 1_000);
  }
  return registry;
}

function deletedByReason({ deleted, partitions }: TargetReport): Record<string, number> {
  return {
    expired: deleted.expired,
    revoked: deleted.revoked,
    partition: partitions.dropped.reduce((sum, { rows }) => sum + rows, 0),
    cascade: deleted.cascaded,
  };
}
