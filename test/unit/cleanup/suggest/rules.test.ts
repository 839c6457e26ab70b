import { expect, test } from "vitest";
import { isPromising, propose } from "../../../../src/cleanup/suggest/propose.ts";
import type { CandidateTable } from "../../../../src/postgres/cleanup/candidates.ts";

const TZ = "timestamp with time zone";
const NOW = Date.parse("2026-06-01T00:00:00Z");

const tableOf = (columns: Readonly<Record<string, string>>, table = "user_sessions"): CandidateTable => ({
  schema: "app",
  table,
  columns: Object.entries(columns).map(([name, type]) => ({ name, type })),
  mayRead: true,
  bytes: 0,
});

const proposeFor = (columns: Readonly<Record<string, string>>, table?: string) =>
  propose(tableOf(columns, table), [], NOW);

test.each([
  ["Atlassian's EXPIRING_AT", { CREATED_AT: TZ, EXPIRING_AT: TZ, LAST_ACCESSED_AT: TZ }, '"EXPIRING_AT"'],
  ["Kong's ttl, which is a time", { created_at: TZ, expires_in: "integer", ttl: TZ }, "ttl"],
  ["a name without underscores", { createdat: TZ, expiresat: TZ, last_used: TZ }, "expiresat"],
  ["seconds from the creation on", { created_at: TZ, ttl: "integer" }, { column: "created_at", plusSeconds: "ttl" }],
  [
    "seconds from the last use on",
    { creation_time: TZ, last_access_time: TZ, max_inactive_interval: "integer" },
    { column: "last_access_time", plusSeconds: "max_inactive_interval" },
  ],
])("the expiry is found: %s", (_what, columns, expiresAt) => {
  expect(proposeFor(columns).target).toMatchObject({ expiresAt });
});

test("the unit of seconds has to be checked", () => {
  expect(proposeFor({ created_at: TZ, ttl: "integer" })).toMatchObject({
    checks: ["plusSeconds: is ttl in seconds? From created_at on, even after a row is renewed?"],
    doubts: [],
  });
});

test.each([
  [
    "seconds that may begin again with each use",
    { created_at: TZ, last_used: TZ, ttl: "integer" },
    "does ttl begin again with last_used? Then name last_used in column",
  ],
  [
    "two columns with seconds",
    { created_at: TZ, ttl: "integer", max_age: "integer" },
    "which of ttl, max_age ends a row? Name that one in plusSeconds",
  ],
  [
    "seconds without a time from which on they count",
    { id: "bigint", last_used: TZ, ttl: "integer" },
    "does ttl begin again with last_used? Then add plusSeconds: ttl to it instead of plus",
  ],
])("%s make the proposal not ready", (_what, columns, doubt) => {
  expect(proposeFor(columns).doubts).toContain(doubt);
});

test.each([
  ["an expiry that is a text", { last_used: TZ, expires: "text" }, "expires"],
  ["an expiry under a name that nobody knows", { last_used: TZ, token_expirydate_x: TZ }, "token_expirydate_x"],
  ["a validity that is an interval", { last_used: TZ, expires_in: "interval" }, "expires_in"],
])("an idle time is not proposed without a doubt beside %s", (_what, columns, name) => {
  expect(proposeFor(columns).doubts).toEqual([expect.stringContaining(`${name} may decide whether a row ends`)]);
});

test("another expiry has to be checked, and one after which a row may still be used makes the proposal not ready", () => {
  expect(proposeFor({ expires_at: TZ, absolute_expires_at: TZ })).toMatchObject({
    checks: expect.arrayContaining(["does expires_at end a row, whatever absolute_expires_at says?"]),
    doubts: [],
  });
  expect(proposeFor({ expires_at: TZ, refresh_expires_at: TZ }).doubts).toEqual([
    "which of expires_at, refresh_expires_at ends a row? Name that one in expiresAt",
  ]);
});

test.each([
  ["tokens", { id: "bigint", ttl: "integer" }, false],
  ["tokens", { created_at: TZ, ttl: "integer" }, true],
  ["passcodes", { created_at: TZ, ttl: "integer" }, true],
  ["passlinks", { created_at: TZ, ttl: "integer" }, true],
])("whether a table %s with %j is worth a look: %s", (table, columns, expected) => {
  expect(isPromising(tableOf(columns, table))).toBe(expected);
});
