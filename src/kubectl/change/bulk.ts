/*
 * One change for many ApiTokens: a few at a time, and one that fails stops no other.
 */

/** How many changes are on their way at once. */
const CONCURRENCY = 8;

export type Outcome<T, R> =
  | { readonly item: T; readonly result: R; readonly error?: undefined }
  | { readonly item: T; readonly result?: undefined; readonly error: Error };

/** Does the work for each item, and calls `onDone` as soon as each is done. The outcomes have the order of the items. */
export async function forEachItem<T, R>(
  items: readonly T[],
  work: (item: T) => Promise<R>,
  onDone: (outcome: Outcome<T, R>) => void,
): Promise<Outcome<T, R>[]> {
  const outcomes: Outcome<T, R>[] = [];
  const waiting = items.entries();
  const takeTurns = async () => {
    for (const [index, item] of waiting) {
      const outcome = await work(item).then(
        (result): Outcome<T, R> => ({ item, result }),
        (error: Error): Outcome<T, R> => ({ item, error }),
      );
      outcomes[index] = outcome;
      onDone(outcome);
    }
  };
  await Promise.all(Array.from({ length: CONCURRENCY }, takeTurns));
  return outcomes;
}
