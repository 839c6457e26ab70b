/*
 * The cleanup on the tables of systems that companies really run. Each system's own notion of dead is the judge: what goes and
 * what stays is compared with a plain DELETE by that notion, in every table of the database.
 */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterAll, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { readCleanupConfig } from "../../../src/cleanup/config.ts";
import { openCleanupDatabase } from "../../../src/cleanup/database.ts";
import { checkTargets, findErrors } from "../../../src/cleanup/target/targets.ts";
import { createTestDatabase } from "../../support/database.ts";
import { runCleanup } from "./program.ts";
import type { RealSystem } from "./systems/system.ts";

const names = readdirSync(new URL("systems", import.meta.url))
  .map((file) => file.replace(/\.ts$/, ""))
  .filter((name) => name !== "system");
const systems = await Promise.all(
  names.map(async (name) => Object.values(await import(`./systems/${name}.ts`))[0] as RealSystem),
);

const folder = mkdtempSync(join(tmpdir(), "apitoken-systems-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A right that is missing can hide another one: that of the schema comes first. */
const MOST_ROUNDS = 5;

/** What an administrator does with the messages of `cleanup validate`, until there are none: returns those without a grant. */
async function grantWhatIsAsked(url: string, path: string): Promise<string[]> {
  const config = readCleanupConfig({ config: path }, { DATABASE_URL: url });
  const db = await openCleanupDatabase(config);
  try {
    for (let round = 1; ; round += 1) {
      const checked = await db.withConnection((session) => checkTargets(session, config));
      const errors = checked.flatMap((each) => findErrors(each).map((message) => `${each.name}: ${message}`));
      const grants = new Set(errors.flatMap((message) => message.match(/\bgrant .*? to apitoken_cleanup\b/g) ?? []));
      if (grants.size === 0 || round > MOST_ROUNDS) return errors;
      await runAsSuperuser(url, [...grants].join("; "));
    }
  } finally {
    await db.close();
  }
}

type Contents = Readonly<Record<string, readonly string[]>>;

/** The rows of every table of the system, as texts. */
async function readTables(client: pg.Client): Promise<Contents> {
  const { rows: tables } = await client.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class
     where relkind = 'r' and relnamespace::regnamespace::text not in ('apitoken', 'pg_catalog', 'information_schema')`,
  );
  const contents: Record<string, string[]> = {};
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: string }>(`select t::text as row from ${name} as t order by 1`);
    contents[name] = rows.map(({ row }) => row);
  }
  return contents;
}

/** What the tables hold now, and what they would hold if all due rows were deleted at once. */
async function predict(client: pg.Client, { tables }: RealSystem): Promise<{ before: Contents; expected: Contents }> {
  const deletions = Object.entries(tables).map(
    ([table, { due }], index) => `gone_${index} as (delete from ${table} where ${due})`,
  );
  await client.query("begin");
  const before = await readTables(client);
  await client.query(`with ${deletions.join(", ")} select`);
  const expected = await readTables(client);
  await client.query("rollback");
  return { before, expected };
}

async function countRows(client: pg.Client, table: string, condition: string): Promise<number> {
  const { rows } = await client.query<{ count: string }>(`select count(*) from ${table} where ${condition}`);
  return Number(rows[0]?.count);
}

describe.concurrent("of a real system", { timeout: 180_000 }, () => {
  test.each(systems)(
    "$name $version: just what it considers dead, and has for long enough, is deleted",
    async (system) => {
      const url = await createTestDatabase();
      await runAsSuperuser(url, `${system.ddl}\n${system.rows}`);
      const path = join(folder, `${new URL(url).pathname.slice(1)}.yaml`);
      writeFileSync(path, system.config);
      expect(await grantWhatIsAsked(url, path)).toEqual([]);

      const client = new pg.Client({ connectionString: url });
      await client.connect();
      try {
        for (const [table, { dead, due }] of Object.entries(system.tables)) {
          const counts = {
            due: await countRows(client, table, due),
            alive: await countRows(client, table, `(${dead}) is not true`),
            dueAlive: await countRows(client, table, `(${due}) and (${dead}) is not true`),
          };
          expect(counts.due, table).toBeGreaterThan(0);
          expect(counts.alive, table).toBeGreaterThan(0);
          expect(counts.dueAlive, table).toBe(0);
        }
        const { before, expected } = await predict(client, system);
        expect(expected).not.toEqual(before);

        const { exitCode, stdout, stderr } = await runCleanup(url, ["-o", "json", "--config", path]);
        expect(await readTables(client), stdout + stderr).toEqual(expected);
        expect({ exitCode, stderr }).toMatchObject({ exitCode: 0 });
      } finally {
        await client.end();
      }
    },
  );
});
