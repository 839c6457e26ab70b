/*
 * The cleanup runs in a short-lived pod that Prometheus may never scrape. The controller therefore exports what the
 * cleanup has recorded in the database: the figures outlive its pod, and still exist if no run succeeds or none starts.
 */
import { Gauge, type Registry } from "prom-client";
import { type CleanupFigures, readCleanupFigures } from "../../postgres/cleanup/figures.ts";
import type { Queryable } from "../../postgres/database.ts";

/** Several Prometheus servers may scrape every 15 s or so; the database is queried no more often than this. */
const FRESH_MS = 30_000;

const OUTCOMES = ["succeeded", "stopped", "refused", "failed"];

/**
 * Exports what the cleanup has recorded in cleanup_runs, and how many tokens wait for it now. The names are those of
 * docs/cleanup.md. `onError` gets each failed query; the gauges then have no samples.
 */
export function exportCleanupMetrics(registry: Registry, db: Queryable, onError: (error: unknown) => void): void {
  let asked: Promise<void> | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  const gauges = createGauges(registry, () => {
    if (asked !== undefined && performance.now() - askedAtMs < FRESH_MS) return asked;
    askedAtMs = performance.now();
    // After a failure nothing is shown: an alert on missing figures is better than outdated figures.
    asked = readCleanupFigures(db).then(
      (figures) => gauges.set(figures),
      (error: unknown) => {
        gauges.reset();
        onError(error);
      },
    );
    return asked;
  });
}

function createGauges(registry: Registry, refresh: () => Promise<void>) {
  const resets: (() => void)[] = [];
  const gauge = (name: string, help: string, labelNames: string[] = []) => {
    const made = new Gauge({
      name: `apitoken_cleanup_${name}`,
      help,
      labelNames,
      registers: [registry],
      collect: refresh, // all gauges await the same query
    });
    // Without labels, a reset would leave a 0, which as a time means 1970.
    resets.push(() => (labelNames.length === 0 ? made.remove() : made.reset()));
    return made;
  };
  const lastRun = gauge("last_run_timestamp_seconds", "When the last run ended.");
  const lastSuccess = gauge("last_success_timestamp_seconds", "When the last run that succeeded ended.");
  const duration = gauge("last_run_duration_seconds", "How long the last run took.");
  const outcome = gauge("last_run_outcome", "1 for the outcome of the last run.", ["outcome"]);
  const refused = gauge("refused", "1 if the last run refused to clean the table.", ["table"]);
  const failed = gauge("target_failed", "1 if the last run failed on the table.", ["table"]);
  const deleted = gauge("deleted_rows", "Rows deleted by all recorded runs.", ["table", "reason"]);
  const rows = gauge("rows", "Rows as of the last run; live rows may be an estimate.", ["table", "state"]);
  const backlog = gauge(
    "backlog_rows",
    "Rows past their retention: now for tokens, as of the last run for other tables.",
    ["table"],
  );
  const held = gauge("held_rows", "Rows past their retention that cannot be deleted.", ["table"]);
  const oldest = gauge("oldest_dead_timestamp_seconds", "When the row that has been dead the longest died.", ["table"]);
  const retention = gauge("retention_seconds", "How long a dead row is kept, by cause of death: expired or revoked.", [
    "table",
    "reason",
  ]);
  const bytes = gauge("table_bytes", "Size as of the last run, by part: table or indexes.", ["table", "part"]);
  const tuples = gauge("dead_tuples", "Deleted row versions that no vacuum has removed yet.", ["table"]);

  const seconds = (moment: Date) => moment.getTime() / 1_000;
  const reset = () => {
    for (const forget of resets) forget();
  };
  return {
    reset,
    set(figures: CleanupFigures) {
      reset();
      if (figures.lastRun !== undefined) {
        lastRun.set(seconds(figures.lastRun.finishedAt));
        duration.set(figures.lastRun.durationSeconds);
        for (const each of OUTCOMES) outcome.set({ outcome: each }, figures.lastRun.outcome === each ? 1 : 0);
      }
      if (figures.lastSuccessAt !== undefined) lastSuccess.set(seconds(figures.lastSuccessAt));
      for (const target of figures.targets) {
        const { table } = target;
        refused.set({ table }, target.outcome === "refused" ? 1 : 0);
        failed.set({ table }, target.outcome === "failed" ? 1 : 0);
        for (const [reason, value] of Object.entries(target.deleted)) deleted.set({ table, reason }, value);
        for (const [state, value] of Object.entries(target.rows)) rows.set({ table, state }, value);
        backlog.set({ table }, target.backlog);
        held.set({ table }, target.held);
        if (target.oldestDeadAt !== undefined) oldest.set({ table }, seconds(target.oldestDeadAt));
        for (const [reason, value] of Object.entries(target.retention)) retention.set({ table, reason }, value / 1_000);
        bytes.set({ table, part: "table" }, target.tableBytes);
        bytes.set({ table, part: "indexes" }, target.indexBytes);
        tuples.set({ table }, target.deadTuples);
      }
    },
  };
}
