import { expect, test } from "vitest";
import { compareRanks } from "../../bench/statistics.ts";

test("two samples of which one is always larger can be told apart every time", () => {
  expect(compareRanks([4, 5, 6], [1, 2, 3])).toMatchObject({ superiority: 1 });
  expect(compareRanks([1, 2, 3], [4, 5, 6])).toMatchObject({ superiority: 0 });
});

test("the same values cannot be told apart", () => {
  expect(compareRanks([1, 2, 2, 3], [1, 2, 2, 3])).toEqual({ superiority: 0.5, z: 0 });
  expect(compareRanks([1, 1], [1, 1])).toEqual({ superiority: 0.5, z: 0 });
});

// By hand: the ranks of the first are 1, 2.5, 2.5, 6 and 7, so that U is 4; ties of two and two.
test("ties share their ranks, and make the variance smaller", () => {
  const { superiority, z } = compareRanks([1, 2, 2, 9, 10], [3, 3, 11]);
  expect(superiority).toBeCloseTo(4 / 15, 10);
  expect(z).toBeCloseTo((4 - 7.5) / Math.sqrt((15 / 12) * (9 - 12 / 56)), 10);
});
