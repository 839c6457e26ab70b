import { afterEach, describe, expect, test, vi } from "vitest";
import { createQueue, type Queue } from "../../../../src/controller/queue/queue.ts";
import { eventually } from "../../../support/eventually.ts";

let queue: Queue;
afterEach(async () => {
  await queue.stop();
  vi.useRealTimers();
});

/** A handler that works on a key until it is released. */
function aHandler() {
  const handled: string[] = [];
  const held = new Map<string, () => void>();
  const handle = (key: string) => {
    handled.push(key);
    return new Promise<void>((resolve) => held.set(key, resolve));
  };
  return { handled, handle, release: (key: string) => held.get(key)?.() };
}

const ignore = () => {};

test("a key that is added many times while it waits is handled once", async () => {
  const { handled, handle, release } = aHandler();
  queue = createQueue({ concurrency: 1, handle, onFailure: ignore });
  for (const key of ["a", "b", "b", "b", "c"]) queue.add(key);
  expect(handled).toEqual(["a"]);
  expect(queue.depth).toBe(2);
  for (const key of ["a", "b", "c"]) {
    await eventually(() => handled.includes(key));
    release(key);
  }
  await eventually(() => queue.busy === 0);
  expect(handled).toEqual(["a", "b", "c"]);
});

test("a key is never handled twice at once, but once more if it was added meanwhile", async () => {
  const { handled, handle, release } = aHandler();
  queue = createQueue({ concurrency: 4, handle, onFailure: ignore });
  queue.add("a");
  queue.add("a");
  queue.add("a");
  expect(handled).toEqual(["a"]);
  release("a");
  await eventually(() => handled.length === 2);
  release("a");
  await eventually(() => queue.busy === 0);
  expect(handled).toEqual(["a", "a"]);
});

test("a queue is at rest when the last key was handled and none waits", async () => {
  const { handled, handle, release } = aHandler();
  let rests = 0;
  const onRest = () => {
    rests += 1;
  };
  queue = createQueue({ concurrency: 1, handle, onFailure: ignore, onRest });
  for (const key of ["a", "b", "a"]) queue.add(key);
  release("a");
  await eventually(() => handled.length === 2);
  expect(rests).toBe(0);
  release("b");
  await eventually(() => handled.length === 3);
  expect(rests).toBe(0);
  release("a");
  await eventually(() => rests === 1);
});

test("a key that was added before its handler's last look is not handled again", async () => {
  const { handled, handle, release } = aHandler();
  const looks: (() => void)[] = [];
  queue = createQueue({
    concurrency: 1,
    handle: (key, { beginLook }) => {
      looks.push(beginLook);
      return handle(key);
    },
    onFailure: ignore,
  });
  queue.add("a");
  queue.add("a");
  looks[0]?.();
  release("a");
  await eventually(() => queue.busy === 0);
  expect(handled).toEqual(["a"]);

  queue.add("a");
  looks[1]?.();
  queue.add("a"); // after the look, which may have missed this
  release("a");
  await eventually(() => handled.length === 3);
  release("a");
});

test("a key that is nudged during a retry is handled again, unless the retry fails, too", async () => {
  const { handled, handle, release } = aHandler();
  const outcomes = [false, true, true];
  queue = createQueue({
    concurrency: 1,
    async handle(key) {
      await handle(key);
      if (!outcomes.shift()) throw new Error("no");
    },
    onFailure: ignore,
  });
  queue.add("a");
  queue.nudge("a"); // the retry after the failure sees the change
  release("a");
  await eventually(() => handled.length === 2);
  queue.nudge("a"); // nothing else would run after a success
  release("a");
  await eventually(() => handled.length === 3);
  release("a");
  await eventually(() => queue.busy === 0);
  expect(handled).toEqual(["a", "a", "a"]);
});

test("no more keys than the concurrency are handled at once", () => {
  const { handled, handle, release } = aHandler();
  queue = createQueue({ concurrency: 3, handle, onFailure: ignore });
  for (let index = 0; index < 10; index += 1) queue.add(`key${index}`);
  expect(handled).toHaveLength(3);
  expect(queue).toMatchObject({ busy: 3, depth: 7 });
  void queue.stop();
  for (const key of handled) release(key);
});

test("a failed key is retried, later with every failure, and at once after a success", async () => {
  const delays: number[] = [];
  let failures = 4;
  queue = createQueue({
    concurrency: 1,
    handle: () => (failures-- > 0 ? Promise.reject(new Error("no")) : Promise.resolve()),
    onFailure: (_key, _error, retryAfterMs) => delays.push(retryAfterMs),
  });
  queue.add("a");
  await eventually(() => failures < 0);
  expect(delays).toHaveLength(4);
  for (const [index, delayMs] of delays.entries()) {
    expect(delayMs).toBeGreaterThanOrEqual(5 * 2 ** index);
    expect(delayMs).toBeLessThanOrEqual(7.5 * 2 ** index);
  }
});

test("a key that keeps failing is retried after a minute at the latest, however often it has failed", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
  try {
    const delays: number[] = [];
    queue = createQueue({
      concurrency: 1,
      handle: () => Promise.reject(new Error("no")),
      onFailure: (_key, _error, retryAfterMs) => delays.push(retryAfterMs),
    });
    queue.add("a");
    for (let minute = 0; minute < 30; minute += 1) await vi.advanceTimersByTimeAsync(60_000);
    expect(delays.length).toBeGreaterThan(30);
    expect(Math.max(...delays)).toBeLessThanOrEqual(60_000);
    expect(Math.min(...delays.slice(-10))).toBeGreaterThanOrEqual(40_000);
  } finally {
    vi.useRealTimers();
  }
});

test("a failure can have a pace of its own", async () => {
  const delays: number[] = [];
  queue = createQueue({
    concurrency: 1,
    handle: (key) => Promise.reject(new Error(key)),
    onFailure: (_key, _error, retryAfterMs) => delays.push(retryAfterMs),
    paceOf: (error) => ((error as Error).message === "slow" ? { firstMs: 10_000, longestMs: 15_000 } : undefined),
  });
  queue.add("slow");
  queue.add("quick");
  await eventually(() => delays.length >= 2);
  expect(delays[0]).toBeGreaterThanOrEqual(10_000);
  expect(delays[0]).toBeLessThanOrEqual(15_000);
  expect(delays[1]).toBeLessThanOrEqual(7.5);
});

test("if there are several times, the earliest counts, and one beyond the longest timer does not fire at once", async () => {
  const { handled, handle, release } = aHandler();
  queue = createQueue({ concurrency: 1, handle, onFailure: ignore });
  queue.addAfter("far", 90 * 24 * 3_600_000);
  queue.addAfter("a", 3_600_000);
  queue.addAfter("a", 10);
  queue.addAfter("a", 7_200_000);
  await eventually(() => handled.includes("a"));
  expect(handled).toEqual(["a"]);
  release("a");
});

test("after a stop nothing more is handled, and the stop waits for running handlers", async () => {
  const { handled, handle, release } = aHandler();
  queue = createQueue({ concurrency: 1, handle, onFailure: ignore });
  queue.add("a");
  queue.add("b");
  queue.addAfter("c", 1);
  let hasStopped = false;
  const stopped = queue.stop().then(() => {
    hasStopped = true;
  });
  queue.add("d");
  expect(hasStopped).toBe(false);
  release("a");
  await stopped;
  expect(handled).toEqual(["a"]);
});

describe("keys that end something", () => {
  const isEnd = (key: string) => key.startsWith("end");
  const fill = (count: number, prefix: string) => {
    for (let index = 0; index < count; index += 1) queue.add(`${prefix}${index}`);
  };

  test("are handled at once, although all workers of the others are busy and more of those wait", () => {
    const { handled, handle } = aHandler();
    queue = createQueue({ concurrency: 4, handle: (key) => void handle(key) as never, onFailure: ignore, isEnd });
    fill(1_000, "issue");
    queue.add("end");
    expect(handled).toContain("end");
  });

  test("come before all others that wait", async () => {
    const { handled, handle, release } = aHandler();
    queue = createQueue({ concurrency: 1, handle, onFailure: ignore, isEnd });
    queue.add("issue0");
    queue.add("end0");
    queue.add("issue1");
    queue.add("end1");
    expect(handled).toEqual(["issue0", "end0"]);
    release("end0");
    await eventually(() => handled.length === 3);
    expect(handled[2]).toBe("end1");
    for (const key of ["issue0", "end1"]) release(key);
    await eventually(() => handled.length === 4);
    release("issue1");
  });

  test("leave workers for the others, however many they are", async () => {
    const { handled, handle, release } = aHandler();
    queue = createQueue({ concurrency: 4, handle, onFailure: ignore, isEnd });
    fill(1_000, "end");
    queue.add("issue");
    expect(handled).toEqual(["end0", "end1", "end2", "end3", "issue"]);
    void queue.stop();
    for (const key of handled) release(key);
  });

  test("change the lane if they become ends while they wait, and are still handled once", async () => {
    const { handled, handle, release } = aHandler();
    const ending = new Set<string>();
    queue = createQueue({ concurrency: 1, handle, onFailure: ignore, isEnd: (key) => ending.has(key) });
    for (const key of ["a", "b", "c", "d"]) queue.add(key);
    ending.add("d");
    queue.add("d");
    expect(handled).toEqual(["a", "d"]);
    ending.delete("d");
    for (const key of ["a", "d", "b"]) {
      await eventually(() => handled.includes(key));
      release(key);
    }
    await eventually(() => handled.length === 4);
    release("c");
    await eventually(() => queue.busy === 0);
    expect(handled).toEqual(["a", "d", "b", "c"]);
  });

  test("are found when a retry is due, too", async () => {
    const { handled, handle, release } = aHandler();
    const ending = new Set<string>();
    queue = createQueue({
      concurrency: 1,
      async handle(key) {
        await handle(key);
        if (handled.length === 1) throw new Error("no");
      },
      onFailure: () => ending.add("a"),
      isEnd: (key) => ending.has(key),
    });
    for (const key of ["a", "b", "c"]) queue.add(key);
    release("a");
    await eventually(() => handled.length === 3);
    expect(handled).toEqual(["a", "b", "a"]); // while b has the only worker of its lane
    for (const key of ["a", "b"]) release(key);
    await eventually(() => handled.length === 4);
    release("c");
  });
});

describe("groups take turns", () => {
  const groupOf = (key: string) => key.slice(0, key.indexOf("/"));

  test.each([
    ["in the lane of ends", () => true],
    ["in the other lane", () => false],
  ])("%s", async (_lane, isEnd) => {
    const { handled, handle, release } = aHandler();
    queue = createQueue({ concurrency: 1, handle, onFailure: ignore, isEnd, groupOf });
    for (let index = 0; index < 100; index += 1) queue.add(`many/${index}`);
    queue.add("few/0");
    queue.add("few/1");
    queue.add("one/0");
    const expected = ["many/0", "many/1", "few/0", "one/0", "many/2", "few/1", "many/3", "many/4"];
    for (const key of expected) {
      await eventually(() => handled.includes(key));
      release(key);
    }
    expect(handled.slice(0, expected.length)).toEqual(expected);
    const stopped = queue.stop();
    for (const key of handled) release(key);
    await stopped;
  });

  test("each key is handled once, whatever is added and changes the lane meanwhile", async () => {
    const counts = new Map<string, number>();
    const ending = new Set<string>();
    queue = createQueue({
      concurrency: 2,
      async handle(key) {
        counts.set(key, (counts.get(key) ?? 0) + 1);
      },
      onFailure: ignore,
      isEnd: (key) => ending.has(key),
      groupOf,
    });
    const keys = Array.from({ length: 500 }, (_, index) => `group${index % 7}/${index}`);
    for (const [index, key] of keys.entries()) {
      if (index % 3 === 0) ending.add(key);
      queue.add(key);
      if (index % 5 === 0) ending.add(key);
      queue.add(key);
    }
    await eventually(() => queue.busy === 0 && queue.depth === 0);
    expect([...counts.keys()].sort()).toEqual([...keys].sort());
    // A key that was being handled when it was added again is handled twice.
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(2);
  });
});

describe("a key that is checked again and again", () => {
  /** Lets time pass until the key has been handled that often; returns the seconds between. */
  async function passages(handled: number[], count: number): Promise<number[]> {
    while (handled.length < count) await vi.advanceTimersByTimeAsync(500);
    return handled.slice(1).map((at, index) => (at - (handled[index] ?? 0)) / 1_000);
  }

  /** A queue whose key waits for as long as `isWaiting` says so. */
  function aRecheckingQueue(isWaiting: () => boolean) {
    vi.useFakeTimers();
    const handled: number[] = [];
    queue = createQueue({
      concurrency: 1,
      async handle(key) {
        handled.push(performance.now());
        if (isWaiting()) queue.recheck(key);
      },
      onFailure: ignore,
    });
    return handled;
  }

  test("is looked at less and less often, from 15 seconds to 5 minutes", async () => {
    const handled = aRecheckingQueue(() => true);
    queue.add("a");
    const pauses = await passages(handled, 9);
    for (const [index, seconds] of pauses.entries()) {
      const base = Math.min(15 * 2 ** index, 200);
      expect(seconds).toBeGreaterThanOrEqual(base - 0.5);
      expect(seconds).toBeLessThanOrEqual(base * 1.5 + 0.5);
    }
    expect(new Set(pauses.slice(-4)).size).toBeGreaterThan(1); // not all in step
  });

  test.each([
    ["added", () => queue.add("a")],
    ["nudged", () => queue.nudge("a")],
  ])("is looked at at once when it is %s, and then starts over", async (_how, report) => {
    const handled = aRecheckingQueue(() => true);
    queue.add("a");
    await passages(handled, 6);
    report();
    await vi.advanceTimersByTimeAsync(1);
    expect(handled).toHaveLength(7);
    const pauses = await passages(handled, 8);
    expect(pauses.at(-1)).toBeLessThanOrEqual(23);
  });

  test("starts over after a pass that had nothing to wait for", async () => {
    let isWaiting = true;
    const handled = aRecheckingQueue(() => isWaiting);
    queue.add("a");
    await passages(handled, 5);
    isWaiting = false;
    await passages(handled, 6);
    isWaiting = true;
    queue.addAfter("a", 60_000);
    const pauses = await passages(handled, 8);
    expect(pauses.at(-1)).toBeLessThanOrEqual(23);
  });
});
