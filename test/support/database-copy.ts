/*
 * What happens after a restored backup is tested without a backup: swapping the rows of a running database does the
 * same to a controller in a fraction of the time.
 */
import { readFileSync } from "node:fs";
import { runAsSuperuser } from "../../local/postgres-server.ts";

const MIGRATION = new URL("../../migrations/0001_schema.sql", import.meta.url);
const TABLES = ["tokens", "blocked_owners", "leader_epoch"];

/** Copies the current rows. */
export async function copyDatabase(url: string): Promise<void> {
  const copies = TABLES.map((table) => `create table copy.${table} as table apitoken.${table};`);
  await runAsSuperuser(url, `drop schema if exists copy cascade; create schema copy; ${copies.join(" ")}`);
}

/** Replaces the rows by the copy, as a restore would: without triggers, and cutting every connection. */
export async function restoreDatabase(url: string): Promise<void> {
  const swaps = TABLES.map(
    (table) => `delete from apitoken.${table}; insert into apitoken.${table} select * from copy.${table};`,
  );
  await runAsSuperuser(url, `begin; set local session_replication_role = replica; ${swaps.join(" ")} commit`);
  await runAsSuperuser(
    url,
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
  );
}

/**
 * Replaces schema and rows by the copy, in one transaction and without cutting a connection, as
 * `pg_restore --clean --single-transaction` does.
 */
export async function restoreInPlace(url: string): Promise<void> {
  const [schema = ""] = readFileSync(MIGRATION, "utf8").split("-- Down Migration");
  const rows = TABLES.map(
    (table) => `delete from apitoken.${table}; insert into apitoken.${table} select * from copy.${table};`,
  );
  await runAsSuperuser(
    url,
    `begin; drop schema apitoken cascade; create schema apitoken; ${schema};
     set local session_replication_role = replica; ${rows.join(" ")} commit`,
  );
}
