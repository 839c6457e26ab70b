/*
 * Whether two samples can be told apart, without any assumption about how they are distributed.
 */

/** How two samples differ. */
export interface Difference {
  /** How likely a value of the first sample is larger than one of the second: 0.5 if nobody could tell them apart. */
  readonly superiority: number;
  /** How many standard deviations the rank sum is away from what equal distributions would give. */
  readonly z: number;
}

/** The Mann-Whitney U test, with the normal approximation and a correction for ties. */
export function compareRanks(first: readonly number[], second: readonly number[]): Difference {
  const all = [
    ...first.map((value) => ({ value, isFirst: true })),
    ...second.map((value) => ({ value, isFirst: false })),
  ];
  all.sort((left, right) => left.value - right.value);
  let rankSum = 0;
  let ties = 0;
  for (let start = 0; start < all.length; ) {
    let end = start + 1;
    while (end < all.length && all[end]?.value === all[start]?.value) end += 1;
    const size = end - start;
    const rank = (start + 1 + end) / 2; // all that are equal share the middle of their ranks
    for (const { isFirst } of all.slice(start, end)) if (isFirst) rankSum += rank;
    ties += size ** 3 - size;
    start = end;
  }
  const [n, m] = [first.length, second.length];
  const u = rankSum - (n * (n + 1)) / 2;
  const total = n + m;
  const variance = ((n * m) / 12) * (total + 1 - ties / (total * (total - 1)));
  return { superiority: u / (n * m), z: variance === 0 ? 0 : (u - (n * m) / 2) / Math.sqrt(variance) };
}
