/*
 * One table of a run: its dead partitions first, then its rows, then a vacuum if many are gone. A failure ends up in the
 * table's report, so that it does not keep the run from the other tables.
 */
import { addDeleted, findLeaves, type Leaf, NOTHING_DELETED } from "../../postgres/cleanup/batches.ts";
import { type Cutoffs, countRows, type LeafCounts, type RowCounts } from "../../postgres/cleanup/counts.ts";
import { countLockable } from "../../postgres/cleanup/held.ts";
import { isLockConflict } from "../../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import { mayVacuum, vacuumTable } from "../../postgres/cleanup/vacuum.ts";
import type { Queryable } from "../../postgres/database.ts";
import { Fault, type FaultCode, findFaultCode } from "../../runtime/fault.ts";
import type { Logger } from "../../runtime/log.ts";
import type { CleanupConfig } from "../config.ts";
import { countDeleted, type PartitionReport, type TargetReport } from "../report/report.ts";
import { explainRefusal } from "../target/rights.ts";
import { joinHeld } from "./held-rows.ts";
import { dropDeadPartitions } from "./partitions.ts";
import type { Progress } from "./progress.ts";
import { countAgain } from "./recount.ts";
import { concealRow } from "./row-fault.ts";
import { type SweepResult, sweepLeaf } from "./sweep.ts";
import type { Throttle } from "./throttle.ts";

/** Below this many deleted rows, autovacuum is enough. */
const VACUUM_FROM_ROWS = 10_000;

const NOTHING_SWEPT: SweepResult = { deleted: NOTHING_DELETED, batches: 0, held: [], end: "complete" };

const NO_ROWS: LeafCounts = { total: 0, due: 0, held: 0 };

/** What a run knows about a target before anything is deleted anywhere. */
export interface PlannedTarget {
  readonly target: CleanupTarget;
  readonly cutoffs: Cutoffs;
  readonly before: RowCounts;
  readonly cascades: TargetReport["cascades"];
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
  /** Whether rows of other tables have gone with those of a target before this one. */
  readonly hasCascaded: boolean;
  readonly createProgress: (table: string, rowsDue: number) => Progress;
}

/** The report of a target from which nothing has been deleted. */
export function untouched(
  { name, retention, definition }: Pick<CleanupTarget, "name" | "retention" | "definition">,
  rest: Partial<TargetReport> = {},
): TargetReport {
  return {
    table: name,
    definition,
    outcome: "succeeded",
    before: undefined,
    after: undefined,
    cascades: [],
    deleted: NOTHING_DELETED,
    partitions: { dropped: [], kept: [] },
    held: [],
    batches: 0,
    durationMs: 0,
    pausedMs: {},
    retention,
    vacuum: "not needed",
    code: undefined,
    message: undefined,
    ...rest,
  };
}

/** Deletes what is due of a target: whole partitions first, then row by row. Never throws: the report has the error. */
export async function runTarget(planned: PlannedTarget, context: TargetContext): Promise<TargetReport> {
  const { target, cutoffs, before } = planned;
  const { session, log, maxRows } = context;
  const startedAtMs = performance.now();
  let countingMs = 0;
  let partitions: PartitionReport = { dropped: [], kept: [] };
  let swept: SweepResult = NOTHING_SWEPT;
  const report = (rest: Partial<TargetReport>) =>
    untouched(target, {
      before,
      cascades: planned.cascades,
      partitions,
      deleted: swept.deleted,
      batches: swept.batches,
      held: swept.held,
      pausedMs: context.throttle.pausedMs,
      durationMs: performance.now() - startedAtMs - countingMs,
      ...rest,
    });
  /** What deleting costs is not to be hidden by what counting costs. */
  const count = async () => {
    const begunAtMs = performance.now();
    const counts = await countAgain(session, planned, swept.held);
    countingMs += performance.now() - begunAtMs;
    return counts;
  };
  try {
    const { leaves: counted } = planned;
    partitions = await dropDeadPartitions(session, target, { ...context, cutoffs, leaves: counted });
    // A leaf that did not exist when the others were counted has no row that was due by then.
    const isPastRetention = ({ due, held }: LeafCounts) => due + held > 0;
    const leaves = (await findLeaves(session, target)).filter(({ oid }) =>
      isPastRetention(counted.get(oid) ?? NO_ROWS),
    );
    let after: RowCounts | undefined;
    for (let pass = 1; leaves.length > 0 && pass <= MOST_PASSES; pass += 1) {
      const leftRows = maxRows === undefined ? undefined : maxRows - countDeleted(report({}));
      const result = await sweepLeaves(leaves, planned, { ...context, maxRows: leftRows });
      swept = joinSweeps(swept, result);
      if (swept.end === "failed") throw swept.error;
      if (swept.end === "stopped") break;
      after = await count();
      if (countRows(after.due) === 0 || countRows(result.deleted) === 0) break;
    }
    const done = report({});
    const left = Math.max(0, countRows(before.due) - countDeleted(done));
    if (swept.end === "stopped" && (left > 0 || target.isPartitioned)) {
      return {
        ...done,
        outcome: "stopped",
        message: `Stopped with about ${left} rows of ${target.name} left; the next run continues with them.`,
      };
    }
    after ??= await count();
    const vacuum = await vacuumIfNeeded(leaves, done, context);
    return { ...done, after, vacuum, ...(await explainLeftRows(session, planned, after)) };
  } catch (error) {
    log.error({ err: concealRow(error), table: target.name }, "cleanup failed");
    return report({ outcome: "failed", ...explainFailure(concealRow(error), context.config) });
  }
}

/** Rows whose last reference is gone with one pass are due in the next: a chain of rows loses a link each time. */
const MOST_PASSES = 1_000;

/** What the passes so far have done. Rows that the last one has left are those that are held. */
function joinSweeps(before: SweepResult, last: SweepResult): SweepResult {
  return { ...last, deleted: addDeleted(before.deleted, last.deleted), batches: before.batches + last.batches };
}

/** What a complete run says of due rows that are still there. It has tried to delete them, and nothing has reported why not. */
async function explainLeftRows(
  session: Queryable,
  { target, cutoffs }: PlannedTarget,
  { due }: RowCounts,
): Promise<Pick<TargetReport, "outcome" | "code" | "message">> {
  const left = countRows(due);
  if (left === 0) return { outcome: "succeeded", code: undefined, message: undefined };
  if ((await countLockable(session, target, cutoffs)) === 0) {
    const message = `${left} due rows of ${target.name} were locked by other sessions; the next run deletes them.`;
    return { outcome: "stopped", code: undefined, message };
  }
  const suspects = target.silencers.map((name) => `trigger ${name}`);
  const { faultCode: code, message } = new Fault({
    faultCode: "APITOKEN_E_ROWS_LEFT",
    problem: `${left} due rows of ${target.name} are still there, although Postgres has reported no fault`,
    remedy:
      suspects.length === 0
        ? "find out what keeps them, or inserts them again"
        : `look at ${suspects.join(", ")}: a trigger that returns null before a deletion keeps the row`,
  });
  return { outcome: "failed", code, message };
}

/** Sweeps one leaf after the other, up to the first that does not complete. */
async function sweepLeaves(
  leaves: readonly Leaf[],
  { target, cutoffs, leaves: counts }: PlannedTarget,
  context: TargetContext,
): Promise<SweepResult> {
  const { session, config, stop, throttle, runId } = context;
  const expectedOf = ({ oid }: Leaf) => counts.get(oid) ?? NO_ROWS;
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
        held: joinHeld([sum.held, result.held]),
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
    log.warn({ err: concealRow(error) }, "vacuum failed");
    return "failed; autovacuum will do it";
  }
}

/** What went wrong, as a report shows it. */
export function explainFailure(error: unknown, config: CleanupConfig): { code: FaultCode; message: string } {
  if (!isLockConflict(error)) {
    return { code: findFaultCode(error), message: explainRefusal(error) };
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
