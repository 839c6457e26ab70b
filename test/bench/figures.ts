/*
 * What every bench needs: its type, the median, a stopwatch, and rounds in turn.
 */
/** Results by key: flat, so that two runs can be compared line by line. */
export type Figures = Record<string, number>;

/** One bench: reports its progress with `tell`, and returns its figures. */
export type Bench = (tell: (text: string) => void) => Promise<Figures>;

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((left, right) => left - right);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? Number.NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2;
}

/** How long something took, in milliseconds. */
export async function time(work: () => Promise<unknown>): Promise<number> {
  const startedAtMs = performance.now();
  await work();
  return performance.now() - startedAtMs;
}

/** Measures us and the others in turn, so many times, because a machine is faster in one minute than in the next. */
export async function inTurn<Result>(
  rounds: number,
  measureOurs: () => Promise<Result>,
  measureTheirs: () => Promise<Result>,
): Promise<{ ours: Result[]; theirs: Result[] }> {
  const ours: Result[] = [];
  const theirs: Result[] = [];
  for (let round = 0; round < rounds; round += 1) {
    ours.push(await measureOurs());
    theirs.push(await measureTheirs());
  }
  return { ours, theirs };
}
