/*
 * What every bench needs: its type, the median, and a stopwatch.
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
