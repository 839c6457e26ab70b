import { expect, test } from "vitest";
import { readSettings } from "../../../src/cleanup/config.ts";
import { parseConfigFile } from "../../../src/cleanup/config-file.ts";

const DAY_MS = 86_400_000;
const parse = (yaml: string) => parseConfigFile(yaml, "cleanup.yaml");

test("a target needs a table and its expiry column; everything else has a default", () => {
  expect(parse("targets: [{ table: app.refresh_tokens, expiresAt: expires_at }]").targets).toEqual([
    {
      table: { schema: "app", table: "refresh_tokens" },
      expiresAt: "expires_at",
      retention: { expiredMs: 7 * DAY_MS, revokedMs: 7 * DAY_MS },
      audit: "summary",
    },
  ]);
});

test("rows that only a comparison calls revoked have no retention, because nothing dates the revocation", () => {
  const [target] = parse("targets: [{ table: app.t, expiresAt: e, revoked: is_active = false }]").targets;
  expect(target?.revoked).toEqual({ column: "is_active", equals: false });
  expect(target?.retention.revokedMs).toBe(0);
});

test.each([
  ["{ table: tokens; drop table x, expiresAt: e }", '"tokens; drop table x" is not a table; write it as schema.table'],
  ["{ table: sessions, expiresAt: e }", '"sessions" is not a table; write it as schema.table'],
  ['{ table: "app.x\\"y", expiresAt: e }', "is not a table"],
  ["{ table: app.sessions, expiresAt: 'e; drop table x' }", '"e; drop table x" is not a column'],
  ["{ table: app.sessions, expiresAt: e, key: ['id)'] }", '"id)" is not a column'],
  ["{ table: app.sessions, expiresAt: e, revoked: '1=1; drop table x' }", "is not a comparison"],
  ['{ table: app.sessions, expiresAt: e, revoked: "x = now()" }', "is not a comparison"],
  ["{ table: app.sessions, expiresAt: e, revoked: \"x = 'a' or 'b'\" }", "is not a comparison"],
  ["{ table: app.sessions, expiresAt: e, revoked: \"x = y or x = 'b'\" }", "is not a column"],
  ["{ table: app.sessions, expiresAt: e, revoked: x = 1, retention: { revoked: 1d } }", "name the column in revokedAt"],
  ["{ table: app.sessions, expiresAt: e, retenton: { expired: 1d } }", 'Unrecognized key: "retenton"'],
  ["{ table: app.sessions, expiresAt: e, retention: { expired: 1 week } }", 'such as "7d"'],
  ["{ table: app.sessions, expiresAt: e, retention: { expired: 99999999d } }", "must be at most 36500d"],
  ["{ table: app.sessions, expiresAt: e, retention: { revoked: -1d } }", "must be a number of days"],
  [
    "{ table: app.sessions, expiresAt: e, revoked: x = 9007199254740993 }",
    "too large a number to be compared with exactly",
  ],
  ["{ table: app.sessions, expiresAt: e, maxFraction: 90 }", "maxFraction"],
  ["{ table: app.sessions, expiresAt: e, maxFraction: -1 }", "maxFraction"],
  ["{ table: app.sessions, expiresAt: e, epoch: minutes }", "must be seconds or milliseconds"],
  ["{ table: apitoken.security_events, expiresAt: occurred_at }", "this program's own schema"],
  ["{ table: pg_catalog.pg_class, expiresAt: e }", "is Postgres' own"],
  [`{ table: app.${"x".repeat(64)}, expiresAt: e }`, "names in Postgres have at most 63 bytes"],
])("the target %s is refused, and the message names place and fault", (yaml, message) => {
  expect(() => parse(`targets: [${yaml}]`)).toThrow(message);
  expect(() => parse(`targets: [${yaml}]`)).toThrow("cleanup.yaml: targets[0]");
});

test.each([
  ["targets: [", "cleanup.yaml: "],
  ["targets: [{ table: app.t, expiresAt: e }, { table: APP.T, expiresAt: e }]", "app.t is listed twice"],
  ["tables: []", 'Unrecognized key: "tables"'],
])("the file %s is refused", (yaml, message) => {
  expect(() => parse(yaml)).toThrow(message);
});

test("settings of the file apply unless the environment overrides them", () => {
  const file = parse("settings: { APITOKEN_CLEANUP_BATCH_TARGET: 50ms, APITOKEN_CLEANUP_MAX_WAITERS: 3 }");
  const settings = readSettings({ DATABASE_URL: "postgres://db", APITOKEN_CLEANUP_MAX_WAITERS: "5" }, file);
  expect(settings).toMatchObject({ APITOKEN_CLEANUP_BATCH_TARGET: 50, APITOKEN_CLEANUP_MAX_WAITERS: 5 });
});

test.each(["DATABASE_URL", "APITOKEN_CLEANUP_BATCHES", "toString"])("the file may not set %s", (name) => {
  const file = parse(`settings: { ${name}: x }`);
  expect(() => readSettings({ DATABASE_URL: "postgres://db" }, file)).toThrow(`settings.${name}`);
});
