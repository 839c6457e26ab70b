/*
 * Events come in bursts, and one that arrives during a pass must not get lost. This queue of keys, modelled after
 * client-go's workqueue, merges repeated keys, never handles one key twice at once, and spaces out retries of failing
 * ones.
 */
/** A longer delay would overflow Node's timers, which would then fire after a millisecond. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

const BACKOFF_FIRST_MS = 5;
/** What is back must be noticed soon even if nothing reports it, as with an admission webhook or a quota. */
const BACKOFF_LONGEST_MS = 60_000;

export interface Queue {
  /** Has the key handled as soon as a worker is free. A key that is already waiting is not added twice. */
  add(key: string): void;
  /**
   * Like `add`, but a failing key keeps its delay, because the report may have been caused by the failed pass itself.
   */
  nudge(key: string): void;
  /** Has the key handled after a delay. If it is added several times, the earliest time counts. */
  addAfter(key: string, delayMs: number): void;
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

export interface QueueOptions {
  readonly concurrency: number;
  /** Handles a key. If it throws, the key is retried after a delay that grows with each failure in a row. */
  readonly handle: (key: string, turn: Turn) => Promise<void>;
  /** Called with each failure and the time until the next try. */
  readonly onFailure: (key: string, error: unknown, retryAfterMs: number) => void;
}

/**
 * Creates a queue. A key that is added while it is being handled is handled once more afterwards, unless the handler
 * has called `beginLook` since.
 */
export function createQueue({ concurrency, handle, onFailure }: QueueOptions): Queue {
  const waiting = new Set<string>();
  const busy = new Set<string>();
  const dirty = new Set<string>();
  /** Keys that were nudged while they were being handled. */
  const nudged = new Set<string>();
  const timers = new Map<string, { timer: NodeJS.Timeout; atMs: number }>();
  const failures = new Map<string, number>();
  let isStopped = false;
  let onIdle: (() => void) | undefined;

  const add = (key: string) => {
    if (isStopped) return;
    cancelTimer(key);
    if (busy.has(key)) dirty.add(key);
    else waiting.add(key);
    startWorkers();
  };

  const addAfter = (key: string, delayMs: number) => {
    if (isStopped || waiting.has(key)) return;
    const atMs = performance.now() + delayMs;
    if ((timers.get(key)?.atMs ?? Number.POSITIVE_INFINITY) <= atMs) return;
    cancelTimer(key);
    const wake = () => {
      timers.delete(key);
      if (atMs - performance.now() > 1) addAfter(key, atMs - performance.now());
      else add(key);
    };
    timers.set(key, { timer: setTimeout(wake, Math.min(delayMs, LONGEST_TIMER_MS)), atMs });
  };

  const cancelTimer = (key: string) => {
    clearTimeout(timers.get(key)?.timer);
    timers.delete(key);
  };

  const startWorkers = () => {
    for (const key of waiting) {
      if (busy.size >= concurrency) return;
      waiting.delete(key);
      busy.add(key);
      void work(key);
    }
  };

  const work = async (key: string) => {
    const beginLook = () => {
      dirty.delete(key);
      nudged.delete(key);
    };
    try {
      await handle(key, { failures: failures.get(key) ?? 0, beginLook });
      failures.delete(key);
      if (nudged.has(key)) dirty.add(key);
    } catch (error) {
      const failed = (failures.get(key) ?? 0) + 1;
      failures.set(key, failed);
      const retryAfterMs = backoffMs(failed);
      onFailure(key, error, retryAfterMs);
      addAfter(key, retryAfterMs);
    }
    busy.delete(key);
    nudged.delete(key);
    if (dirty.delete(key)) add(key);
    if (busy.size === 0) onIdle?.();
    if (!isStopped) startWorkers();
  };

  return {
    add,
    nudge(key) {
      if (busy.has(key)) nudged.add(key);
      else if (!failures.has(key)) add(key);
    },
    addAfter,
    get depth() {
      return waiting.size;
    },
    get busy() {
      return busy.size;
    },
    async stop() {
      isStopped = true;
      waiting.clear();
      dirty.clear();
      nudged.clear();
      for (const key of [...timers.keys()]) cancelTimer(key);
      if (busy.size > 0) await new Promise<void>((resolve) => (onIdle = resolve));
    },
  };
}

/** 5 ms · 2ⁿ⁻¹ after n failures, plus up to half of that at random; at most a minute. */
function backoffMs(failed: number): number {
  const base = Math.min(BACKOFF_FIRST_MS * 2 ** (failed - 1), BACKOFF_LONGEST_MS / 1.5);
  return base * (1 + Math.random() / 2);
}
