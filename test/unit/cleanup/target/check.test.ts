import { expect, test } from "vitest";
import { checkTarget } from "../../../../src/cleanup/target/check.ts";
import { parseCondition } from "../../../../src/cleanup/target/condition.ts";
import type { TableFacts } from "../../../../src/postgres/cleanup/catalog.ts";
import { aColumn, aReference, aTableFacts, aTargetConfig, aTime } from "../builders.ts";

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
  ["an unknown column", { expiresAt: [aTime("expiry")] }, {}, 'no column "expiry"; it has id, expires_at'],
  [
    "a column whose quotes YAML has eaten",
    { expiresAt: [aTime("expiresat")] },
    { columns: [aColumn("id", "uuid"), aColumn("expiresAt", "date"), aColumn("revoked_at", "date")] },
    `but "expiresAt"; in YAML, write it with two kinds of quotes: '"expiresAt"'`,
  ],
  [
    "seconds that are not a number",
    { expiresAt: [aTime("expires_at", { plusSeconds: "status" })] },
    {},
    'expiresAt.plusSeconds: "status" is of type text; it must be a number of seconds',
  ],
  [
    "a column of where that does not exist",
    { where: parseCondition("kind = 1") },
    {},
    'where: app.refresh_tokens has no column "kind"',
  ],
  [
    "row-level security",
    {},
    { hidden: ['"app"."t"'] },
    'create policy apitoken_cleanup on "app"."t" to apitoken_cleanup using (true)',
  ],
  [
    "a rule",
    {},
    { rules: [{ name: "soft", table: "app.part" }] },
    'rule "soft" of app.part changes what DELETE does, and Postgres then refuses the batches; use a trigger instead of it: alter table app.part disable rule "soft"',
  ],
  [
    "a restrictive policy",
    {},
    { restricted: [{ name: "own", table: "app.t", command: "alter policy own on app.t using (true)" }] },
    'restrictive policy "own" of app.t may hide rows from the role: alter policy own on app.t using (true)',
  ],
  [
    "a partition in a closed schema",
    {},
    { closedSchemas: ["archive"] },
    "grant usage on schema archive to apitoken_cleanup",
  ],
  ["no replica identity", {}, { unidentified: ['"app"."t"'] }, 'alter table "app"."t" replica identity full'],
  [
    "a partition on another server",
    {},
    { foreignPartitions: ['"app"."old"'] },
    '"app"."old" is stored on another server',
  ],
  ["an unknown owner's column", { owner: "whom" }, {}, 'no column "whom"'],
  [
    "an expiry that is a text",
    { expiresAt: [aTime("status")] },
    {},
    '"status" is of type text; it must be timestamptz',
  ],
  [
    "a boolean compared with a text",
    { revoked: parseCondition("is_active = 'no'") },
    {},
    "of type boolean and cannot be compared",
  ],
  [
    "a text compared with a number",
    { revoked: parseCondition("status = 0") },
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

test("rights that the table itself lacks are one error, also if it refers to itself", () => {
  const references = [aReference({ oid: aTableFacts().oid, toOid: aTableFacts().oid, mayRead: false })];
  expect(messages("error", check({}, { mayDelete: false, references }))).toEqual([
    expect.stringContaining("the role lacks rights"),
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
    { revokedAt: undefined, revoked: parseCondition("is_active = false") },
    [byExpiry, byRevocation],
    undefined,
  ],
])("which indexes lead to all dead rows when %s", (_, config, indexes, times) => {
  const { target } = check(config, { indexes: indexes as TableFacts["indexes"] });
  expect(target?.indexedTimes?.map(({ time }) => time.column)).toEqual(times);
});

test("foreign keys are announced with what they do", () => {
  const references = [
    aReference({ onDelete: "cascade" }),
    aReference({ table: "logins", oid: "201", isIndexed: false }),
    aReference({ table: "clicks", oid: "202", toOid: "200", onDelete: "set null" }),
  ];
  const found = check({ cascade: [{ schema: "app", table: "uses" }] }, { references });
  expect(messages("error", found)).toEqual([]);
  expect(messages("note", found).join()).toContain("app.uses (t) refers to it by fk on delete cascade");
  expect(messages("note", found).join()).toContain("app.clicks (t) refers to app.uses by fk on delete set null");
  const warnings = messages("warning", found).join();
  expect(warnings).toContain("app.logins (t) refers to it by fk on delete no action: rows that it refers to stay");
  expect(warnings).toContain('create index concurrently on "app"."logins" ("t")');
});

test.each<[string, Partial<TableFacts>, Parameters<typeof aTargetConfig>[0], string]>([
  [
    "a table that may not be read",
    { references: [aReference({ mayRead: false })] },
    {},
    'app.uses refers to it and may not be read: grant select on "app"."uses" to apitoken_cleanup',
  ],
  [
    "a table in a schema that is closed",
    { references: [aReference({ hasUsage: false })] },
    {},
    'grant usage on schema "app" to apitoken_cleanup; grant select on "app"."uses"',
  ],
  [
    "a cascade that nobody has named, with all tables that it reaches",
    {
      references: [
        aReference({ onDelete: "cascade" }),
        aReference({ table: "clicks", oid: "201", toOid: "200", onDelete: "cascade" }),
      ],
    },
    { cascade: [{ schema: "app", table: "uses" }] },
    "would delete rows of app.clicks, too; if they should go, name every table that is reached: cascade: [app.uses, app.clicks]",
  ],
  [
    "a named table that no cascade reaches",
    {},
    { cascade: [{ schema: "app", table: "uses" }] },
    "neither ON DELETE CASCADE nor a trigger reaches app.uses",
  ],
  [
    "a circle of cascades",
    {
      references: [
        aReference({ onDelete: "cascade" }),
        aReference({ table: "refresh_tokens", oid: "12345", toOid: "200", onDelete: "cascade" }),
      ],
    },
    {},
    "in a circle (app.uses → app.refresh_tokens)",
  ],
])("%s is an error", (_case, facts, config, message) => {
  expect(messages("error", check(config, facts)).join("\n")).toContain(message);
});

test("a table that refers to itself need not be named", () => {
  const itself = aReference({ table: "refresh_tokens", oid: "12345", columns: ["parent"], onDelete: "cascade" });
  const found = check({}, { references: [itself] });
  expect(messages("error", found)).toEqual([]);
  expect(messages("note", found).join()).toContain("rows go together, and stay as long as one of them is not due");
});

test("a partitioned table whose owner the role is not a member of is emptied row by row, and the warning has the grant", () => {
  const found = check({}, { kind: "partitioned", partitionedBy: { strategy: "range", columns: ["expires_at"] } });
  expect(messages("warning", found).join()).toContain('grant "app_owner" to apitoken_cleanup');
});

test("nobody is advised to be a member of a superuser", () => {
  const found = check({}, { kind: "partitioned", owner: "postgres", isOwnerSuperuser: true });
  const warnings = messages("warning", found).join();
  expect(warnings).toContain("belongs to the superuser postgres");
  expect(warnings).not.toContain('grant "postgres"');
});

test.each([
  ["uuid", true],
  ["text", true],
  ["character varying", true],
  ["bytea", true],
  ["bigint", false],
])("keys of the type %s are hashed in the trail: %s", (type, isHashed) => {
  const columns = aTableFacts().columns.map((column) => (column.name === "id" ? aColumn("id", type) : column));
  expect(check({}, { columns }).target?.hashesKeys).toBe(isHashed);
  expect(check({ auditKeys: "plain" }, { columns }).target?.hashesKeys).toBe(false);
});
