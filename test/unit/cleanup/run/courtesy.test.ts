import { expect, test } from "vitest";
import { createCourtesy, doOthersWrite } from "../../../../src/cleanup/run/courtesy.ts";

test.each([
  ["nobody writes", 0, 0, 250, false],
  ["only the run itself writes", 25, 25, 250, false],
  ["a transaction of the run is not counted yet", 26, 25, 250, false],
  ["others write now and then", 2, 0, 250, false],
  ["others write ten times a second", 3, 0, 250, true],
  ["others write a hundred times a second beside the run", 50, 25, 250, true],
  ["the same few come in ten seconds", 50, 0, 10_000, false],
  ["two come in no time", 2, 0, 0, true],
])("when %s", (_case, begun, ours, elapsedMs, isWriting) => {
  const before = { nextXid: 4_294_967_290n, ours: 7, atMs: 1_000 };
  const now = { nextXid: before.nextXid + BigInt(begun), ours: before.ours + ours, atMs: 1_000 + elapsedMs };
  expect(doOthersWrite(before, now)).toBe(isWriting);
});

test("while others write batches are short, with a rest after each, and no longer", () => {
  const courtesy = createCourtesy(0.25, 100n);
  courtesy.noteBatch(8);
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([false, 100, 0]);
  courtesy.observe(1_000n);
  expect(courtesy.isDue, "others wrote once").toBe(false);
  courtesy.observe(2_000n);
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([true, 10, 24]);
  expect(courtesy.limitBatch(5)).toBe(5);
  courtesy.observe(2_000n);
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([false, 100, 0]);
});

test("a share of 1 leaves no room for others", () => {
  const courtesy = createCourtesy(1, 100n);
  courtesy.noteBatch(8);
  courtesy.observe(1_000n);
  courtesy.observe(2_000n);
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([false, 100, 0]);
});
