/*
 * Brings the database's schema up to date. Programs that only check it do without the library for that (schema-version.ts).
 */
import { existsSync, readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { runner } from "node-pg-migrate";
import pg from "pg";
import { createLockWatch } from "./blockers.ts";
import type { DatabaseLogin } from "./database.ts";
import { classifyError, sqlState } from "./errors.ts";
import { createClientWithPasswordFile } from "./password-file.ts";
import { SCHEMA_VERSION, SchemaMismatchError } from "./schema-version.ts";
import { prepareSession, requireOwnSession } from "./session.ts";

/**
 * Brings the schema up to SCHEMA_VERSION, in one transaction. Concurrent callers wait for each other.
 * The login must be allowed to create schemas, and also roles unless they exist already.
 * Returns the names of the migrations that were run: none if there was nothing to do.
 * Throws a DatabaseUnavailableError if it cannot connect, and a SchemaMismatchError for a schema from before the first
 * release.
 */
export async function migrate({ url, passwordFile }: DatabaseLogin): Promise<string[]> {
  const Client = passwordFile === undefined ? pg.Client : createClientWithPasswordFile(passwordFile);
  const config = { connectionString: url, application_name: "migrate", connectionTimeoutMillis: 5_000 };
  const client = new Client(config);
  client.on("error", () => {}); // the running statement reports it
  const watch = createLockWatch(config, Client);
  let pid = 0;
  try {
    await client.connect();
    await requireOwnSession(client, new Client(config));
    pid = await prepareSession(client, SESSION);
    watch.begin(pid);
    // A lock that others hold must not keep a pod with nothing to migrate from starting.
    const migrations = (await isMigrated(client)) ? [] : await runMigrations(client);
    await requireMigrated(client);
    return migrations;
  } catch (error) {
    throw classifyError(error, watch.end(pid));
  } finally {
    await client.end().catch(() => {});
    await watch.close();
  }
}

/** A statement of a migration may take long; waiting for a lock may not, because others wait behind it. */
const SESSION = { role: undefined, actor: "migrate", statementTimeoutMs: 0, lockTimeoutMs: 10_000 };

/** Whether every migration that this program has was run, so that nothing has to be locked. */
async function isMigrated(client: pg.Client): Promise<boolean> {
  const files = readdirSync(findMigrationsFolder()).filter((file) => file.endsWith(".sql"));
  try {
    const { rows } = await client.query<{ name: string }>("select name from apitoken.migrations");
    const done = new Set(rows.map(({ name }) => name));
    return files.every((file) => done.has(file.replace(/\.sql$/, "")));
  } catch (error) {
    if (sqlState(error) === "42P01" || sqlState(error) === "3F000") return false;
    throw error;
  }
}

async function runMigrations(client: pg.Client): Promise<string[]> {
  const quiet = () => {};
  const migrations = await runner({
    dbClient: client,
    dir: findMigrationsFolder(),
    direction: "up",
    schema: "public",
    migrationsSchema: "apitoken",
    migrationsTable: "migrations",
    createMigrationsSchema: true,
    advisoryLockMode: "wait",
    logger: { debug: quiet, info: quiet, warn: quiet, error: quiet },
  });
  return migrations.map((migration) => migration.name);
}

/** A schema from before the first release has run migrations that no longer exist, and none of ours would change it. */
async function requireMigrated(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ version: number }>("select version from apitoken.schema_version");
  const version = rows[0]?.version ?? 0;
  if (version >= SCHEMA_VERSION) return;
  throw new SchemaMismatchError({
    faultCode: "APITOKEN_E_SCHEMA_UNRELEASED",
    problem:
      `the database has schema version ${version}, from before the first release, which cannot be migrated to version ` +
      SCHEMA_VERSION,
    remedy: 'use an empty database, or drop the schema "apitoken" with all of its tokens and migrate again',
  });
}

/** The folder relative to this file, which is in src/postgres in the sources and in dist in the images. */
function findMigrationsFolder(): string {
  const candidates = ["../../migrations", "../migrations", "./migrations"].map((path) =>
    fileURLToPath(new URL(path, import.meta.url)),
  );
  const folder = candidates.find((path) => existsSync(path));
  if (folder === undefined) throw new Error(`the folder "migrations" is missing; looked for ${candidates.join(", ")}`);
  return folder;
}
