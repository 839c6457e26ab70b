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

/** Another reading after `afterMs`, when `transactions` more have begun. */
function createReadings() {
  let last = { nextXid: 100n, atMs: 5_000 };
  return {
    first: last,
    next(transactions: number, afterMs = 250) {
      last = { nextXid: last.nextXid + BigInt(transactions), atMs: last.atMs + afterMs };
      return last;
    },
  };
}

test("while others write batches are short, with a rest after each, and no longer", () => {
  const readings = createReadings();
  const courtesy = createCourtesy(0.25, readings.first);
  courtesy.noteBatch(8);
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([false, 100, 0]);
  courtesy.observe(readings.next(900));
  expect(courtesy.isDue, "others wrote once").toBe(false);
  courtesy.observe(readings.next(1_000));
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([true, 3, 24]);
  expect(courtesy.limitBatch(2)).toBe(2);
  courtesy.observe(readings.next(0));
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([false, 100, 0]);
});

test("a reading right after another one does not make the cleanup forget that others write", () => {
  const readings = createReadings();
  const courtesy = createCourtesy(0.25, readings.first);
  courtesy.observe(readings.next(25));
  courtesy.observe(readings.next(0, 3));
  expect(courtesy.isDue).toBe(false);
  courtesy.observe(readings.next(25, 247));
  expect(courtesy.isDue).toBe(true);
  courtesy.observe(readings.next(0, 3));
  expect(courtesy.isDue).toBe(true);
});

test("a share of 1 leaves no room for others", () => {
  const readings = createReadings();
  const courtesy = createCourtesy(1, readings.first);
  courtesy.noteBatch(8);
  courtesy.observe(readings.next(900));
  courtesy.observe(readings.next(1_000));
  expect([courtesy.isDue, courtesy.limitBatch(100), courtesy.restMs()]).toEqual([false, 100, 0]);
});
