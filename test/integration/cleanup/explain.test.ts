import { beforeAll, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import { execute, GRANT_APP, writeConfig } from "./team-table.ts";

let url: string;

const YAML = `
targets:
  - table: app.sessions
    where: "kind = 'web'"
    expiresAt: [{ column: used_at, plus: 30d }, { column: created_at, plusSeconds: lifetime }]
    revokedAt: revoked_at
    revoked: "state <> 'open'"
    retention: { expired: 7d, revoked: 1d }
    cascade: [app.devices]
    auditKeys: plain
  - table: app.sessions
    name: robots
    where: "kind = 'bot'"
    expiresAt: created_at
    timezone: UTC
    audit: none
    cascade: [app.devices]
  - table: app.pairs
    expiresAt: expires_at
    epoch: seconds
    audit: rows
    firstRunMaxFraction: 1
`;

beforeAll(async () => {
  url = await createTestDatabase();
  await execute(
    url,
    "create schema app",
    `create table app.sessions (id bigint primary key, kind text, secret text default 'the secret', created_at timestamptz,
       used_at timestamptz, lifetime integer, state text default 'open', revoked_at timestamptz, parent bigint references app.sessions on delete cascade)`,
    "create table app.devices (id bigint primary key, session bigint references app.sessions on delete cascade)",
    "create table app.usage (device bigint references app.devices)",
    `insert into app.sessions (id, kind, created_at, used_at, lifetime, state, revoked_at, parent) values
       (1, 'web', '2020-01-01Z', null, 60, 'open', null, null),
       (2, 'web', '2020-01-01Z', now(), 60, 'open', null, null),
       (3, 'web', '2020-01-01Z', 'infinity', 60, 'open', null, null),
       (4, 'web', '2020-01-01Z', null, null, 'open', '2020-01-01Z', null),
       (5, 'web', '2020-01-01Z', null, null, 'closed', now() - interval '1 hour', null),
       (6, 'web', '2020-01-01Z', now() - interval '31 days', null, 'open', null, null),
       (7, 'web', '2020-01-01Z', null, 60, 'open', null, null),
       (8, 'web', '2020-01-01Z', null, 60, 'open', null, null),
       (9, 'web', '2020-01-01Z', now(), null, 'open', null, 8),
       (10, 'tv', '2020-01-01Z', null, 60, 'open', null, null),
       (11, 'bot', '2020-01-01Z', null, 60, 'open', null, null)`,
    "insert into app.devices values (70, 7)",
    "insert into app.usage values (70)",
    "create table app.pairs (name text, place bigint, expires_at bigint, primary key (name, place))",
    "insert into app.pairs values ('a', 9007199254740993, 1600000000), ('b', 1, 0)",
    ...GRANT_APP,
  );
});

const explain = (table: string, key: string, ...args: string[]) =>
  runCleanup(url, ["explain", "--config", writeConfig(YAML), "--table", table, "--key", key, ...args]);

test.each([
  [
    "a row that is due",
    "1",
    [
      "app.sessions 1",
      "  due",
      '    expiresAt: "created_at" is 2020-01-01 00:00:00+00, plus 60 seconds from "lifetime": it expired at 2020-01-01 00:01:00 UTC; the retention is 7d',
      '    not revoked: "state" <> \'open\' is not met: it is "open"',
      "    The next run deletes it; it is due since 2020-01-08 00:01:00 UTC.",
    ],
  ],
  [
    "a live row, by the first time that is set",
    "2",
    [
      /^ {2}live$/,
      /"used_at" is .*, plus 30d: it expires at/,
      /^ {4}The first run after .* deletes it, if nobody changes it\.$/,
    ],
  ],
  [
    "a row whose time means never",
    "3",
    [
      /^ {2}live, without an expiry$/,
      /"used_at" is infinity, plus 30d, which means that it never expires/,
      /^ {4}No run deletes it as it is now\.$/,
    ],
  ],
  [
    "a row with a time of revocation whose condition is not met",
    "4",
    [
      /^ {2}live, without an expiry$/,
      /no expiry: "used_at" is null and "created_at" is null|no expiry/,
      /not revoked: "state" <> 'open' is not met/,
    ],
  ],
  [
    "a revoked row",
    "5",
    [
      /^ {2}revoked$/,
      /revoked: "state" <> 'open' is met and revokedAt: "revoked_at" is .*: it was revoked at .*; the retention is 1d/,
      /^ {4}The first run after .* deletes it\.$/,
    ],
  ],
  [
    "an expired row within its retention",
    "6",
    [/^ {2}expired$/, /plus 30d: it expired at/, /^ {4}The first run after/],
  ],
  [
    "a row that something refers to behind a cascade",
    "7",
    [
      /^ {2}held$/,
      /held: rows of app\.devices \(session\) would go with it by "devices_session_fkey", on delete cascade/,
      /runs count it as held/,
    ],
  ],
  [
    "a row of which another one is live",
    "8",
    [/^ {2}held$/, /held: rows of the same table would go with it by "sessions_parent_fkey"/],
  ],
  [
    "a row of no target",
    "10",
    [
      /^ {2}not a row of the target$/,
      /"kind" = 'web' is not met: it is "tv"/,
      /This target never deletes it/,
      /^ {2}target robots: not a row of the target$/,
    ],
  ],
])("%s is explained by its rule", async (_what, key, expected) => {
  const { exitCode, stdout } = await explain("app.sessions", key);
  expect(exitCode).toBe(0);
  expect(stdout).not.toContain("the secret");
  const lines = stdout.split("\n");
  for (const part of expected) {
    if (typeof part === "string") expect(lines).toContain(part);
    else expect(lines).toContainEqual(expect.stringMatching(part));
  }
});

test("a target's name asks for this target alone; JSON has what the text is made from", async () => {
  const { exitCode, stdout } = await explain("robots", "11", "-o", "json");
  expect(exitCode).toBe(0);
  expect(JSON.parse(stdout)).toEqual({
    table: "app.sessions",
    key: "11",
    isFound: true,
    targets: [
      {
        name: "robots",
        state: "due",
        because: [expect.stringContaining('"created_at" is 2020-01-01 00:00:00+00: it expired at')],
        goesAt: "2020-01-08 00:00:00+00",
        goes: "The next run deletes it; it is due since 2020-01-08 00:00:00 UTC.",
      },
    ],
    cleaned: [],
    trail: "it has keys only of targets with audit: rows",
  });
});

test("a key of several columns is a JSON array; after a run the audit trail knows it, although it has only a hash", async () => {
  const key = '["a", 9007199254740993]';
  const before = await explain("app.pairs", key);
  expect(before.stdout).toContain('\n  due\n    expiresAt: "expires_at" is 1600000000: it expired at 2020-09-13');
  const never = await explain("app.pairs", '["b", "1"]');
  expect(never.stdout).toContain('"expires_at" is 0, which means that it never expires');

  expect((await runCleanup(url, ["--config", writeConfig(YAML)])).stdout).toContain("app.pairs");
  const after = await explain("app.pairs", '["a",9007199254740993]');
  expect(after.exitCode).toBe(0);
  expect(after.stdout).toMatch(
    /there is no such row\n {2}the audit trail: run \d+ deleted a row with this key at .* UTC, because it was expired\n/,
  );
});

test("a token of our own is explained too, and a key that nobody knows ends with 1", async () => {
  const { exitCode, stdout } = await explain("apitoken.tokens", "Ab3dEf6hIj9k");
  expect(exitCode).toBe(1);
  expect(stdout).toBe(
    "apitoken.tokens Ab3dEf6hIj9k\n  there is no such row\n  the audit trail knows no such key; it has the keys of rows that were deleted while audit was rows\n",
  );
});

test.each([
  ["no table", ["--key", "1"], "explain needs --table"],
  ["no key", ["--table", "app.sessions"], "explain needs --key"],
  [
    "a table of no target",
    ["--table", "app.usage", "--key", "1"],
    "no target has this name or table; the targets are apitoken.tokens, app.sessions, robots, app.pairs",
  ],
  [
    "a key of another type",
    ["--table", "app.sessions", "--key", "x"],
    '--key is not a key of app.sessions (id): invalid input syntax for type bigint: "x"',
  ],
  [
    "one value for two columns",
    ["--table", "app.pairs", "--key", '["a"]'],
    "it must be a JSON array with a value for each of name, place",
  ],
  [
    "no JSON",
    ["--table", "app.pairs", "--key", "a, 1"],
    "--key is not a key of app.pairs (name, place): invalid input syntax for type json",
  ],
])("%s is refused with exit code 2", async (_fault, args, message) => {
  const { exitCode, stderr } = await runCleanup(url, ["explain", "--config", writeConfig(YAML), ...args]);
  expect(stderr).toContain(message);
  expect(exitCode).toBe(2);
});
