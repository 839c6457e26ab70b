/*
 * Walks through one table that holds rows (a plain table or a partition at the lowest level) and deletes what is due, batch
 * after batch. Between two batches the run can pause or end, and a run that is killed loses one batch at most.
 */
import { addDeleted, countBlocks, type Deleted, type Leaf, NOTHING_DELETED } from "../../postgres/cleanup/batches.ts";
import { type ByReason, type Cutoffs, countRows } from "../../postgres/cleanup/counts.ts";
import type { BlockRange, TimeRange } from "../../postgres/cleanup/due.ts";
import { setLockTimeout } from "../../postgres/cleanup/runs.ts";
import type { CleanupTarget, IndexedTime } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { HeldReason } from "../report/report.ts";
import { type BatchResult, FIRST_PACE, findFactor, steerBatch } from "./batch-size.ts";
import { createDeleter } from "./deleter.ts";
import type { Throttle } from "./throttle.ts";

export interface SweepOptions {
  readonly runId: string;
  readonly cutoffs: Cutoffs;
  /** How long a batch should take. */
  readonly batchTargetMs: number;
  /** How long to wait for a lock on the table. */
  readonly lockTimeoutMs: number;
  /** Roughly how many rows the leaf has, and how many of them are due. */
  readonly expected: { readonly rows: number; readonly due: number };
  /** No more than this is deleted. */
  readonly maxRows: number | undefined;
  /** Ends the sweep between two batches. */
  readonly stop: AbortSignal;
  readonly throttle: Throttle;
  /** Called after each batch: which part of the leaf has been read, from 0 to 1, and what has been deleted so far. */
  readonly onProgress: (fraction: number, deleted: ByReason) => void;
}

/** `error` is why it failed; what had been deleted by then stays deleted. */
export interface SweepResult {
  readonly deleted: Deleted;
  readonly batches: number;
  /** Rows that it has tried to delete and has left. */
  readonly held: readonly HeldReason[];
  readonly end: "complete" | "stopped" | "failed";
  readonly error?: unknown;
}

/** From this size on (1 GiB), a leaf is not read from end to end just to find a few rows. */
const LARGE_BLOCKS = 131_072;

/** Deletes what is due in one leaf, in short transactions. Never throws: the result has the error. */
export async function sweepLeaf(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: SweepOptions,
): Promise<SweepResult> {
  const { stop, onProgress, expected, maxRows = Number.POSITIVE_INFINITY } = options;
  let deleted = NOTHING_DELETED;
  let batches = 0;
  const isOver = () => stop.aborted || countRows(deleted) >= maxRows;
  const deleter = createDeleter(session, target, leaf, options);
  const run = async (range: BlockRange | TimeRange, mostRows: number) => {
    const leftRows = Math.min(mostRows, maxRows - countRows(deleted));
    const startedAtMs = performance.now();
    const gone = await deleter.delete(range, Number.isFinite(leftRows) ? leftRows : undefined);
    deleted = addDeleted(deleted, gone);
    batches += 1;
    const elapsedMs = performance.now() - startedAtMs;
    options.throttle.courtesy.noteBatch(elapsedMs);
    return { elapsedMs, rows: countRows(gone), last: gone.last };
  };

  try {
    const end = await countBlocks(session, leaf);
    const walk: Walk = { run, isOver, options, report: (part) => onProgress(part, deleted) };
    const isComplete =
      end > LARGE_BLOCKS && expected.due < end / 4 && target.indexedTimes !== undefined
        ? await sweepByIndex(target.indexedTimes, walk)
        : await sweepByBlocks(end, walk);
    await setLockTimeout(session, options.lockTimeoutMs); // the batches have changed it
    return { deleted, batches, held: deleter.held.reasons, end: isComplete ? "complete" : "stopped" };
  } catch (error) {
    await setLockTimeout(session, options.lockTimeoutMs).catch(() => {}); // a lost session has nothing to set
    return { deleted, batches, held: deleter.held.reasons, end: "failed", error };
  }
}

interface Walk {
  readonly run: (
    range: BlockRange | TimeRange,
    mostRows: number,
  ) => Promise<BatchResult & { last: string | undefined }>;
  readonly isOver: () => boolean;
  readonly options: SweepOptions;
  readonly report: (fraction: number) => void;
}

/** How long the next batch should take. */
function targetOf({ throttle, batchTargetMs }: SweepOptions): number {
  return throttle.courtesy.limitBatch(batchTargetMs);
}

/** From the first block to the last. Returns whether it reached the end. */
async function sweepByBlocks(end: number, { run, isOver, options, report }: Walk): Promise<boolean> {
  const rowsPerBlock = options.expected.rows / Math.max(1, end);
  let pace = FIRST_PACE;
  let fromBlock = 0;
  while (fromBlock < end) {
    await options.throttle.waitUntilCalm(options.stop);
    if (isOver()) return false;
    const toBlock = Math.min(fromBlock + pace.blocks, end);
    const result = await run({ fromBlock, toBlock }, Number.POSITIVE_INFINITY);
    pace = steerBatch(pace, result, { targetMs: targetOf(options), rowsPerBlock });
    fromBlock = toBlock;
    report(fromBlock / end);
  }
  return !isOver() || options.maxRows === undefined;
}

const FIRST_ROWS = 500;

/**
 * In the order of each time's index. A batch begins where the previous one ended, because the index keeps the entries of
 * deleted rows until a vacuum, and they should not be read again. Returns whether it reached the end.
 */
async function sweepByIndex(times: readonly IndexedTime[], { run, isOver, options, report }: Walk): Promise<boolean> {
  let gone = 0;
  for (const time of times) {
    let size = FIRST_ROWS;
    let from: string | undefined;
    for (;;) {
      await options.throttle.waitUntilCalm(options.stop);
      if (isOver()) return false;
      const { elapsedMs, rows, last } = await run({ ...time, from }, size);
      if (last === undefined) break; // nothing was left to try
      from = last;
      gone += rows;
      report(Math.min(1, gone / Math.max(1, options.expected.due)));
      size = Math.max(1, Math.round(size * findFactor(Math.max(1, elapsedMs), targetOf(options))));
    }
  }
  return true;
}
