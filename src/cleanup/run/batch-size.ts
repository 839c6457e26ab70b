/*
 * The size of the next batch. It follows the time that the batches take, because no fixed number of rows suits every table,
 * machine and moment.
 */

/** What the batches so far have shown about the table and the machine. */
export interface Pace {
  /** How many blocks the next batch should read. */
  readonly blocks: number;
  /** How long it takes to delete a row. */
  readonly msPerRow: number;
}

/** What a batch of `blocks` blocks did. */
export interface BatchResult {
  readonly elapsedMs: number;
  readonly rows: number;
}

export interface BatchGoal {
  /** How long a batch should take. */
  readonly targetMs: number;
  /** The table's average: dead rows may be next to each other, and then a block holds about this many of them. */
  readonly rowsPerBlock: number;
}

/** A smaller batch would cost more in round trips than in work. */
const FEWEST_BLOCKS = 8;

/** Batches grow where dead rows are rare. One that then reaches a place full of them may take this many times the target. */
const PATIENCE = 3;

/** A batch that deleted fewer rows than this says little about the cost of a row. */
const TELLING_ROWS = 500;

/** The first batch is small: nothing is known yet. */
export const FIRST_PACE: Pace = { blocks: 128, msPerRow: 0.01 };

/** By what to multiply a batch's size: in proportion, but at most doubled or halved, because a single batch says little. */
export function findFactor(elapsedMs: number, targetMs: number): number {
  return Math.min(2, Math.max(0.5, targetMs / Math.max(elapsedMs, 0.1)));
}

/** The size at which the next batch should take about the target. */
export function steerBatch(pace: Pace, { elapsedMs, rows }: BatchResult, goal: BatchGoal): Pace {
  const msPerRow = rows < TELLING_ROWS ? pace.msPerRow : (pace.msPerRow + elapsedMs / rows) / 2;
  const mostBlocks = (PATIENCE * goal.targetMs) / (msPerRow * Math.max(1, goal.rowsPerBlock));
  const wantedBlocks = pace.blocks * findFactor(elapsedMs, goal.targetMs);
  const blocks = Math.max(FEWEST_BLOCKS, Math.round(Math.min(mostBlocks, wantedBlocks)));
  return { blocks, msPerRow };
}
