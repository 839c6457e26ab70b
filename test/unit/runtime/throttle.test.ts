import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { createThrottle, type Throttle } from "../../../src/runtime/throttle.ts";

let throttle: Throttle;
let seen: string[];

beforeEach(() => {
  vi.useFakeTimers();
  seen = [];
  throttle = createThrottle((subject) => seen.push(subject));
});
afterEach(() => {
  throttle.close();
  vi.useRealTimers();
});

test("of the requests for one subject the first is carried out at once, and the others together a second later", () => {
  for (const subject of ["x", "y", "x", "x"]) throttle.ask(subject);
  expect(seen).toEqual(["x", "y"]);
  vi.advanceTimersByTime(1_000);
  expect(seen.slice(2)).toEqual(["x"]);
  vi.advanceTimersByTime(60_000);
  expect(seen).toHaveLength(3);
});

test("a subject that is asked for all the time is looked at about once a second", () => {
  for (let hundredth = 0; hundredth < 1_000; hundredth += 1) {
    throttle.ask("x");
    vi.advanceTimersByTime(10);
  }
  expect(seen.length).toBeGreaterThanOrEqual(10);
  expect(seen.length).toBeLessThanOrEqual(12);
});

test("a throttle that is closed does nothing any more", () => {
  throttle.ask("x");
  throttle.ask("x");
  throttle.close();
  vi.advanceTimersByTime(60_000);
  expect(seen).toEqual(["x"]);
});
