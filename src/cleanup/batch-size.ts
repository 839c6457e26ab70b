/** What the batches so far have taught of the table and the machine. */
export interface Pace {
  /** How many blocks the next batch is to read. */
  readonly blocks: number;
  /** How long a row takes to go. */
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
  /** The table's average: dead rows may lie together, and then a block holds about so many of them. */
  readonly rowsPerBlock: number;
}

/** A batch that reads fewer blocks costs more in round trips than in work. */
const FEWEST_BLOCKS = 8;

/** Where dead rows are rare batches grow; the one that then meets a place full of them may take so many times the target. */
const PATIENCE = 3;

/** A batch that deleted fewer rows than this says little of what a row costs. */
const TELLING_ROWS = 500;

/** The first batch is small: nothing is known yet. */
export const FIRST_PACE: Pace = { blocks: 128, msPerRow: 0.01 };

/** By what to multiply a batch's size: in proportion, but at most doubled or halved, for a single batch says little. */
export function findFactor(elapsedMs: number, targetMs: number): number {
  return Math.min(2, Math.max(0.5, targetMs / Math.max(elapsedMs, 0.1)));
}

/** The next batch's size, so that it takes about the target. */
export function steerBatch(pace: Pace, { elapsedMs, rows }: BatchResult, goal: BatchGoal): Pace {
  const msPerRow = rows < TELLING_ROWS ? pace.msPerRow : (pace.msPerRow + elapsedMs / rows) / 2;
  const mostBlocks = (PATIENCE * goal.targetMs) / (msPerRow * Math.max(1, goal.rowsPerBlock));
  const wantedBlocks = pace.blocks * findFactor(elapsedMs, goal.targetMs);
  const blocks = Math.max(FEWEST_BLOCKS, Math.round(Math.min(mostBlocks, wantedBlocks)));
  return { blocks, msPerRow };
}
