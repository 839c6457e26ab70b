import { expect, test } from "vitest";
import { REPORTS_PER_CALL } from "../../../../src/postgres/verifier-reports.ts";
import { createWaiting } from "../../../../src/verifier/uses/waiting.ts";

/** Items that are reported to the test. While `isAway`, reports fail. */
function aWaiting() {
  const database = { isAway: false };
  const reported: number[] = [];
  const waiting = createWaiting<number>({ query: () => Promise.resolve([]) }, async (_db, items) => {
    if (database.isAway) throw new Error("the database is away");
    reported.push(...items);
  });
  return { database, reported, waiting };
}

test("what could not be reported waits for the next report, before what has come since", async () => {
  const { database, reported, waiting } = aWaiting();
  waiting.add(1);
  database.isAway = true;
  const report = waiting.flush();
  waiting.add(2);
  await expect(report).rejects.toThrow("the database is away");
  database.isAway = false;
  await waiting.flush();
  expect(reported).toEqual([1, 2]);
  await waiting.flush();
  expect(reported).toEqual([1, 2]);
});

test("no more waits than fits into one report, also after one that has failed", async () => {
  const { database, reported, waiting } = aWaiting();
  database.isAway = true;
  for (let item = 0; item < REPORTS_PER_CALL; item += 1) waiting.add(item);
  expect(waiting.isFull).toBe(true);
  const report = waiting.flush();
  expect(waiting.isFull).toBe(false);
  waiting.add(REPORTS_PER_CALL);
  await expect(report).rejects.toThrow("the database is away");
  database.isAway = false;
  await waiting.flush();
  expect(reported).toEqual(Array.from({ length: REPORTS_PER_CALL }, (_, item) => item));
});
