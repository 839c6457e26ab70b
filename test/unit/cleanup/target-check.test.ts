import { expect, test } from "vitest";
import { checkTarget } from "../../../src/cleanup/target-check.ts";
import type { TableFacts } from "../../../src/postgres/cleanup/catalog.ts";
import { aColumn, aTableFacts, aTargetConfig } from "./builders.ts";

const check = (config: Parameters<typeof aTargetConfig>[0], facts: Partial<TableFacts> = {}) =>
  checkTarget(aTargetConfig(config), aTableFacts(facts), 0.9);
const messages = (level: string, found: ReturnType<typeof check>) =>
  found.findings.filter((finding) => finding.level === level).map(({ message }) => message);

test("a table that fits has no error and no warning, and the notes name the indexes", () => {
  const found = check({});
  expect(found.target).toMatchObject({ name: "app.refresh_tokens", key: ["id"], maxFraction: 0.9 });
  expect(messages("warning", found)).toEqual([]);
  expect(messages("note", found).join()).toContain("by_expiry");
});

test.each<[string, Parameters<typeof check>[0], Partial<TableFacts>, string]>([
  ["a view", {}, { kind: "view" }, "is a view"],
  ["a foreign table", {}, { kind: "foreign table" }, "is a foreign table"],
  ["no right to delete", {}, { mayDelete: false }, 'grant delete on "app"."refresh_tokens" to apitoken_cleanup'],
  ["no right to lock", {}, { mayUpdate: false }, 'grant update ("id") on'],
  ["a closed schema", {}, { hasUsage: false }, 'grant usage on schema "app"'],
  ["a closed partition", {}, { closedPartitions: ['"app"."p1"'] }, 'on "app"."p1" to apitoken_cleanup'],
  ["an unknown column", { expiresAt: "expiry" }, {}, 'no column "expiry"; it has id, expires_at'],
  ["an unknown owner's column", { owner: "whom" }, {}, 'no column "whom"'],
  ["an expiry that is a text", { expiresAt: "status" }, {}, '"status" is of type text; it must be timestamptz'],
  [
    "a boolean compared with a text",
    { revoked: { column: "is_active", equals: "no" } },
    {},
    "of type boolean and cannot be compared",
  ],
  [
    "a text compared with a number",
    { revoked: { column: "status", equals: 0 } },
    {},
    "of type text and cannot be compared",
  ],
  [
    "a time without a zone",
    {},
    { columns: [aColumn("expires_at", "timestamp without time zone"), aColumn("revoked_at", "date")] },
    "say in timezone",
  ],
  [
    "a number without a unit",
    {},
    { columns: [aColumn("expires_at", "bigint"), aColumn("revoked_at", "bigint")] },
    "say in epoch",
  ],
  ["keys that are to be recorded, and no key", { audit: "rows" }, { key: [] }, '"rows" needs a key'],
])("%s is an error that names it and the remedy", (_fault, config, facts, message) => {
  const found = check(config, facts);
  expect(messages("error", found).join("\n")).toContain(message);
  expect(found.target).toBeUndefined();
});

test("a table that does not exist is an error", () => {
  expect(checkTarget(aTargetConfig(), undefined, 0.9).findings).toEqual([
    { level: "error", message: "there is no table app.refresh_tokens in this database" },
  ]);
});

test("a missing index is a warning with the command to run", () => {
  const warnings = messages("warning", check({}, { indexes: [] })).join("\n");
  expect(warnings).toContain('create index concurrently on "app"."refresh_tokens" ("expires_at")');
  expect(warnings).toContain(
    'create index concurrently on "app"."refresh_tokens" ("revoked_at") where "revoked_at" is not null',
  );
});

const [byExpiry, byRevocation] = aTableFacts().indexes.map((index) => ({ ...index }));
test.each([
  ["both times have one", {}, [byExpiry, byRevocation], ["expires_at", "revoked_at"]],
  ["the expiry's leaves rows out", {}, [{ ...byExpiry, isPartial: true }, byRevocation], undefined],
  ["the revocation has none", {}, [byExpiry], undefined],
  ["there is no revocation", { revokedAt: undefined }, [byExpiry], ["expires_at"]],
  [
    "a comparison alone says who is revoked",
    { revokedAt: undefined, revoked: { column: "is_active", equals: false } },
    [byExpiry, byRevocation],
    undefined,
  ],
])("which indexes lead to all dead rows when %s", (_, config, indexes, times) => {
  const { target } = check(config, { indexes: indexes as TableFacts["indexes"] });
  expect(target?.indexedTimes?.map(({ column }) => column)).toEqual(times);
});

const reference = {
  constraint: "fk",
  schema: "app",
  table: "uses",
  columns: ["t"],
  referencedColumns: ["id"],
  mayRead: true,
};

test("foreign keys are announced with what they do", () => {
  const facts = {
    references: [
      { ...reference, onDelete: "cascade" as const },
      { ...reference, table: "logins", onDelete: "no action" as const },
    ],
  };
  const found = check({}, facts);
  expect(messages("note", found).join()).toContain("app.uses (t) refers to it by fk on delete cascade");
  expect(messages("warning", found).join()).toContain(
    "app.logins (t) refers to it by fk on delete no action: rows that it refers to stay",
  );
});

test("a table that refers to it and may not be read is an error", () => {
  const found = check({}, { references: [{ ...reference, onDelete: "restrict", mayRead: false }] });
  expect(messages("error", found).join()).toContain('grant select on "app"."uses" to apitoken_cleanup');
});

test("a partitioned table whose owner the role is not a member of is emptied row by row, and the warning has the grant", () => {
  const found = check({}, { kind: "partitioned", partitionedBy: { strategy: "range", columns: ["expires_at"] } });
  expect(messages("warning", found).join()).toContain('grant "app_owner" to apitoken_cleanup');
});
