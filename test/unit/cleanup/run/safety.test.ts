import { expect, test } from "vitest";
import { findClockWarning, findExcess, findObstruction } from "../../../../src/cleanup/run/safety.ts";
import { aRowCounts } from "../builders.ts";

test.each([
  ["a part below the cap", { total: 10_000, expired: 8_000 }, 0.9, false],
  ["a part that is just the cap", { total: 10_000, expired: 9_000 }, 0.9, false],
  ["a part above the cap", { total: 10_000, expired: 9_001 }, 0.9, true],
  ["both reasons together above the cap", { total: 10_000, expired: 5_000, revoked: 4_001 }, 0.9, true],
  ["a table of 19 rows, all of them dead", { total: 19, expired: 19 }, 0.9, false],
  ["a table of 20 rows, all of them dead", { total: 20, expired: 20 }, 0.9, true],
  ["everything, when the cap is lifted", { total: 5_000, expired: 5_000 }, 1, false],
  ["a single row, when the cap is none", { total: 5_000, expired: 1 }, 0, true],
  ["nothing, when the cap is none", { total: 5_000, expired: 0 }, 0, false],
  ["an empty table", { total: 0, expired: 0 }, 0.9, false],
])(
  "%s",
  (_case, { total, expired, revoked = 0 }: { total: number; expired: number; revoked?: number }, cap, isExcess) => {
    const counts = aRowCounts({ total, due: { expired, revoked } });
    expect(findExcess("apitoken.tokens", counts, cap) !== undefined).toBe(isExcess);
  },
);

test("the refusal names the table, the figures and the way out", () => {
  const counts = aRowCounts({ total: 2_000, due: { expired: 1_900, revoked: 0 } });
  const message = findExcess("apitoken.tokens", counts, 0.9)?.message;
  expect(message).toContain("1900 of 2000 rows of apitoken.tokens (95 %)");
  expect(message).toContain("90 % that --max-fraction allows");
  expect(message).toContain("Nothing was deleted");
  expect(message).toContain("run once with a higher --max-fraction");
});

const WELL = { isStandby: false, isReadOnly: false, clockDifferenceMs: 0, seesReplicas: true, lastRunAhead: undefined };
const HOUR_MS = 3_600_000;

test.each([
  ["a standby", { isStandby: true }, "standby", "APITOKEN_E_DATABASE_READ_ONLY"],
  ["a server that takes no writes", { isReadOnly: true }, "read-only", "APITOKEN_E_DATABASE_READ_ONLY"],
  [
    "a database's clock that is days ahead",
    { clockDifferenceMs: 25 * HOUR_MS },
    "1500 minutes ahead of",
    "APITOKEN_E_CLOCK_WRONG",
  ],
  [
    "a database's clock that is days behind",
    { clockDifferenceMs: -25 * HOUR_MS },
    "1500 minutes behind",
    "APITOKEN_E_CLOCK_WRONG",
  ],
  [
    "a last run that is in the future",
    { lastRunAhead: new Date("2030-01-01T00:00:00Z") },
    "2030-01-01T00:00:00.000Z",
    "APITOKEN_E_CLOCK_WRONG",
  ],
])("%s keeps a run from deleting anything", (_case, state, message, faultCode) => {
  expect(findObstruction({ ...WELL, ...state })).toMatchObject({
    faultCode,
    message: expect.stringContaining(message),
  });
});

test("clocks an hour apart cause a warning, and the database's clock decides", () => {
  expect(findObstruction({ ...WELL, clockDifferenceMs: HOUR_MS })).toBeUndefined();
  expect(findClockWarning({ ...WELL, clockDifferenceMs: HOUR_MS })).toContain("60 minutes ahead");
  expect(findClockWarning({ ...WELL, clockDifferenceMs: 1_000 })).toBeUndefined();
});
