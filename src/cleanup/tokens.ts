import { isLockConflict, setLockTimeout } from "../postgres/cleanup-runs.ts";
import {
  type BatchRange,
  type ByReason,
  type CleanupAudit,
  type Cutoffs,
  countBlocks,
  deleteDeadTokens,
  type OnLockedRow,
} from "../postgres/cleanup-tokens.ts";
import type { Queryable } from "../postgres/database.ts";
import { FIRST_PACE, steerBatch } from "./batch-size.ts";

export interface SweepOptions {
  readonly runId: string;
  readonly cutoffs: Cutoffs;
  readonly audit: CleanupAudit;
  /** How long a batch is to take. */
  readonly batchTargetMs: number;
  /** The longest wait for a lock of the table. */
  readonly lockTimeoutMs: number;
  /** How many rows the table has, roughly. */
  readonly totalRows: number;
  /** Ends the sweep between two batches. */
  readonly stop: AbortSignal;
  /** Told after each batch what part of the table was seen, from 0 to 1, and what has gone so far. */
  readonly onProgress: (fraction: number, deleted: ByReason) => void;
}

/** `error` says why it failed: what had been deleted by then is gone all the same. */
export interface SweepResult {
  readonly deleted: ByReason;
  readonly batches: number;
  readonly durationMs: number;
  readonly end: "complete" | "stopped" | "failed";
  readonly error?: unknown;
}

/** Deletes what is dead and past its retention, from the table's first block to its last, in short transactions. */
export async function sweepTokens(session: Queryable, options: SweepOptions): Promise<SweepResult> {
  const { cutoffs, audit, stop, onProgress } = options;
  const sweptFromMs = performance.now();
  let deleted: ByReason = { expired: 0, revoked: 0 };
  let batches = 0;
  const conclude = (end: SweepResult["end"]) => ({
    deleted,
    batches,
    durationMs: performance.now() - sweptFromMs,
    end,
  });
  try {
    const end = await countBlocks(session);
    const goal = { targetMs: options.batchTargetMs, rowsPerBlock: options.totalRows / Math.max(1, end) };
    const deleteBatch = createDeleter(session, cutoffs, audit, options.lockTimeoutMs);
    let pace = FIRST_PACE;
    let fromBlock = 0;
    while (fromBlock < end && !stop.aborted) {
      const toBlock = Math.min(fromBlock + pace.blocks, end);
      const startedAtMs = performance.now();
      const gone = await deleteBatch({ runId: options.runId, fromBlock, toBlock });
      const elapsedMs = performance.now() - startedAtMs;
      pace = steerBatch(pace, { elapsedMs, rows: gone.expired + gone.revoked }, goal);
      deleted = { expired: deleted.expired + gone.expired, revoked: deleted.revoked + gone.revoked };
      batches += 1;
      fromBlock = toBlock;
      onProgress(fromBlock / end, deleted);
    }
    await setLockTimeout(session, options.lockTimeoutMs); // the batches have changed it
    return conclude(fromBlock < end ? "stopped" : "complete");
  } catch (error) {
    return { ...conclude("failed"), error };
  }
}

/** Longer than it takes to change a row, shorter than deadlock_timeout: so a batch never takes part in a deadlock. */
const ROW_LOCK_WAIT_MS = 50;

/** Where one row is locked, others may be. */
const CAREFUL_BATCHES = 10;

/**
 * Locking rows with SKIP LOCKED before they are deleted costs as much again as deleting them, and hardly ever is a dead
 * row locked. So a batch first deletes outright; when that meets a lock it is undone, and it and the next few batches
 * skip what is locked.
 */
function createDeleter(session: Queryable, cutoffs: Cutoffs, audit: CleanupAudit, lockTimeoutMs: number) {
  let onLockedRow: OnLockedRow | undefined;
  let carefulBatches = 0;

  const run = async (range: BatchRange, next: OnLockedRow): Promise<ByReason> => {
    if (next !== onLockedRow) {
      await setLockTimeout(session, next === "wait" ? Math.min(ROW_LOCK_WAIT_MS, lockTimeoutMs) : lockTimeoutMs);
      onLockedRow = next;
    }
    return deleteDeadTokens(session, range, cutoffs, audit, next);
  };

  return async (range: BatchRange): Promise<ByReason> => {
    if (carefulBatches === 0) {
      try {
        return await run(range, "wait");
      } catch (error) {
        if (!isLockConflict(error)) throw error;
        carefulBatches = CAREFUL_BATCHES;
      }
    }
    carefulBatches -= 1;
    return run(range, "skip");
  };
}
