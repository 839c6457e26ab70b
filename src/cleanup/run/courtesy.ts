/*
 * Keeps applications from noticing a cleanup: it holds back while others write, and only then, so that nothing slows it down
 * on an idle server.
 */

/** How many transactions had begun to write by a point in time: all of the server's, and this run's share of them. */
export interface WriteSample {
  /** The server's next transaction number. Transactions that only read do not get one. */
  readonly nextXid: bigint;
  readonly ours: number;
  readonly atMs: number;
}

/** Fewer write transactions of others than these, in total or per second, are not a reason to hold back. */
const FEW = 2;
const FEW_PER_SECOND = 10;

/**
 * Whether others write too. Transaction numbers are counted because every role sees them without delay: few roles see
 * others' sessions in pg_stat_activity, and pg_stat_database lags by a second.
 */
export function doOthersWrite(before: WriteSample, now: WriteSample): boolean {
  const others = Number(now.nextXid - before.nextXid) - (now.ours - before.ours);
  return others >= Math.max(FEW, (FEW_PER_SECOND * (now.atMs - before.atMs)) / 1_000);
}

/** What was written between two readings that are closer than this says nothing: single transactions decide. */
const SHORTEST_INTERVAL_MS = 100;

/** Batches are no longer than this while others write: their commits wait for the disk until the batch's WAL is written. */
const SHORT_BATCH_MS = 3;

/** Makes room for others while they write: short batches, with rests between them. */
export interface Courtesy {
  /** Whether the run should hold back now. */
  readonly isDue: boolean;
  /** Others must have written in two intervals in a row: once may have been an autovacuum of small tables. */
  observe(reading: Omit<WriteSample, "ours">): void;
  /** Must be called after each batch. */
  noteBatch(elapsedMs: number): void;
  /** How long a batch may take that should otherwise take `targetMs`. */
  limitBatch(targetMs: number): number;
  /** How long to rest before the next batch. */
  restMs(): number;
}

/** For one run. `share` is the part of the time in which it works while others write: above 0, up to 1. */
export function createCourtesy(share: number, first: Omit<WriteSample, "ours">): Courtesy {
  let before: WriteSample = { ...first, ours: 0 };
  let haveOthersWritten = false;
  let isDue = false;
  let batches = 0;
  let lastBatchMs = 0;
  return {
    get isDue() {
      return isDue;
    },
    observe(reading) {
      const now = { ...reading, ours: batches };
      if (now.atMs - before.atMs < SHORTEST_INTERVAL_MS) return;
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
