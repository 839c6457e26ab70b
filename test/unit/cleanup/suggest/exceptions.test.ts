import { describe, expect, test } from "vitest";
import { findSampledColumns, propose } from "../../../../src/cleanup/suggest/propose.ts";
import type { CandidateColumn, CandidateTable } from "../../../../src/postgres/cleanup/candidates.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const EXPIRY = { name: "expires_at", type: "timestamp with time zone" };

const tableOf = (columns: readonly CandidateColumn[]): CandidateTable => ({
  schema: "app",
  table: "tokens",
  columns,
  mayRead: true,
  bytes: 0,
});

/** The proposal for a table with an expiry and these columns; `values` are those of the only row. */
function proposeBeside(
  columns: readonly CandidateColumn[],
  values: Readonly<Record<string, string>> = {},
  end: readonly CandidateColumn[] = [EXPIRY],
) {
  const table = tableOf([...end, ...columns]);
  const row = findSampledColumns(table).map(
    ({ name, type }) => values[name] ?? (type.startsWith("timestamp") ? "2026-05-01 10:00:00+00" : null),
  );
  return propose(table, [row], NOW);
}

const flag = (name: string) => ({ name, type: "boolean" });

test.each([
  ["expiring", "expiring = true"],
  ["expires", "expires = true"],
  ["willExpire", '"willExpire" = true'],
  ["expires_enabled", "expires_enabled = true"],
  ["expiry_enabled", "expiry_enabled = true"],
  ["has_expiration", "has_expiration = true"],
  ["never_expires", "never_expires = false"],
  ["neverexpires", "neverexpires = false"],
  ["does_not_expire", "does_not_expire = false"],
  ["no_expiry", "no_expiry = false"],
  ["non_expiring", "non_expiring = false"],
  ["expiry_disabled", "expiry_disabled = false"],
  ["permanent", "permanent = false"],
  ["is_permanent", "is_permanent = false"],
])("a boolean %s keeps the rows that do not expire out: %s", (name, where) => {
  const { target, checks, doubts } = proposeBeside([flag(name)]);
  expect(target).toMatchObject({ where, expiresAt: "expires_at" });
  expect(checks).toContain(`where: do rows that are not ${where} never expire? The cleanup ignores them`);
  expect(doubts).toEqual([]);
});

test("two such booleans are both in the condition", () => {
  expect(proposeBeside([flag("expiring"), flag("permanent")]).target.where).toBe(
    "expiring = true and permanent = false",
  );
});

test.each([
  ...[
    "active",
    "is_active",
    "isActive",
    "enabled",
    "valid",
    "is_valid",
    "pinned",
    "persistent",
    "remember",
    "remember_me",
  ],
  ...["long_lived", "is_service_account", "keep", "keep_alive", "alive", "system", "offline", "expired", "not_expired"],
  ...["auto_renew", "trusted_device", "locked", "unlimited", "token_active", "account_non_expired"],
])("a boolean %s, which may be about the life of a row, makes the proposal not ready", (name) => {
  const { target, doubts } = proposeBeside([flag(name)]);
  expect(target.where).toBeUndefined();
  expect(doubts).toEqual([expect.stringContaining(`${name} may decide`)]);
});

test.each([
  "mfa",
  "is_admin",
  "confidential",
  "reusable",
  "expiry_notified",
  "expiration_reminder_sent",
  "email_verified",
])("a boolean %s, which says nothing about the life of a row, has to be checked", (name) => {
  const { target, checks, doubts } = proposeBeside([flag(name)]);
  expect(target.where).toBeUndefined();
  expect(checks).toEqual([expect.stringContaining(`what does ${name} mean?`)]);
  expect(doubts).toEqual([]);
});

test("a boolean that says that a row is dead needs no second line", () => {
  const { checks, doubts } = proposeBeside([flag("revoked")]);
  expect([checks.length, doubts]).toEqual([1, []]);
});

test.each([
  ["never_expires", { type: "smallint" }],
  ["is_permanent", { type: "character", isSingle: true }],
  ["expires", { type: "text" }],
  ["expires_in", { type: "interval" }],
  ["expiration_policy", { type: "character varying" }],
  ["is_active", { type: "integer" }],
  ["active", { type: "bit", isSingle: true }],
])("%s as a %j makes the proposal not ready, too", (name, facts) => {
  expect(proposeBeside([{ name, ...facts }]).doubts).toEqual([expect.stringContaining(`${name} may decide`)]);
});

test("what to do with a column that is not a boolean depends on what it says", () => {
  expect(proposeBeside([{ name: "code_expire_in", type: "bigint" }]).doubts).toEqual([
    'code_expire_in may decide whether a row ends with expires_at: if it says when, name it in expiresAt; if it sets rows apart, add where: "code_expire_in = …" with the value of those that end',
  ]);
});

test.each([
  ["status", { type: "text" }],
  ["kind", { type: "character varying" }],
  ["token_type", { type: "integer" }],
  ["intent", { type: "text" }],
  ["x", { type: "character", isSingle: true }],
  ["y", { type: "app.anything", labels: ["a", "b"] }],
])("%s as a %j may set rows apart, and has to be checked", (name, facts) => {
  const { checks, doubts } = proposeBeside([{ name, ...facts }]);
  expect(checks).toEqual([expect.stringContaining(`what does ${name} mean?`)]);
  expect(doubts).toEqual([]);
});

test.each(["token", "user_id", "name", "service_name", "persistent_id", "expiry_notified_at"])(
  "a text %s needs no line",
  (name) => {
    expect(proposeBeside([{ name, type: "text" }])).toMatchObject({ checks: [], doubts: [] });
  },
);

describe("a value that means that a row has no end makes the proposal not ready", () => {
  test("as a label of an enum", () => {
    const column = { name: "y", type: "app.life", labels: ["session", "permanent"] };
    expect(proposeBeside([column]).doubts).toEqual([
      `y can be 'permanent': if such rows do not end with expires_at, add where: "y <> 'permanent'"`,
    ]);
  });
  test("as a text of the sample", () => {
    expect(proposeBeside([{ name: "kind", type: "text" }], { kind: "NEVER" }).doubts).toEqual([
      `kind can be 'NEVER': if such rows do not end with expires_at, add where: "kind <> 'NEVER'"`,
    ]);
  });
  test("as zero seconds beside an expiry", () => {
    expect(proposeBeside([{ name: "ttl", type: "integer" }], { ttl: "0" }).doubts).toEqual([
      `ttl has values of 0 or less: if such rows do not end with expires_at, add where, such as where: "ttl <> 0"`,
    ]);
  });
});

test("seconds beside an expiry have to be checked", () => {
  expect(proposeBeside([{ name: "ttl", type: "integer" }], { ttl: "60" }).checks).toEqual([
    expect.stringContaining("what does ttl mean?"),
  ]);
});

test("no other value of a text is printed", () => {
  const printed = JSON.stringify(proposeBeside([{ name: "state", type: "text" }], { state: "a secret" }));
  expect(printed).not.toContain("a secret");
});

test("where only a revocation ends a row, whether it expires does not matter, but life does", () => {
  const end = [{ name: "revoked_at", type: "timestamp with time zone" }];
  expect(proposeBeside([flag("never_expires")], {}, end)).toMatchObject({
    checks: expect.arrayContaining([expect.stringContaining("what does never_expires mean?")]),
    doubts: [],
  });
  expect(proposeBeside([flag("never_expires")], {}, end).target.where).toBeUndefined();
  expect(proposeBeside([flag("active")], {}, end).doubts).toHaveLength(1);
});
