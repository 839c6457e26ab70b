/*
 * One table of a run: its dead partitions first, then its rows, then a vacuum if many are gone. A failure ends up in the
 * table's report, so that it does not keep the run from the other tables.
 */
import { addDeleted, findLeaves, type Leaf, NOTHING_DELETED } from "../postgres/cleanup/batches.ts";
import { type Cutoffs, countRows, countTarget, type LeafCounts, type RowCounts } from "../postgres/cleanup/counts.ts";
import { isLockConflict } from "../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../postgres/cleanup/target.ts";
import { mayVacuum, vacuumTable } from "../postgres/cleanup/vacuum.ts";
import type { Queryable } from "../postgres/database.ts";
import { Fault, type FaultCode, findFaultCode } from "../runtime/fault.ts";
import type { Logger } from "../runtime/log.ts";
import type { CleanupConfig } from "./config.ts";
import { dropDeadPartitions, type PartitionReport } from "./partitions.ts";
import type { Progress } from "./progress.ts";
import { countDeleted, type TargetReport } from "./report.ts";
import { type SweepResult, sweepLeaf } from "./sweep.ts";
import type { Throttle } from "./throttle.ts";

/** Below this many deleted rows, autovacuum is enough. */
const VACUUM_FROM_ROWS = 10_000;

const NOTHING_SWEPT: SweepResult = { deleted: NOTHING_DELETED, batches: 0, end: "complete" };

/** What a run knows about a target before anything is deleted anywhere. */
export interface PlannedTarget {
  readonly target: CleanupTarget;
  readonly cutoffs: Cutoffs;
  readonly before: RowCounts;
  /** The same for each table that holds rows, by its oid. */
  readonly leaves: ReadonlyMap<string, LeafCounts>;
}

export interface TargetContext {
  readonly session: Queryable;
  readonly config: CleanupConfig;
  readonly runId: string;
  readonly stop: AbortSignal;
  readonly log: Logger;
  readonly throttle: Throttle;
  readonly maxRows: number | undefined;
  readonly createProgress: (table: string, rowsDue: number) => Progress;
}

/** The report of a target from which nothing has been deleted. */
export function untouched({ target, before }: PlannedTarget, rest: Partial<TargetReport> = {}): TargetReport {
  return {
    table: target.name,
    outcome: "succeeded",
    before,
    after: undefined,
    deleted: NOTHING_DELETED,
    partitions: { dropped: [], kept: [] },
    batches: 0,
    durationMs: 0,
    pausedMs: {},
    retention: target.retention,
    vacuum: "not needed",
    code: undefined,
    message: undefined,
    ...rest,
  };
}

/** Deletes what is due of a target: whole partitions first, then row by row. Never throws: the report has the error. */
export async function runTarget(planned: PlannedTarget, context: TargetContext): Promise<TargetReport> {
  const { target, cutoffs, before } = planned;
  const { session, stop, log, runId } = context;
  const startedAtMs = performance.now();
  let partitions: PartitionReport = { dropped: [], kept: [] };
  let swept: SweepResult = NOTHING_SWEPT;
  const report = (rest: Partial<TargetReport>) =>
    untouched(planned, {
      partitions,
      deleted: swept.deleted,
      batches: swept.batches,
      pausedMs: context.throttle.pausedMs,
      durationMs: performance.now() - startedAtMs,
      ...rest,
    });
  try {
    const { maxRows } = context;
    partitions = await dropDeadPartitions(session, target, {
      runId,
      cutoffs,
      leaves: planned.leaves,
      maxRows,
      stop,
      log,
    });
    // A leaf that did not exist when the others were counted has no row that was due by then.
    const leaves = (await findLeaves(session, target)).filter(({ oid }) => (planned.leaves.get(oid)?.due ?? 0) > 0);
    const leftRows = maxRows === undefined ? undefined : maxRows - countDeleted(report({}));
    if (leaves.length > 0) swept = await sweepLeaves(leaves, planned, { ...context, maxRows: leftRows });
    if (swept.end === "failed") throw swept.error;
    const done = report({});
    const left = Math.max(0, countRows(before.due) - countDeleted(done));
    if (swept.end === "stopped" && (left > 0 || target.isPartitioned)) {
      return {
        ...done,
        outcome: "stopped",
        message: `Stopped with about ${left} rows of ${target.name} left; the next run continues with them.`,
      };
    }
    const after = await countTarget(session, target, cutoffs);
    return { ...done, after, vacuum: await vacuumIfNeeded(leaves, done, context) };
  } catch (error) {
    log.error({ err: error, table: target.name }, "cleanup failed");
    return report({ outcome: "failed", ...explainFailure(error, context.config) });
  }
}

/** Sweeps one leaf after the other, up to the first that does not complete. */
async function sweepLeaves(
  leaves: readonly Leaf[],
  { target, cutoffs, leaves: counts }: PlannedTarget,
  context: TargetContext,
): Promise<SweepResult> {
  const { session, config, stop, throttle, runId } = context;
  const expectedOf = ({ oid }: Leaf) => counts.get(oid) ?? { total: 0, due: 0 };
  const rowsDue = leaves.reduce((sum, leaf) => sum + expectedOf(leaf).due, 0);
  const progress = context.createProgress(target.name, rowsDue);
  let sum = NOTHING_SWEPT;
  try {
    for (const [index, leaf] of leaves.entries()) {
      const soFar = sum.deleted;
      const expected = expectedOf(leaf);
      const result = await sweepLeaf(session, target, leaf, {
        runId,
        cutoffs,
        batchTargetMs: config.batchTargetMs,
        lockTimeoutMs: config.lockTimeoutMs,
        expected: { rows: expected.total, due: expected.due },
        maxRows: context.maxRows === undefined ? undefined : context.maxRows - countRows(soFar),
        stop,
        throttle,
        onProgress: (fraction, gone) =>
          progress.update((index + fraction) / leaves.length, countRows(soFar) + countRows(gone)),
      });
      sum = {
        ...result,
        batches: sum.batches + result.batches,
        deleted: addDeleted(soFar, result.deleted),
      };
      if (result.end !== "complete") return sum;
    }
    return sum;
  } finally {
    progress.end();
  }
}

/** Returns how it ended, as the report shows it. It does not change the outcome: the rows are already deleted. */
async function vacuumIfNeeded(
  leaves: readonly Leaf[],
  report: TargetReport,
  { session, stop, log, throttle }: TargetContext,
): Promise<string> {
  if (countRows(report.deleted) < VACUUM_FROM_ROWS) return "not needed";
  try {
    for (const leaf of leaves) {
      if (stop.aborted) return "skipped, because the run was stopped";
      if (!(await mayVacuum(session, leaf))) return "not permitted to this role; autovacuum will do it";
      await vacuumTable(session, leaf, throttle.courtesy.isDue);
    }
    return "done";
  } catch (error) {
    log.warn({ err: error }, "vacuum failed");
    return "failed; autovacuum will do it";
  }
}

/** What went wrong, as a report shows it. */
export function explainFailure(error: unknown, config: CleanupConfig): { code: FaultCode; message: string } {
  if (!isLockConflict(error)) {
    return { code: findFaultCode(error), message: error instanceof Error ? error.message : String(error) };
  }
  const { faultCode: code, message } = new Fault({
    faultCode: "APITOKEN_E_TABLE_LOCKED",
    problem:
      "Another session holds a lock that the cleanup needs (ALTER TABLE and VACUUM FULL take one, for example), for " +
      `longer than APITOKEN_CLEANUP_LOCK_TIMEOUT, ${config.lockTimeoutMs} ms`,
    remedy: "run again when it is done",
  });
  return { code, message };
}
