import { afterEach, expect, test, vi } from "vitest";
import { createQueue, type Queue } from "../../../src/controller/queue.ts";
import { eventually } from "../../support/eventually.ts";

let queue: Queue;
afterEach(() => queue.stop());

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
