import { expect, test } from "vitest";
import { createAllowance } from "../../../../src/verifier/limits/allowance.ts";

test("a burst may be taken at once, and then so many a second", () => {
  const clock = { ms: 0 };
  const allowance = createAllowance({ perSecond: 10, atOnce: 3 }, () => clock.ms);
  const take = (count: number) => Array.from({ length: count }, () => allowance.take());
  expect(take(4)).toEqual([true, true, true, false]);
  clock.ms = 99;
  expect(take(1)).toEqual([false]);
  clock.ms = 200;
  expect(take(3)).toEqual([true, true, false]);
  clock.ms = 1_000_000;
  expect(take(4)).toEqual([true, true, true, false]);
});
