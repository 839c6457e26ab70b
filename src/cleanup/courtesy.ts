/** How many transactions had taken up writing by a time: the server's, and of them this run's own. */
export interface WriteSample {
  /** The server's next transaction number: a transaction that only reads takes none. */
  readonly nextXid: bigint;
  readonly ours: number;
  readonly atMs: number;
}

/** Fewer write transactions of others than these, in all or by the second, are no reason to hold back. */
const FEW = 2;
const FEW_PER_SECOND = 10;

/**
 * Whether others write, too. Counted by transaction numbers, for every role sees those, and at once: pg_stat_activity
 * shows others' sessions to few, and pg_stat_database comes a second late.
 */
export function doOthersWrite(before: WriteSample, now: WriteSample): boolean {
  const others = Number(now.nextXid - before.nextXid) - (now.ours - before.ours);
  return others >= Math.max(FEW, (FEW_PER_SECOND * (now.atMs - before.atMs)) / 1_000);
}

/** While others write a batch takes no longer: what they commit waits for the disk behind all that it has logged. */
const SHORT_BATCH_MS = 10;

/** Makes room for others as long as they write: short batches, with rests between them. */
export interface Courtesy {
  /** Whether it is called for just now. */
  readonly isDue: boolean;
  /** Judges by what has happened since the last time, and before: once alone may have been an autovacuum of small tables. */
  observe(nextXid: bigint): void;
  /** Is to be told of each batch. */
  noteBatch(elapsedMs: number): void;
  /** How long a batch may take that would better take `targetMs`. */
  limitBatch(targetMs: number): number;
  /** How long to rest before the next batch. */
  restMs(): number;
}

/** For one run; `share` is the part of the time, above 0 and up to 1, in which it works while others write. */
export function createCourtesy(share: number, nextXid: bigint): Courtesy {
  let before: WriteSample = { nextXid, ours: 0, atMs: performance.now() };
  let haveOthersWritten = false;
  let isDue = false;
  let batches = 0;
  let lastBatchMs = 0;
  return {
    get isDue() {
      return isDue;
    },
    observe(nextXid) {
      const now = { nextXid, ours: batches, atMs: performance.now() };
      const doThey = doOthersWrite(before, now);
      isDue = share < 1 && doThey && haveOthersWritten;
      haveOthersWritten = doThey;
      before = now;
    },
    noteBatch(elapsedMs) {
      batches += 1;
      lastBatchMs = elapsedMs;
    },
    limitBatch: (targetMs) => (isDue ? Math.min(SHORT_BATCH_MS, targetMs) : targetMs),
    restMs: () => (isDue ? lastBatchMs * (1 / share - 1) : 0),
  };
}
