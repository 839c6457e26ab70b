import { expect, test } from "vitest";
import { SIGNATURES } from "../../../../src/cleanup/suggest/signatures.ts";
import { recogniseSystems } from "../../../../src/cleanup/suggest/systems.ts";
import { configFileSchema } from "../../../../src/cleanup/target/config.ts";
import { PRESETS } from "../../../../src/cleanup/target/presets.ts";
import type { CandidateTable } from "../../../../src/postgres/cleanup/candidates.ts";

const TIMESTAMP = "timestamp without time zone";

const tableOf = (table: string, columns: Readonly<Record<string, string>>): CandidateTable => ({
  schema: "public",
  table,
  columns: Object.entries(columns).map(([name, type]) => ({ name, type })),
  mayRead: true,
  bytes: 0,
});

const recognise = (table: CandidateTable) =>
  recogniseSystems([table]).map(({ target, doubts }) => ({ preset: target.preset, doubts }));

const RAILS = { id: "bigint", session_id: "text", data: "text", created_at: TIMESTAMP, updated_at: TIMESTAMP };

const NEXTCLOUD = {
  ...{ login_name: "text", password: "text", token: "text", private_key: "text", public_key: "text" },
  ...{ uid: "character varying", type: "smallint", remember: "smallint", version: "smallint" },
  ...{ last_activity: "integer", expires: "integer" },
};

const DISCOURSE = {
  ...{ user_id: "integer", rotated_at: TIMESTAMP, impersonation_expires_at: TIMESTAMP },
  ...{ auth_token: "text", prev_auth_token: "text", auth_token_seen: "boolean", seen_at: TIMESTAMP },
};

const CODES = ["access_token", "authorization_code", "device_code", "refresh_token", "oidc_id_token", "user_code"];
const SPRING = {
  ...{ principal_name: "character varying", refresh_token_value: "text", access_token_value: "text" },
  ...{ registered_client_id: "text", authorization_grant_type: "text", refresh_token_metadata: "text" },
  ...Object.fromEntries(CODES.map((code) => [`${code}_expires_at`, TIMESTAMP])),
};

test.each([
  ["rails-session-store", tableOf("sessions", RAILS)],
  ["nextcloud", tableOf("oc_authtoken", NEXTCLOUD)],
  ["discourse", tableOf("user_auth_tokens", DISCOURSE)],
  ["spring-authorization-server", tableOf("oauth2_authorization", SPRING)],
])("the tables of %s are recognised, without a doubt", (preset, table) => {
  expect(recognise(table)).toEqual([{ preset, doubts: [] }]);
});

test.each([
  ["expires_at", TIMESTAMP],
  ["session_expires_at", "timestamp with time zone"],
  ["validUntil", "bigint"],
])("a preset is not ready for a table with the column %s, which it would ignore", (column, type) => {
  const table = tableOf("sessions", { ...RAILS, [column]: type });
  expect(recognise(table)).toEqual([
    {
      preset: "rails-session-store",
      doubts: [`public.sessions has ${column}, which looks like an expiry and which this preset ignores`],
    },
  ]);
});

test("a column with the name of an expiry that cannot hold a time does not count", () => {
  const table = tableOf("sessions", { ...RAILS, expires_at: "text" });
  expect(recognise(table)).toEqual([{ preset: "rails-session-store", doubts: [] }]);
});

test("the reason names the columns by which a system is known", () => {
  expect(recogniseSystems([tableOf("sessions", RAILS)])[0]?.reasons).toEqual([
    "public.sessions has session_id, data, updated_at, as in activerecord-session_store 2",
  ]);
});

test("tables with a common name and common columns are not those of a system", () => {
  const common = { id: "uuid", user_id: "uuid", created_at: TIMESTAMP, updated_at: TIMESTAMP, last_used: TIMESTAMP };
  const ends = {
    expires: TIMESTAMP,
    expire: TIMESTAMP,
    expiry: TIMESTAMP,
    expires_at: TIMESTAMP,
    last_activity: "integer",
  };
  const names = ["sessions", "session", "tokens", "personal_access_tokens", "user_auth_tokens", "django_session"];
  expect(names.flatMap((name) => recognise(tableOf(name, { ...common, ...ends })))).toEqual([]);
});

test.each(PRESETS.map(({ name }) => name))("%s is known by columns that its targets do not name", (name) => {
  const { targets } = configFileSchema.parse({ targets: [{ preset: name }] });
  for (const { table } of targets) {
    expect(SIGNATURES[name]?.[table.table]?.length ?? 0, table.table).toBeGreaterThan(0);
  }
});
