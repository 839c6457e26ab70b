import { expect, test } from "vitest";
import { createOddity, findOddities } from "../../../../src/cleanup/run/plausibility.ts";
import type { TimeFacts } from "../../../../src/postgres/cleanup/oddities.ts";
import { aRowCounts } from "../builders.ts";

const aTimeFacts = (overrides: Partial<TimeFacts> = {}): TimeFacts => ({
  column: "expires_at",
  times: 100,
  plausible: 100,
  example: "",
  due: 40,
  sharing: 1,
  shared: "2026-01-01",
  ...overrides,
});

test.each<[string, Parameters<typeof aRowCounts>[0], Partial<TimeFacts>, string | undefined]>([
  ["nothing", { total: 100, due: { expired: 40, revoked: 0 } }, {}, undefined],
  ["nothing about an empty table", {}, { times: 0, plausible: 0, due: 0, sharing: 0 }, undefined],
  [
    "a unit that is a thousand times too small",
    {},
    { plausible: 0, example: "1795000000" },
    "the unit in epoch may be wrong",
  ],
  ["one time of the century among others: nothing", {}, { plausible: 1 }, undefined],
  [
    "a value that more than a tenth share",
    {},
    { due: 40, sharing: 5, shared: "0" },
    "5 of 40 rows that are due have the same expires_at, 0",
  ],
  ["a value that a tenth share: nothing", {}, { due: 40, sharing: 4 }, undefined],
  ["a single row: nothing", {}, { due: 1, sharing: 1 }, undefined],
  ["more than half", { total: 3, due: { expired: 1, revoked: 1 } }, {}, "2 of 3 rows are due"],
  ["a half: nothing", { total: 4, due: { expired: 1, revoked: 1 } }, {}, undefined],
])("odd is %s", (_case, counts, facts, message) => {
  const found = findOddities(aRowCounts(counts), [aTimeFacts(facts)], 0.5);
  if (message === undefined) expect(found).toEqual([]);
  else expect(found.join()).toContain(message);
});

test("the refusal says how to confirm", () => {
  expect(createOddity(["a", "b"], "ab12cd34ef56").message).toBe(
    'before its first run, this looks odd: a; b. Nothing was deleted; look at "cleanup validate", and if it is right, add ' +
      '"confirm: ab12cd34ef56" to the target',
  );
});
