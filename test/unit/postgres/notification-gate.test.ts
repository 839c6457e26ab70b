import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createNotificationGate, type NotificationGate } from "../../../src/postgres/notification-gate.ts";

let gate: NotificationGate;
let seen: string[];

beforeEach(() => {
  vi.useFakeTimers();
  seen = [];
  gate = createNotificationGate({
    onNotification: (payload) => seen.push(payload),
    onEverything: () => seen.push("everything"),
  });
});
afterEach(() => {
  gate.close();
  vi.useRealTimers();
});

const countSweeps = () => seen.filter((payload) => payload === "everything").length;
const flood = (count: number) => {
  for (let index = 0; index < count; index += 1) gate.take(String(index));
};

test("a notification is passed on at once", () => {
  gate.take("a");
  gate.take("a");
  expect(seen).toEqual(["a", "a"]);
});

test("everything is looked at when it is asked for, and at most once a second however often it is", () => {
  for (let tenth = 0; tenth < 100; tenth += 1) {
    gate.sweep();
    gate.sweep();
    vi.advanceTimersByTime(100);
  }
  expect(countSweeps()).toBeGreaterThanOrEqual(10);
  expect(countSweeps()).toBeLessThanOrEqual(11);
  expect(seen[0]).toBe("everything");
});

test("after the last request everything is looked at once more, and then no more", () => {
  gate.sweep();
  gate.sweep();
  vi.advanceTimersByTime(60_000);
  expect(countSweeps()).toBe(2);
});

test("of a flood the first are passed on, and within a second everything is looked at instead of the others", () => {
  flood(100_000);
  expect(seen).toHaveLength(500);
  vi.advanceTimersByTime(1_000);
  expect(seen.slice(500)).toEqual(["everything"]);
});

test("in the second after a flood notifications are passed on at once again", () => {
  flood(1_000);
  vi.advanceTimersByTime(1_000);
  gate.take("real");
  expect(seen.at(-1)).toBe("real");
  vi.advanceTimersByTime(60_000);
  expect(countSweeps()).toBe(1);
});

test("a gate that is closed does nothing any more", () => {
  flood(1_000);
  gate.close();
  vi.advanceTimersByTime(60_000);
  expect(countSweeps()).toBe(0);
});
