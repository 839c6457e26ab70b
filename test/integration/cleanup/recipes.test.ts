/*
 * The recipes that need a schema change, as docs/cleanup-recipes.md has them: Postgres takes them, and whatever an application writes.
 */
import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { readProjectFile } from "../../unit/docs/tables.ts";
import { runCleanup } from "./program.ts";
import { confirmed, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

/** The blocks of a language below a heading. */
function findBlocks(heading: string, language: "sql" | "yaml"): string[] {
  const [, section = ""] = readProjectFile("docs/cleanup-recipes.md").split(`### ${heading}\n`);
  const [own = ""] = section.split("\n### ");
  return [...own.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, "gms"))].map(([, text = ""]) => text);
}

/** Postgres builds an index concurrently only outside a transaction. */
const apply = async (heading: string) => {
  for (const block of findBlocks(heading, "sql")) await execute(url, ...block.split(/^(?=create index concurrently)/m));
};

async function clean(yaml: string): Promise<void> {
  await execute(url, ...GRANT_APP);
  const config = writeConfig(confirmed(yaml));
  const result = await runCleanup(url, ["-o", "json", "--max-fraction", "1", "--config", config]);
  expect(result.exitCode, result.stdout + result.stderr).toBe(0);
}

const left = (table: string) => findAll(url, `select id from app.${table} order by id`);

test("an expiry inside JSON: rows without a time that can be read stay", async () => {
  await execute(url, "create table app.grants (id integer primary key, payload jsonb)");
  await apply("The expiry is inside JSON");
  await execute(
    url,
    `insert into app.grants values (1, '{"exp": 1700000000}'), (2, '{"exp": 1700000000.5}'), (3, '{"exp": "soon"}'),
       (4, '{}'), (5, null), (6, '{"exp": 1e300}'), (7, '{"exp": null}'), (8, '{"exp": 0}')`,
  );
  await clean(findBlocks("The expiry is inside JSON", "yaml")[0] ?? "");
  expect(await left("grants")).toEqual(["3", "4", "5", "6", "7", "8"]);
});

test("an expiry in a text: rows of before and rows of afterwards, and what cannot be read stays", async () => {
  await execute(
    url,
    "create table app.grants (id integer primary key, expires_at text)",
    "insert into app.grants values (1, '2024-01-01T00:00:00Z'), (2, 'never')",
  );
  await apply("The expiry is a text");
  await execute(
    url,
    "insert into app.grants values (3, '2024-01-01 00:00:00.123'), (4, ''), (5, null), (6, '9999-12-31T00:00:00Z')",
  );
  await clean("targets: [{ table: app.grants, expiresAt: expires_time }]");
  expect(await left("grants")).toEqual(["2", "4", "5", "6"]);
  expect(await findAll(url, "select expires_time at time zone 'UTC' from app.grants where id = 6")).toHaveLength(1);
});

test("two columns that are compared, and a lifetime in minutes", async () => {
  await execute(
    url,
    "create table app.invitations (id integer primary key, times_used integer, usage_limit integer)",
    "insert into app.invitations values (1, 5, 5), (2, 4, 5), (3, 6, null)",
    "create table app.grants (id integer primary key, created_at timestamptz, lifetime_minutes integer)",
    `insert into app.grants values (1, now() - interval '30 days', 60), (2, now() - interval '30 days', 60 * 24 * 365),
       (3, now() - interval '30 days', null), (4, now() - interval '30 days', 2147483647)`,
  );
  const heading = "Two columns are compared, or a lifetime is in another unit";
  await apply(heading);
  await clean(findBlocks(heading, "yaml")[0] ?? "");
  expect(await left("invitations")).toEqual(["2", "3"]);
  expect(await left("grants")).toEqual(["2", "3", "4"]);
});
