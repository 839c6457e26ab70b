import { type ByReason, type Cutoffs, countBlocks, deleteDeadTokens } from "../postgres/cleanup-tokens.ts";
import type { Queryable } from "../postgres/database.ts";
import { FIRST_BLOCKS, steerBatch } from "./batch-size.ts";
import type { AuditMode } from "./config.ts";

export interface SweepOptions {
  readonly cutoffs: Cutoffs;
  readonly audit: AuditMode;
  /** How long a batch is to take. */
  readonly batchTargetMs: number;
  /** Ends the sweep between two batches. */
  readonly stop: AbortSignal;
  /** Told after each batch what part of the table was seen, from 0 to 1, and what has gone so far. */
  readonly onProgress: (fraction: number, deleted: ByReason) => void;
}

export interface SweepResult {
  readonly deleted: ByReason;
  readonly batches: number;
  /** False when the stop came first. */
  readonly isComplete: boolean;
}

/** Deletes what is dead and past its retention, from the table's first block to its last, in short transactions. */
export async function sweepTokens(session: Queryable, options: SweepOptions): Promise<SweepResult> {
  const { cutoffs, audit, batchTargetMs, stop, onProgress } = options;
  const end = await countBlocks(session);
  let deleted: ByReason = { expired: 0, revoked: 0 };
  let blocks = FIRST_BLOCKS;
  let batches = 0;
  for (let fromBlock = 0; fromBlock < end; batches += 1) {
    if (stop.aborted) return { deleted, batches, isComplete: false };
    const toBlock = Math.min(fromBlock + blocks, end);
    const startedAtMs = performance.now();
    const batch = await deleteDeadTokens(session, { fromBlock, toBlock }, cutoffs, audit);
    blocks = steerBatch(blocks, performance.now() - startedAtMs, batchTargetMs);
    deleted = { expired: deleted.expired + batch.expired, revoked: deleted.revoked + batch.revoked };
    fromBlock = toBlock;
    onProgress(fromBlock / end, deleted);
  }
  return { deleted, batches, isComplete: true };
}
