import { expect, test } from "vitest";
import { cleanupCommand } from "../../../src/cleanup/command.ts";
import { readCleanupConfig } from "../../../src/cleanup/config.ts";
import { cleanupEnvironment } from "../../../src/cleanup/settings.ts";
import { findCall } from "../../../src/runtime/command/parse.ts";
import { readEnvironment } from "../../../src/runtime/config.ts";

const DATABASE_URL = "postgres://cleanup:secret@db/tokens";
const DAY_MS = 86_400_000;

test("DATABASE_URL alone is enough", () => {
  expect(readCleanupConfig({}, { DATABASE_URL })).toEqual({
    databaseLogin: { url: DATABASE_URL, passwordFile: undefined },
    logLevel: "info",
    retention: { expiredMs: 7 * DAY_MS, revokedMs: 7 * DAY_MS },
    audit: "rows",
    auditRetentionMs: 400 * DAY_MS,
    batchTargetMs: 100,
    lockTimeoutMs: 2_000,
    statementTimeoutMs: 300_000,
    pressureLimits: { replicaLagMs: 10_000, waiters: 0, walBytesPerSecond: undefined },
    busyShare: 0.05,
    pushgatewayUrl: undefined,
    textfilePath: undefined,
    targets: [],
    isDryRun: false,
    maxFraction: 0.9,
    maxDurationMs: undefined,
    maxRows: undefined,
  });
});

test.each([[[]], [["run"]]])("the command line %j runs once, with the options' defaults", (args) => {
  expect(findCall(cleanupCommand, args)).toMatchObject({
    kind: "run",
    options: {
      "dry-run": false,
      "max-fraction": 0.9,
      "max-duration": undefined,
      "max-rows": undefined,
      schedule: undefined,
      output: "text",
    },
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
  [{ DATABASE_URL: "mysql://u:hunter2@db" }, 'DATABASE_URL is invalid: it must begin with "postgres://"'],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_RETENTION_EXPIRED: "a week" },
    'APITOKEN_CLEANUP_RETENTION_EXPIRED is "a week": must be a number of days such as "7d", or a duration such as "168h"',
  ],
  [{ DATABASE_URL, APITOKEN_CLEANUP_AUDIT: "all" }, 'APITOKEN_CLEANUP_AUDIT is "all": must be rows, summary or none'],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_AUDIT_RETENTION: "7d" },
    'APITOKEN_CLEANUP_AUDIT_RETENTION is "7d": must be at least 31d: whole months are dropped',
  ],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_LOCK_TIMEOUT: "0s" },
    'APITOKEN_CLEANUP_LOCK_TIMEOUT is "0s": must be from 1ms to 500h',
  ],
  ...["99999999d", "36501d", "9999999h9999999h", `${"9".repeat(400)}d`].map(
    (retention): [Record<string, string>, string] => [
      { DATABASE_URL, APITOKEN_CLEANUP_RETENTION_EXPIRED: retention },
      `APITOKEN_CLEANUP_RETENTION_EXPIRED is "${retention}": must be at most 36500d (a hundred years)`,
    ],
  ),
  [{ DATABASE_URL, APITOKEN_CLEANUP_RETENTION_REVOKED: "-1d" }, 'RETENTION_REVOKED is "-1d": must be a number of days'],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_AUDIT_RETENTION: "999999999999d" },
    'APITOKEN_CLEANUP_AUDIT_RETENTION is "999999999999d": must be at most 36500d',
  ],
  ...["0KiB", "99999999999GiB", "1.5GiB", "64MB"].map((rate): [Record<string, string>, string] => [
    { DATABASE_URL, APITOKEN_CLEANUP_MAX_WAL_RATE: rate },
    `APITOKEN_CLEANUP_MAX_WAL_RATE is "${rate}": must be a number of bytes from "1KiB" to "1024GiB"`,
  ]),
  [
    { DATABASE_URL, APITOKEN_CLEANUP_MAX_WAITERS: "99999999" },
    'APITOKEN_CLEANUP_MAX_WAITERS is "99999999": must be a whole number from 0 to 10000',
  ],
  [
    { DATABASE_URL, APITOKEN_CLEANUP_STATEMENT_TIMEOUT: "9999999h" },
    'APITOKEN_CLEANUP_STATEMENT_TIMEOUT is "9999999h": must be from 1s to 500h',
  ],
] as [Record<string, string>, string][])("%j is refused", (environment, message) => {
  expect(() => readEnvironment(cleanupEnvironment, environment)).toThrow(message);
});

test("an error contains no password", () => {
  const read = () => readEnvironment(cleanupEnvironment, { DATABASE_URL: "mysql://u:hunter2@db" });
  expect(read).not.toThrow("hunter2");
});

test.each([
  [["--output", "yaml"], '--output is "yaml": must be text or json'],
  [["--max-fraction", "90"], '--max-fraction is "90": must be a number from 0 to 1, such as "0.9"'],
  [["--max-fraction", "1.5"], '--max-fraction is "1.5": must be a number from 0 to 1, such as "0.9"'],
  [["--max-fraction", ""], "--max-fraction needs a value"],
  [["--max-duration", "0s"], '--max-duration is "0s": must be from 1ms to 500h, such as 30m'],
  [["--max-duration", "9999h"], '--max-duration is "9999h": must be from 1ms to 500h, such as 30m'],
  [["--max-rows", "0"], '--max-rows is "0": must be a whole number from 1 to 9007199254740991'],
  [["--max-rows", "1e9"], '--max-rows is "1e9": must be a whole number from 1 to 9007199254740991'],
  [["--max-rows", "99999999999999999999"], "must be a whole number from 1 to 9007199254740991"],
  [["--max-duration", "soon"], '--max-duration is "soon": "soon" is not a duration'],
  [["--timezone", "UTC"], "--timezone needs --schedule"],
  [["stats", "--dry-run"], "--dry-run is valid only with run"],
  [["stats", "--max-fraction", "1"], "--max-fraction is valid only with run or validate"],
  [["validate", "--max-rows", "5"], "--max-rows is valid only with run"],
  [["--rows", "5"], "--rows is valid only with demo-table"],
  [["stats", "now"], 'unexpected argument "now" after stats'],
  [["demo-table"], "missing argument TABLE"],
  [["demo-table", "app.demo", "--rows", "0"], '--rows is "0": must be a whole number from 1 to 1000000000'],
  [["demo-table", "app.demo", "--dead", "2"], '--dead is "2": must be a number from 0 to 1, such as "0.5"'],
])("the command line %j is refused", (args, fault) => {
  expect(findCall(cleanupCommand, args)).toMatchObject({ kind: "faults", faults: [expect.stringContaining(fault)] });
});
