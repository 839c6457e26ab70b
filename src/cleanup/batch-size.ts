/** A batch that reads fewer blocks costs more in round trips than in work; one that reads more holds its locks for long. */
const FEWEST_BLOCKS = 8;
const MOST_BLOCKS = 65_536;

/** The first batch is small: nothing is known of the table and the machine yet. */
export const FIRST_BLOCKS = 128;

/**
 * How many blocks the next batch is to read, so that it takes about `targetMs`: in proportion, but at most doubled or
 * halved, for a single batch says little.
 */
export function steerBatch(blocks: number, elapsedMs: number, targetMs: number): number {
  const factor = Math.min(2, Math.max(0.5, targetMs / Math.max(elapsedMs, 0.1)));
  return Math.min(MOST_BLOCKS, Math.max(FEWEST_BLOCKS, Math.round(blocks * factor)));
}
