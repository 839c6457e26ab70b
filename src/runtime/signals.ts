import { setTimeout as delay } from "node:timers/promises";

/** Resolves when the signal is aborted, at once if it has been already. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/**
 * Resolves with what the work results in, and rejects with the signal's reason as soon as the signal is aborted. The
 * work is not ended by that: nobody waits for it any more.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = whenAborted(signal).then((): never => {
    throw signal.reason;
  });
  return Promise.race([aborted, work]);
}

/** Resolves when the work has ended, well or not, and after `limitMs` at the latest. Never rejects. */
export async function whenEnded(work: Promise<unknown>, limitMs: number): Promise<void> {
  const hasEnded = new AbortController();
  const limit = delay(limitMs, undefined, { signal: hasEnded.signal });
  await Promise.allSettled([Promise.race([work, limit])]);
  hasEnded.abort();
  await limit.catch(() => {});
}
