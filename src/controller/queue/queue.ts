/*
 * Events come in bursts, and one that arrives during a pass must not get lost. This queue of keys, modelled after
 * client-go's workqueue, merges repeated keys, never handles one key twice at once, and spaces out retries of failing
 * ones. Whatever ends something has a lane of its own, so that it never waits behind thousands of others.
 */
import { createAlarms } from "./alarms.ts";
import { createTurns, type Turns } from "./turns.ts";

/** What is back must be noticed soon even if nothing reports it, as with an admission webhook or a quota. */
const RETRIES: Pace = { firstMs: 5, longestMs: 60_000 };

const RECHECKS: Pace = { firstMs: 15_000, longestMs: 5 * 60_000 };

/** Workers on top of the concurrency, as a share of it. One lane alone cannot take them. */
const SPARE_SHARE = 0.25;

export interface Queue {
  /** Has the key handled as soon as a worker is free. A key that is already waiting is not added twice. */
  add(key: string): void;
  /**
   * Like `add`, but a failing key keeps its delay, because the report may have been caused by the failed pass itself.
   */
  nudge(key: string): void;
  /** Has the key handled after a delay. If it is added several times, the earliest time counts. */
  addAfter(key: string, delayMs: number): void;
  /**
   * Called by the handler of a key that waits for something that nobody reports: has it handled again after a delay that
   * grows each time in a row. When the key is added, because a change was seen, the delays start over.
   */
  recheck(key: string): void;
  /** How many keys wait for a worker. */
  readonly depth: number;
  /** How many keys are being handled. */
  readonly busy: number;
  /** Accepts no more keys, drops those that wait, and resolves when all workers have finished. */
  stop(): Promise<void>;
}

/** One handling of a key. */
export interface Turn {
  /** How many times in a row the key has failed so far. */
  readonly failures: number;
  /**
   * The handler calls this right before it reads everything again. What the key was added for until then is covered by
   * that read and needs no further turn.
   */
  readonly beginLook: () => void;
}

/** Delays that double each time in a row, from the first to the longest. */
export interface Pace {
  readonly firstMs: number;
  readonly longestMs: number;
}

export interface QueueOptions {
  /** How many keys of each lane are handled at once. Both lanes together get a quarter more, so neither waits for the other. */
  readonly concurrency: number;
  /** Handles a key. If it throws, the key is retried after a delay that grows with each failure in a row. */
  readonly handle: (key: string, turn: Turn) => Promise<void>;
  /** Called with each failure and the time until the next try. */
  readonly onFailure: (key: string, error: unknown, retryAfterMs: number) => void;
  /** The delays after failures for this reason; undefined: from a few milliseconds to a minute. */
  readonly paceOf?: (error: unknown) => Pace | undefined;
  /** Whether a key goes to the lane of those that end something. Asked whenever it is added, also while it waits. */
  readonly isEnd?: (key: string) => boolean;
  /** The group of a key: within each lane, groups take turns. */
  readonly groupOf?: (key: string) => string;
  /** Called when the last key has been handled and none waits for a worker. */
  readonly onRest?: () => void;
}

interface Lane {
  readonly waiting: Turns;
  busy: number;
}

/**
 * Creates a queue. A key that is added while it is being handled is handled once more afterwards, unless the handler
 * has called `beginLook` since.
 */
export function createQueue(options: QueueOptions): Queue {
  const { concurrency, handle, onFailure, paceOf, isEnd, groupOf = () => "", onRest } = options;
  const ends: Lane = { waiting: createTurns(groupOf), busy: 0 };
  const others: Lane = { waiting: createTurns(groupOf), busy: 0 };
  const capacity = concurrency + Math.ceil(concurrency * SPARE_SHARE);
  const busy = new Set<string>();
  const dirty = new Set<string>();
  /** Keys that were nudged while they were being handled. */
  const nudged = new Set<string>();
  const alarms = createAlarms((key) => enqueue(key));
  const failures = new Map<string, number>();
  /** How many times in a row a key was to be checked again. */
  const rechecks = new Map<string, number>();
  let isStopped = false;
  let onIdle: (() => void) | undefined;

  const isWaiting = (key: string) => ends.waiting.has(key) || others.waiting.has(key);

  const add = (key: string) => {
    rechecks.delete(key);
    enqueue(key);
  };

  const enqueue = (key: string) => {
    if (isStopped) return;
    alarms.cancel(key);
    if (busy.has(key)) {
      dirty.add(key);
      return;
    }
    // One that waits in the lane of ends stays there, as it may have been added for two reasons.
    if (ends.waiting.has(key)) return;
    if (isEnd?.(key)) {
      others.waiting.remove(key);
      ends.waiting.add(key);
    } else {
      others.waiting.add(key);
    }
    startWorkers();
  };

  const addAfter = (key: string, delayMs: number) => {
    if (isStopped || isWaiting(key)) return;
    alarms.set(key, performance.now() + delayMs);
  };

  const recheck = (key: string) => {
    if (isStopped) return;
    const times = (rechecks.get(key) ?? 0) + 1;
    rechecks.set(key, times);
    addAfter(key, nextDelay(RECHECKS, times));
  };

  const startWorkers = () => {
    for (const lane of [ends, others]) {
      while (lane.busy < concurrency && busy.size < capacity) {
        const key = lane.waiting.take();
        if (key === undefined) break;
        lane.busy += 1;
        busy.add(key);
        void work(key, lane);
      }
    }
  };

  const work = async (key: string, lane: Lane) => {
    const beginLook = () => {
      dirty.delete(key);
      nudged.delete(key);
    };
    const rechecksBefore = rechecks.get(key);
    try {
      await handle(key, { failures: failures.get(key) ?? 0, beginLook });
      failures.delete(key);
      if (rechecks.get(key) === rechecksBefore) rechecks.delete(key);
      if (nudged.has(key)) dirty.add(key);
    } catch (error) {
      const failed = (failures.get(key) ?? 0) + 1;
      failures.set(key, failed);
      const retryAfterMs = nextDelay(paceOf?.(error) ?? RETRIES, failed);
      onFailure(key, error, retryAfterMs);
      addAfter(key, retryAfterMs);
    }
    lane.busy -= 1;
    busy.delete(key);
    nudged.delete(key);
    if (dirty.delete(key)) add(key);
    if (busy.size === 0) onIdle?.();
    if (isStopped) return;
    startWorkers();
    if (busy.size === 0) onRest?.();
  };

  return {
    add,
    nudge(key) {
      if (busy.has(key)) nudged.add(key);
      else if (!failures.has(key)) add(key);
    },
    addAfter,
    recheck,
    get depth() {
      return ends.waiting.size + others.waiting.size;
    },
    get busy() {
      return busy.size;
    },
    async stop() {
      isStopped = true;
      ends.waiting.clear();
      others.waiting.clear();
      dirty.clear();
      nudged.clear();
      alarms.clear();
      if (busy.size > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    },
  };
}

/** The first delay · 2ⁿ⁻¹ for the n-th time, plus up to half of that at random; never more than the longest. */
function nextDelay({ firstMs, longestMs }: Pace, times: number): number {
  const base = Math.min(firstMs * 2 ** (times - 1), longestMs / 1.5);
  return base * (1 + Math.random() / 2);
}
