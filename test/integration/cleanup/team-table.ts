/*
 * Teams' tables differ from our own: other columns and owners, no row-level security, and rights that the team grants.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { parseDocument } from "yaml";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { parseConfigFile } from "../../../src/cleanup/config-file.ts";
import { hashDefinition } from "../../../src/cleanup/target/definition.ts";

/** Writes a configuration file, which is deleted after the test; returns its path. */
export function writeConfig(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), "apitoken-cleanup-"));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  const path = join(dir, "cleanup.yaml");
  writeFileSync(path, text);
  return path;
}

/** The configuration with every target confirmed, for tests about rows that a first run would find odd. */
export function confirmed(yaml: string): string {
  const document = parseDocument(yaml);
  for (const [place, target] of parseConfigFile(yaml, "cleanup.yaml").targets.entries())
    document.setIn(["targets", place, "confirm"], hashDefinition(target));
  return document.toString();
}

/** Runs statements as the superuser, one after the other. */
export async function execute(url: string, ...statements: readonly string[]): Promise<void> {
  for (const statement of statements) await runAsSuperuser(url, statement);
}

/** SQL: a time past every retention, and one in the future; no two rows have the same one. */
export const DEAD = "now() - interval '30 days' - n * interval '1 ms'";
export const LIVE = "now() + interval '30 days' + n * interval '1 ms'";

/** The grants of a team whose tables are to be cleaned. */
export const GRANT_APP = [
  "grant usage on schema app to apitoken_cleanup",
  "grant select, delete, update on all tables in schema app to apitoken_cleanup",
];

/**
 * Creates a table app.sessions with `dead` rows past their retention, as many within it, and as many live ones. Like those of real
 * sessions, no two of their times are the same.
 */
export async function createSessions(url: string, dead: number, columns = "id bigint primary key"): Promise<void> {
  await execute(
    url,
    "create schema app",
    `create table app.sessions (${columns}, user_id text, expires_at timestamptz, revoked_at timestamptz)`,
    `insert into app.sessions select n, 'user-' || n % 7, now() - interval '8 days' - n * interval '1 ms' from generate_series(1, ${dead}) n`,
    `insert into app.sessions select n + ${dead}, 'user-' || n % 7, now() - interval '6 days' - n * interval '1 ms' from generate_series(1, ${dead}) n`,
    `insert into app.sessions select n + 2 * ${dead}, 'user-' || n % 7, now() + interval '1 hour' + n * interval '1 ms' from generate_series(1, ${dead}) n`,
    "create index on app.sessions (expires_at)",
    ...GRANT_APP,
  );
}

/** The first column of a query's result, sorted. */
export async function findAll(url: string, sql: string): Promise<string[]> {
  const rows = await runAsSuperuser<Record<string, unknown>>(url, sql);
  return rows.map((row) => String(Object.values(row)[0])).sort();
}

/** Creates an owner of tables that the cleanup's role is a member of, so that it may detach and drop partitions. */
export async function createAppOwner(url: string): Promise<void> {
  await execute(
    url,
    `do $$ begin
       if not exists (select from pg_roles where rolname = 'app_owner') then create role app_owner; end if;
     exception when duplicate_object or unique_violation then null; end $$`,
    "grant app_owner to apitoken_cleanup",
    "create schema app authorization app_owner",
    "grant usage on schema app to apitoken_cleanup",
  );
}
