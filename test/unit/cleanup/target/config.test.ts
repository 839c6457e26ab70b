import { expect, test } from "vitest";
import { readSettings } from "../../../../src/cleanup/config.ts";
import { parseConfigFile } from "../../../../src/cleanup/config-file.ts";
import { parseCondition } from "../../../../src/cleanup/target/condition.ts";
import { aTime } from "../builders.ts";

const DAY_MS = 86_400_000;
const parse = (yaml: string) => parseConfigFile(yaml, "cleanup.yaml");

test("a target needs a table and what its rows die of; everything else has a default", () => {
  expect(parse("targets: [{ table: app.refresh_tokens, expiresAt: expires_at }]").targets).toEqual([
    {
      table: { schema: "app", table: "refresh_tokens" },
      name: "app.refresh_tokens",
      where: [],
      expiresAt: [aTime("expires_at")],
      retention: { expiredMs: 7 * DAY_MS, revokedMs: 7 * DAY_MS },
      never: [],
      audit: "summary",
      auditKeys: "hashed",
      cascade: [],
      firstRunMaxFraction: 0.5,
      confirm: [],
    },
  ]);
  expect(parse("targets: [{ table: app.t, revokedAt: gone_at }]").targets[0]?.expiresAt).toBeUndefined();
});

test.each([
  ["expires_at", [aTime("expires_at")]],
  ["'\"expiresAt\"'", [aTime("expiresAt")]],
  ["{ column: updated_at, plus: 30d }", [aTime("updated_at", { plusMs: 30 * DAY_MS })]],
  ["{ column: created_at, plusSeconds: expires_in }", [aTime("created_at", { plusSeconds: "expires_in" })]],
  ["[a, { column: b, plus: 1h }]", [aTime("a"), aTime("b", { plusMs: 3_600_000 })]],
])("the time %s is read", (yaml, times) => {
  expect(parse(`targets: [{ table: app.t, expiresAt: ${yaml}, revokedAt: ${yaml} }]`).targets[0]).toMatchObject({
    expiresAt: times,
    revokedAt: times,
  });
});

test("values that mean no time may be numbers or texts", () => {
  expect(
    parse("targets: [{ table: app.t, expiresAt: e, never: [253402300799, '9999-12-31', -1] }]").targets[0]?.never,
  ).toEqual([
    { type: "number", text: "253402300799" },
    { type: "text", text: "9999-12-31" },
    { type: "number", text: "-1" },
  ]);
});

test("rows that only a condition calls revoked have no retention, because nothing dates the revocation", () => {
  const [target] = parse("targets: [{ table: app.t, expiresAt: e, revoked: is_active = false }]").targets;
  expect(target?.revoked).toEqual(parseCondition("is_active = false"));
  expect(target?.retention.revokedMs).toBe(0);
});

test.each([
  ["{ table: tokens; drop table x, expiresAt: e }", '"tokens; drop table x" is not a table; write it as schema.table'],
  ["{ table: sessions, expiresAt: e }", '"sessions" is not a table; write it as schema.table'],
  ['{ table: "app.x\\"y", expiresAt: e }', "is not a table"],
  ["{ table: app.sessions, expiresAt: 'e; drop table x' }", '"e; drop table x" is not a column'],
  ["{ table: app.sessions, expiresAt: e, key: ['id)'] }", '"id)" is not a column'],
  ["{ table: app.sessions, expiresAt: e, revoked: '1=1; drop table x' }", "is not a condition"],
  ['{ table: app.sessions, expiresAt: e, revoked: "x = now()" }', "is not a condition"],
  ["{ table: app.sessions, expiresAt: e, revoked: \"x = 'a' or 'b'\" }", "is not a condition"],
  ["{ table: app.sessions, expiresAt: e, revoked: \"x = y or x = 'b'\" }", 'it goes wrong at "y"'],
  ["{ expiresAt: e }", "targets[0].table: is missing"],
  ["{ table: app.sessions }", "is missing; without it, name a time in revokedAt or a condition in revoked"],
  ["{ table: app.sessions, expiresAt: 5 }", "is not a time; write a column"],
  ["{ table: app.sessions, expiresAt: { column: a, plus: 30 days } }", "is not a time; write a column"],
  ["{ table: app.sessions, expiresAt: e, never: [true] }", "must be a number or a text"],
  ["{ table: app.sessions, expiresAt: e, where: 'a = 1 or b = 2' }", 'it goes wrong at "or"'],
  ["{ table: app.sessions, expiresAt: e, where: 'a = null' }", "write is null or is not null"],
  ["{ table: app.sessions, expiresAt: e, revoked: x = 1, retention: { revoked: 1d } }", "name the column in revokedAt"],
  ["{ table: app.sessions, expiresAt: e, retenton: { expired: 1d } }", 'Unrecognized key: "retenton"'],
  ["{ table: app.sessions, expiresAt: e, retention: { expired: 1 week } }", 'such as "7d"'],
  ["{ table: app.sessions, expiresAt: e, retention: { expired: 99999999d } }", "must be at most 36500d"],
  ["{ table: app.sessions, expiresAt: e, retention: { revoked: -1d } }", "must be a number of days"],
  ["{ table: app.sessions, expiresAt: e, maxFraction: 90 }", "maxFraction"],
  ["{ table: app.sessions, expiresAt: e, maxFraction: -1 }", "maxFraction"],
  ["{ table: app.sessions, expiresAt: e, epoch: minutes }", "must be seconds, milliseconds or microseconds"],
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
  [
    "targets: [{ table: app.t, expiresAt: e, where: a = 1, name: x }, { table: app.u, expiresAt: e, name: x }]",
    '"x" is the name of another target',
  ],
  [
    "targets: [{ table: app.t, expiresAt: e, where: a = 1 }, { table: app.t, expiresAt: e, where: a = 2 }]",
    '"app.t" is the name of another target',
  ],
  [
    "targets: [{ table: app.t, expiresAt: e, where: a = 1 }, { table: app.t, expiresAt: e, where: b = 2, name: x }]",
    "a row could belong to both",
  ],
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
