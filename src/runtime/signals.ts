/*
 * Waiting that ends when a program is asked to stop.
 */
import { setTimeout as delay } from "node:timers/promises";

/** Resolves when the signal is aborted, or immediately if it already is. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}

/** Resolves after this time, or when the signal is aborted. Never rejects. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}

/**
 * Settles as the work does, or rejects with the signal's reason as soon as the signal is aborted. That does not end the
 * work; nobody waits for it any longer.
 */
export function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = whenAborted(signal).then((): never => {
    throw signal.reason;
  });
  return Promise.race([aborted, work]);
}

/** Resolves when the work has settled, and after `limitMs` at the latest. Never rejects. */
export async function whenEnded(work: Promise<unknown>, limitMs: number): Promise<void> {
  const hasEnded = new AbortController();
  const limit = delay(limitMs, undefined, { signal: hasEnded.signal });
  await Promise.allSettled([Promise.race([work, limit])]);
  hasEnded.abort();
  await limit.catch(() => {});
}
