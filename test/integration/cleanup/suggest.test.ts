import { readdirSync } from "node:fs";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { Suggestion } from "../../../src/cleanup/suggest/format.ts";
import { listPresetTables, recogniseSystems } from "../../../src/cleanup/suggest/systems.ts";
import { findCandidates } from "../../../src/postgres/cleanup/candidates.ts";
import type { Queryable } from "../../../src/postgres/database.ts";
import { createLogin, createTestDatabase, type TestLogin } from "../../support/database.ts";
import { type FinishedProgram, runCleanup } from "./program.ts";
import type { RealSystem } from "./systems/system.ts";
import { execute, writeConfig } from "./team-table.ts";

/** As many rows: `expiry` is SQL with n; a third of them is dead and past any retention. */
const fill = (table: string, columns: string, expiry: string, rest = "") =>
  `insert into app.${table} (id, ${columns}) select n, ${expiry}${rest} from generate_series(1, 90) n`;

const MOMENT = "(now() + (n - 30) * interval '1 day')";

const TABLES = [
  "create schema app",
  `create table app.sessions (id bigint primary key, "expiresAt" timestamptz not null, updated_at timestamp, session_id text, data text default 'the secret')`,
  fill("sessions", '"expiresAt"', MOMENT),
  "create table app.access_tokens (id bigint primary key, expires bigint not null default 0, revoked_at timestamptz)",
  fill("access_tokens", "expires", `case when n > 80 then 0 else floor(extract(epoch from ${MOMENT}) * 1000) end`),
  "create table app.otp (id bigint primary key, valid_until timestamp)",
  fill("otp", "valid_until", `case when n % 9 = 0 then '1970-01-01' else ${MOMENT} at time zone 'UTC' end`),
  "create table app.login_challenges (id bigint primary key, created_at timestamptz, expires_in integer)",
  fill("login_challenges", "created_at, expires_in", MOMENT, ", 3600"),
  "create table app.web_session (id bigint primary key, last_activity integer)",
  fill("web_session", "last_activity", `extract(epoch from ${MOMENT} - interval '40 days')`),
  "create table app.device_sessions (id bigint primary key, expires_at timestamptz)",
  "create table app.device_tokens (id bigint primary key, session bigint references app.device_sessions on delete cascade, expires_at timestamptz)",
  "create index on app.device_tokens (session)",
  fill("device_sessions", "expires_at", MOMENT),
  // Not ready: rows of another kind would go, too; the unit is unknown; several expiries; a refresh token; nobody may read it.
  "create table app.user_sessions (id bigint primary key, expires_at timestamptz)",
  "create table app.messages (session bigint references app.user_sessions on delete cascade)",
  fill("user_sessions", "expires_at", MOMENT),
  "create table app.empty_tokens (id bigint primary key, exp bigint)",
  "create table app.token_pairs (id bigint primary key, access_token_expires_at timestamptz, refresh_token_expires_at timestamptz)",
  "create table app.oauth_tokens (id bigint primary key, expires_at timestamptz, refresh_token text)",
  "create table app.no_right_tokens (id bigint primary key, expires_at timestamptz)",
  "create domain app.moment as timestamptz",
  "create domain app.end_of_token as app.moment check (value > '2000-01-01')",
  "create domain app.yes as boolean",
  "create type app.life as enum ('session', 'permanent')",
  "create table app.domain_tokens (id bigint primary key, ends app.life, is_active app.yes, mark char, pair char(2), expiration_time app.end_of_token)",
  fill("domain_tokens", "expiration_time", MOMENT),
  // Rows that never expire: a boolean says so.
  "create table app.core_token (id bigint primary key, expires timestamptz, expiring boolean not null)",
  fill("core_token", "expires, expiring", MOMENT, ", n % 2 = 0"),
  "create table app.key_tokens (id bigint primary key, expires timestamptz, active boolean)",
  // Something else.
  "create table app.coupons (id bigint primary key, valid_until date)",
  "create table app.token_types (id bigint primary key, expires_in integer)",
  "create table app.parts_session (id bigint, expires_at timestamptz) partition by range (expires_at)",
  "create table app.parts_session_1 partition of app.parts_session for values from ('2026-01-01') to ('2099-01-01')",
  // A well-known system, in a schema of its own.
  'create schema "Site"',
  'create table "Site".django_session (session_key varchar(40) primary key, session_data text, expire_date timestamptz not null)',
  'grant usage on schema "Site" to apitoken_cleanup',
  'grant select, update, delete on "Site".django_session to apitoken_cleanup',
  "create schema hidden",
  "create table hidden.sessions (id bigint primary key, expires_at timestamptz)",
  "grant usage on schema app to apitoken_cleanup",
  "grant select, update, delete on all tables in schema app to apitoken_cleanup",
  "revoke all on app.no_right_tokens, app.domain_tokens from apitoken_cleanup",
] as const;

let url: string;
let login: TestLogin;
let printed: FinishedProgram;
let json: { suggestions: Suggestion[]; others: string[]; notLookedAt: string[] };

beforeAll(async () => {
  url = await createTestDatabase();
  await execute(url, ...TABLES);
  login = await createLogin(url, "apitoken_cleanup");
  await execute(
    url,
    `grant usage on schema app to ${login.name}`,
    `grant select on app.no_right_tokens, app.domain_tokens to ${login.name}`,
  );
  printed = await runCleanup(login.url, ["suggest"]);
  json = JSON.parse((await runCleanup(login.url, ["suggest", "-o", "json"])).stdout);
}, 120_000);

afterAll(() => login && execute(url, `drop owned by ${login.name}`, `drop role ${login.name}`));

const find = (table: string) => json.suggestions.find(({ tables }) => tables.includes(table));

test("what it prints is YAML that validate accepts as it is, and nothing is written", async () => {
  expect(printed.exitCode).toBe(0);
  expect(printed.stderr).toBe("");
  const { targets } = parse(printed.stdout);
  expect(targets).toEqual([
    { preset: "django-sessions", schema: '"Site"' },
    { table: "app.access_tokens", expiresAt: "expires", revokedAt: "revoked_at", epoch: "milliseconds" },
    { table: "app.core_token", where: "expiring = true", expiresAt: "expires" },
    { table: "app.device_sessions", expiresAt: "expires_at", cascade: ["app.device_tokens"] },
    { table: "app.device_tokens", expiresAt: "expires_at" },
    { table: "app.login_challenges", expiresAt: { column: "created_at", plusSeconds: "expires_in" } },
    { table: "app.otp", expiresAt: "valid_until", never: ["1970-01-01 00:00:00"], timezone: "UTC" },
    { table: "app.parts_session", expiresAt: "expires_at" },
    { table: "app.sessions", expiresAt: '"expiresAt"' },
    { table: "app.web_session", expiresAt: { column: "last_activity", plus: "30d" }, epoch: "seconds" },
  ]);
  const validated = await runCleanup(login.url, ["validate", "--config", writeConfig(printed.stdout)]);
  expect(validated.stdout).not.toContain("error:");
  expect(validated.exitCode).toBe(0);
  const [{ runs }] = (await runAsSuperuser(url, "select count(*)::integer as runs from apitoken.cleanup_runs")) as [
    { runs: number },
  ];
  expect(runs).toBe(0);
  expect(printed.stdout).not.toContain("the secret");
});

test("the tables of a well-known system get its preset", () => {
  expect(find('"Site".django_session')).toMatchObject({
    reasons: [expect.stringContaining("has session_key, session_data, expire_date, as in Django")],
    doubts: [],
  });
});

test("a preset that would ignore an expiry is not ready, and the table is proposed with its expiry", () => {
  expect(json.suggestions.filter(({ tables }) => tables.includes("app.sessions"))).toMatchObject([
    {
      target: { preset: "rails-session-store", schema: "app" },
      doubts: ["app.sessions has expiresAt, which looks like an expiry and which this preset ignores"],
    },
    { target: { table: "app.sessions", expiresAt: '"expiresAt"' }, doubts: [] },
  ]);
});

test("each proposal has its reasons, and what has to be checked", () => {
  expect(find("app.access_tokens")).toMatchObject({
    doubts: [],
    reasons: [
      'its name has "token" in it; expires looks like an expiry, revoked_at looks like a revocation',
      expect.stringMatching(/^expires, in 90 rows: 80 times from .* to .*, in milliseconds, 10 that mean no time/),
      expect.stringContaining("revoked_at, in 90 rows: no times, 90 null"),
    ],
  });
  expect(find("app.otp")?.checks).toEqual([
    expect.stringMatching(/^never: do these values mean that there is no time/),
    "timezone: does the application write valid_until in UTC?",
  ]);
  expect(find("app.web_session")?.checks).toEqual(["plus: after how long without use is a row dead? 30d is a guess"]);
  expect(printed.stdout).toContain("  # CHECK timezone: does the application write valid_until in UTC?\n");
});

describe("what is not ready is commented out, with the reason", () => {
  test.each([
    [
      "app.user_sessions",
      "rows of app.messages would go, too, and it does not look like tokens or sessions: may they?",
    ],
    [
      "app.key_tokens",
      'active may decide whether a row ends with expires: if so, add where: "active = true" or where: "active = false", whichever is true of the rows that end',
    ],
    ["app.empty_tokens", "exp: there are no values that show whether it counts seconds, milliseconds or microseconds"],
    [
      "app.token_pairs",
      "which of access_token_expires_at, refresh_token_expires_at ends a row? Name that one in expiresAt",
    ],
    [
      "app.oauth_tokens",
      "rows have a refresh token, too (refresh_token), which may be valid for longer than expires_at says",
    ],
    [
      "app.no_right_tokens",
      'the role lacks rights: grant select, delete, update ("id") on "app"."no_right_tokens" to apitoken_cleanup',
    ],
  ])("%s", (table, doubt) => {
    expect(find(table)?.doubts).toContain(doubt);
    expect(printed.stdout).toContain(`  # NOT READY: ${doubt}\n`);
    expect(printed.stdout).toContain(`  # - table: ${table}\n`);
  });
});

test("a column whose type is a domain is what its values are, and an enum is known by its labels", () => {
  expect(find("app.domain_tokens")).toMatchObject({
    target: { expiresAt: "expiration_time" },
    reasons: [expect.anything(), expect.stringMatching(/^expiration_time, in 90 rows: 90 times/)],
    checks: [expect.stringContaining("what does mark mean?")],
    doubts: expect.arrayContaining([
      expect.stringContaining("is_active may decide whether a row ends with expiration_time"),
      expect.stringContaining("ends can be 'permanent'"),
    ]),
  });
});

test("tables that look like something else are named, and hidden ones, partitions and settings are not", () => {
  expect(json.others).toEqual(["app.coupons (valid_until)"]);
  expect(printed.stdout).toContain(
    "# Have an expiry, and do not look like tokens or sessions: app.coupons (valid_until)\n",
  );
  for (const name of ["hidden.sessions", "parts_session_1", "token_types", "apitoken.tokens"])
    expect(printed.stdout).not.toContain(name);
});

test("each system for which there is a preset is recognised by the tables that it creates", async () => {
  const files = readdirSync(new URL("systems", import.meta.url)).filter((file) => file !== "system.ts");
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  const db = { query: async (query: { text: string }) => (await client.query(query)).rows } as unknown as Queryable;
  try {
    for (const file of files) {
      const [system] = Object.values(await import(`./systems/${file}`)) as [RealSystem];
      const preset = /preset: ([\w-]+)/.exec(system.config)?.[1];
      if (preset === undefined) continue;
      await client.query(`begin; drop schema app cascade; drop schema "Site" cascade; ${system.ddl}`);
      const found = recogniseSystems(await findCandidates(db, listPresetTables()));
      await client.query("rollback");
      expect(
        found.map(({ target, doubts }) => [target.preset, ...doubts]),
        system.name,
      ).toEqual([[preset]]);
    }
  } finally {
    await client.end();
  }
});

test("an empty database gets an empty list", async () => {
  const empty = await createTestDatabase();
  const { exitCode, stdout } = await runCleanup(empty, ["suggest"]);
  expect(exitCode).toBe(0);
  expect(parse(stdout)).toEqual({ targets: [] });
  expect(stdout).toContain("# No table that the role or the login may read looks like tokens or sessions.\n");
  expect(stdout).toContain("# To look at tables without grants, let DATABASE_URL name a login that may read them");
});
