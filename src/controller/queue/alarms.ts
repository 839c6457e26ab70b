/*
 * Times at which keys are due. Every ApiToken has one, days away, so a timer of Node's for each would take more memory than
 * what is known about the ApiToken's Secret: here one timer waits for the earliest.
 */
import TinyQueue from "tinyqueue";

/** Keys with the times at which they are due, on the clock of `performance.now()`. */
export interface Alarms {
  /** Sets the key's time, unless it is due earlier already. */
  set(key: string, atMs: number): void;
  cancel(key: string): void;
  clear(): void;
}

interface Alarm {
  readonly key: string;
  readonly atMs: number;
}

/** A longer delay would overflow Node's timers, which would then fire after a millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Cancelled alarms stay in the heap until their time. When there are this many times as many as others, it is rebuilt. */
const MOST_CANCELLED = 2;

/** Creates an empty collection. `onDue` is called once with each key when its time has come. */
export function createAlarms(onDue: (key: string) => void): Alarms {
  const current = new Map<string, Alarm>();
  let heap = createHeap([]);
  let timer: { readonly id: NodeJS.Timeout; readonly atMs: number } | undefined;

  const ring = () => {
    timer = undefined;
    const nowMs = performance.now();
    const due: Alarm[] = [];
    for (let next = heap.peek(); next !== undefined && next.atMs <= nowMs; next = heap.peek()) {
      heap.pop();
      if (current.get(next.key) === next) due.push(next);
    }
    for (const { key } of due) current.delete(key);
    schedule();
    for (const { key } of due) onDue(key);
  };
  const schedule = () => {
    const atMs = heap.peek()?.atMs;
    if (atMs === undefined || (timer !== undefined && timer.atMs <= atMs)) return;
    clearTimeout(timer?.id);
    // Node rounds down, and a key must not be due before its time.
    const delayMs = Math.min(Math.max(0, Math.ceil(atMs - performance.now())), LONGEST_TIMER_MS);
    timer = { id: setTimeout(ring, delayMs), atMs };
  };
  const sweep = () => {
    if (heap.length > 64 && heap.length > current.size * (1 + MOST_CANCELLED)) heap = createHeap([...current.values()]);
  };

  return {
    set(key, atMs) {
      if ((current.get(key)?.atMs ?? Number.POSITIVE_INFINITY) <= atMs) return;
      const alarm = { key, atMs };
      current.set(key, alarm);
      heap.push(alarm);
      sweep();
      schedule();
    },
    cancel: (key) => void current.delete(key),
    clear() {
      current.clear();
      heap = createHeap([]);
      clearTimeout(timer?.id);
      timer = undefined;
    },
  };
}

function createHeap(alarms: Alarm[]): TinyQueue<Alarm> {
  return new TinyQueue(alarms, (a, b) => a.atMs - b.atMs);
}
