import { expect, test } from "vitest";
import { cleanupEnvironment, readCommandLine } from "../../../src/cleanup/config.ts";
import { readEnvironment } from "../../../src/runtime/config.ts";

const DATABASE_URL = "postgres://cleanup:secret@db/tokens";
const DAY_MS = 86_400_000;

test("DATABASE_URL alone is enough", () => {
  expect(readEnvironment(cleanupEnvironment, { DATABASE_URL })).toMatchObject({
    APITOKEN_CLEANUP_RETENTION_EXPIRED: 7 * DAY_MS,
    APITOKEN_CLEANUP_RETENTION_REVOKED: 7 * DAY_MS,
    APITOKEN_CLEANUP_AUDIT: "rows",
    APITOKEN_CLEANUP_AUDIT_RETENTION: 400 * DAY_MS,
    APITOKEN_CLEANUP_BATCH_TARGET: 100,
  });
  expect(readCommandLine({})).toEqual({
    isDryRun: false,
    output: "text",
    maxFraction: 0.9,
    maxDurationMs: undefined,
    maxRows: undefined,
  });
});

test.each([
  ["30d", 30 * DAY_MS],
  ["36h", 1.5 * DAY_MS],
  ["1h30m", 5_400_000],
  ["0s", 0],
])("a retention may be written as %s", (text, retentionMs) => {
  const settings = readEnvironment(cleanupEnvironment, { DATABASE_URL, APITOKEN_CLEANUP_RETENTION_REVOKED: text });
  expect(settings.APITOKEN_CLEANUP_RETENTION_REVOKED).toBe(retentionMs);
});

test.each([
  [{}, "DATABASE_URL is not set: say where the database is, as postgres://user:password@host:5432/database"],
  [{ DATABASE_URL: "mysql://u:hunter2@db" }, 'DATABASE_URL is set, but: must begin with "postgres://"'],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_RETENTION_EXPIRED: "a week" },
    'APITOKEN_CLEANUP_RETENTION_EXPIRED is "a week": must be a number of days such as "7d", or a duration such as "168h"',
  ],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_AUDIT: "all" },
    'APITOKEN_CLEANUP_AUDIT is "all": must be "rows", "summary" or "none"',
  ],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_AUDIT_RETENTION: "7d" },
    'APITOKEN_CLEANUP_AUDIT_RETENTION is "7d": must be at least 31d: whole months are dropped',
  ],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_LOCK_TIMEOUT: "0s" },
    'APITOKEN_CLEANUP_LOCK_TIMEOUT is "0s": must be from 1ms to 500h',
  ],
])("%j is refused", (environment, message) => {
  expect(() => readEnvironment(cleanupEnvironment, environment)).toThrow(message);
});

test("a refusal tells no password", () => {
  const read = () => readEnvironment(cleanupEnvironment, { DATABASE_URL: "mysql://u:hunter2@db" });
  expect(read).not.toThrow("hunter2");
});

test.each([
  [{ output: "yaml" }, '--output is "yaml": must be "text" or "json"'],
  [{ "max-fraction": "90" }, '--max-fraction is "90": must be a number from 0 to 1, such as "0.9"'],
  [{ "max-fraction": "1.5" }, '--max-fraction is "1.5": must be a number from 0 to 1, such as "0.9"'],
  [{ "max-fraction": "" }, '--max-fraction is "": must be a number from 0 to 1, such as "0.9"'],
  [{ "max-duration": "0s" }, '--max-duration is "0s": must be from 1ms to 500h, such as 30m'],
  [{ "max-duration": "9999h" }, '--max-duration is "9999h": must be from 1ms to 500h, such as 30m'],
  [{ "max-duration": "soon" }, '--max-duration is "soon": "soon" is not a duration'],
])("%j is refused", (options, message) => {
  expect(() => readCommandLine(options)).toThrow(message);
});
