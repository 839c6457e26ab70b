import fc from "fast-check";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createAlarms } from "../../../../src/controller/queue/alarms.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

const DAY_MS = 86_400_000;

function someAlarms() {
  const rung: string[] = [];
  const alarms = createAlarms((key) => rung.push(key));
  const at = (key: string, ms: number) => alarms.set(key, performance.now() + ms);
  return { rung, alarms, at };
}

test("keys are due in the order of their times, however they were set", () => {
  const { rung, at } = someAlarms();
  at("late", 300);
  at("early", 100);
  at("middle", 200);
  vi.advanceTimersByTime(99);
  expect(rung).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(rung).toEqual(["early"]);
  vi.advanceTimersByTime(1_000);
  expect(rung).toEqual(["early", "middle", "late"]);
});

test("a time that has passed is due at once, and Node has nothing to warn of", async () => {
  vi.useRealTimers();
  const warnings: Error[] = [];
  const onWarning = (warning: Error) => void warnings.push(warning);
  process.on("warning", onWarning);
  const { rung, at } = someAlarms();
  at("past", -5_000);
  await vi.waitFor(() => expect(rung).toEqual(["past"]));
  process.off("warning", onWarning);
  expect(warnings).toEqual([]);
});

test("the earliest time of a key counts, and it is due once", () => {
  const { rung, at } = someAlarms();
  at("key", 300);
  at("key", 100);
  at("key", 200);
  vi.advanceTimersByTime(1_000);
  expect(rung).toEqual(["key"]);
});

test("a key that was cancelled is not due, and may be set again, to a later time too", () => {
  const { rung, alarms, at } = someAlarms();
  at("gone", 100);
  at("moved", 100);
  alarms.cancel("gone");
  alarms.cancel("moved");
  at("moved", 500);
  vi.advanceTimersByTime(499);
  expect(rung).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(rung).toEqual(["moved"]);
});

test("times beyond the range of Node's timers are kept", () => {
  const { rung, at } = someAlarms();
  at("in 60 days", 60 * DAY_MS);
  vi.advanceTimersByTime(60 * DAY_MS - 1);
  expect(rung).toEqual([]);
  vi.advanceTimersByTime(1);
  expect(rung).toEqual(["in 60 days"]);
});

test("nothing is due after clear", () => {
  const { rung, alarms, at } = someAlarms();
  at("key", 100);
  alarms.clear();
  vi.advanceTimersByTime(1_000);
  expect(rung).toEqual([]);
});

test("whatever is set and cancelled, each key is due at its time and no other is", () => {
  const step = fc.record({
    key: fc.constantFrom("a", "b", "c", "d"),
    ms: fc.integer({ min: 0, max: 50 }),
    cancel: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const { rung, alarms, at } = someAlarms();
      const expected = new Map<string, number>();
      for (const { key, ms, cancel } of steps) {
        if (cancel) {
          alarms.cancel(key);
          expected.delete(key);
        } else {
          at(key, ms);
          expected.set(key, Math.min(expected.get(key) ?? Number.POSITIVE_INFINITY, ms));
        }
      }
      for (let nowMs = 1; nowMs <= 50; nowMs += 1) {
        vi.advanceTimersByTime(1);
        const due = [...expected].filter(([, atMs]) => atMs <= nowMs).map(([key]) => key);
        expect([...rung].sort()).toEqual(due.sort());
      }
      alarms.clear();
    }),
    { numRuns: 100 },
  );
});
