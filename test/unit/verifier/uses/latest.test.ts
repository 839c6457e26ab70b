import { expect, test } from "vitest";
import { REPORTS_PER_CALL } from "../../../../src/postgres/verifier-reports.ts";
import { createLatestUses } from "../../../../src/verifier/uses/latest.ts";
import { createUses } from "../../../../src/verifier/uses/uses.ts";

const NOON_MS = Date.UTC(2026, 5, 1, 12);

/** A database that keeps what is reported of each token. The statements with these numbers fail, from 1 on. */
function aDatabase(...failing: readonly number[]) {
  const noted = new Map<string, string>();
  let statements = 0;
  return {
    noted,
    query: async ({ values = [] }: { readonly values?: readonly unknown[] }) => {
      statements += 1;
      if (failing.includes(statements)) throw new Error("the database is away");
      const [ids, times, addresses] = values as [string[], Date[], string[]];
      expect(new Set(ids).size, "each token once").toBe(ids.length);
      for (const [place, id] of ids.entries()) {
        noted.set(id, `${new Date(times[place] ?? 0).getTime() - NOON_MS} ${addresses[place]}`);
      }
      return [];
    },
  };
}

test("of all uses of a token the latest is reported, and once", async () => {
  const db = aDatabase();
  const latest = createLatestUses(db);
  const uses = createUses("a");
  latest.note(uses, NOON_MS, "192.0.2.1");
  latest.note(uses, NOON_MS + 5, "192.0.2.2");
  await latest.flush();
  expect([...db.noted]).toEqual([["a", "5 192.0.2.2"]]);
  db.noted.clear();
  await latest.flush();
  expect([...db.noted]).toEqual([]);
});

test.for([1, 2, 3])("a report that breaks off at statement %i loses no use", async (failing) => {
  const db = aDatabase(failing);
  const latest = createLatestUses(db);
  const tokens = Array.from({ length: 2 * REPORTS_PER_CALL + 1 }, (_, number) => createUses(`token-${number}`));
  for (const uses of tokens) latest.note(uses, NOON_MS, "192.0.2.1");
  await expect(latest.flush()).rejects.toThrow("the database is away");
  await latest.flush();
  expect(db.noted.size).toBe(tokens.length);
});

test("a use while a report is on its way is reported next, also if that report fails", async () => {
  for (const failing of [[], [1]]) {
    const db = aDatabase(...failing);
    const latest = createLatestUses(db);
    const uses = createUses("a");
    latest.note(uses, NOON_MS, "192.0.2.1");
    const report = latest.flush().catch(() => {});
    latest.note(uses, NOON_MS + 5, "192.0.2.2");
    await report;
    await latest.flush();
    expect([...db.noted]).toEqual([["a", "5 192.0.2.2"]]);
  }
});
