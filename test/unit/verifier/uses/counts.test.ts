import { expect, test } from "vitest";
import { REPORTS_PER_CALL } from "../../../../src/postgres/verifier-reports.ts";
import { createUseCounts } from "../../../../src/verifier/uses/counts.ts";
import { createUses } from "../../../../src/verifier/uses/uses.ts";

const NOON_MS = Date.UTC(2026, 5, 1, 12);
const DAY_MS = 86_400_000;

/** A database that adds up what it is given, by token, day and result. The statements with these numbers fail, from 1 on. */
function aDatabase(...failing: readonly number[]) {
  const sums = new Map<string, number>();
  let statements = 0;
  return {
    sums,
    get statements() {
      return statements;
    },
    query: async ({ values = [] }: { readonly values?: readonly unknown[] }) => {
      statements += 1;
      if (failing.includes(statements)) throw new Error("the database is away");
      const [ids, days, results, numbers] = values as [string[], string[], string[], number[]];
      expect(ids.length).toBeLessThanOrEqual(REPORTS_PER_CALL);
      for (const [place, id] of ids.entries()) {
        const key = `${id} ${days[place]} ${results[place]}`;
        sums.set(key, (sums.get(key) ?? 0) + (numbers[place] ?? 0));
      }
      return [];
    },
  };
}

test("uses are counted by day in UTC, also those of a day that ends before they are reported", async () => {
  const db = aDatabase();
  const counts = createUseCounts(db);
  const uses = createUses("a");
  counts.count(uses, undefined, NOON_MS);
  counts.count(uses, "Revoked", NOON_MS);
  counts.count(uses, undefined, NOON_MS + DAY_MS);
  await counts.flush();
  expect(Object.fromEntries(db.sums)).toEqual({
    "a 2026-06-01 Good": 1,
    "a 2026-06-01 Revoked": 1,
    "a 2026-06-02 Good": 1,
  });
});

test("a report that breaks off anywhere loses no use, and counts none twice", async () => {
  const tokens = Array.from({ length: 3 * REPORTS_PER_CALL }, (_, number) => createUses(`token-${number}`));
  const inOneGo = aDatabase();
  const all = createUseCounts(inOneGo);
  for (const uses of tokens) all.count(uses, undefined, NOON_MS);
  await all.flush();
  for (let failing = 1; failing <= inOneGo.statements; failing += 1) {
    const db = aDatabase(failing);
    const counts = createUseCounts(db);
    for (const uses of tokens) counts.count(uses, undefined, NOON_MS);
    await expect(counts.flush()).rejects.toThrow("the database is away");
    for (const uses of tokens) counts.count(uses, undefined, NOON_MS);
    await counts.flush();
    expect(db.sums.size, `${failing}`).toBe(tokens.length);
    expect(new Set(db.sums.values()), `${failing}`).toEqual(new Set([2]));
  }
});

test("what waits is limited, and what was not counted for it is told", async () => {
  const db = aDatabase();
  const counts = createUseCounts(db, 2);
  for (const id of ["a", "b", "c", "a"]) counts.count(createUses(id), undefined, NOON_MS);
  expect(counts.lost).toBe(2);
  await counts.flush();
  expect([...db.sums.keys()]).toEqual(["a 2026-06-01 Good", "b 2026-06-01 Good"]);
});
