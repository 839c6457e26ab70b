import { expect, test } from "vitest";
import { recogniseSystems } from "../../../../src/cleanup/suggest/systems.ts";
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

const NEXTCLOUD = {
  ...{ uid: "character varying", type: "smallint", remember: "smallint", version: "smallint" },
  ...{ last_activity: "integer", expires: "integer" },
};

const DISCOURSE = { user_id: "integer", rotated_at: TIMESTAMP, impersonation_expires_at: TIMESTAMP };

const CODES = ["access_token", "authorization_code", "device_code", "refresh_token", "oidc_id_token", "user_code"];
const SPRING = {
  ...{ principal_name: "character varying", refresh_token_value: "text" },
  ...Object.fromEntries(CODES.map((code) => [`${code}_expires_at`, TIMESTAMP])),
};

test.each([
  ["rails-session-store", tableOf("sessions", { session_id: "text", updated_at: TIMESTAMP })],
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
  const table = tableOf("sessions", { id: "bigint", updated_at: TIMESTAMP, [column]: type });
  expect(recognise(table)).toEqual([
    {
      preset: "rails-session-store",
      doubts: [`public.sessions has ${column}, which looks like an expiry and which this preset ignores`],
    },
  ]);
});

test("a column with the name of an expiry that cannot hold a time does not count", () => {
  const table = tableOf("sessions", { updated_at: TIMESTAMP, expires_at: "text" });
  expect(recognise(table)).toEqual([{ preset: "rails-session-store", doubts: [] }]);
});
