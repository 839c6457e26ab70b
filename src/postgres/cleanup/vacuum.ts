/*
 * Autovacuum may come hours after a run that deleted most of a table; until then the table is slow for everybody.
 */
import type { Queryable } from "../database.ts";
import type { Leaf } from "./batches.ts";

/** Whether this session may VACUUM the table: as its owner or, in Postgres 17 and later, with the privilege MAINTAIN. */
export async function mayVacuum(db: Queryable, leaf: Leaf): Promise<boolean> {
  const [row] = await db.query<{ is_owner: boolean; knows_maintain: boolean }>({
    text: `select pg_has_role(c.relowner, 'USAGE') as is_owner,
                  exists (select from pg_roles where rolname = 'pg_maintain') as knows_maintain
           from pg_class c where c.oid = $1`,
    values: [leaf.oid],
  });
  if (row === undefined || row.is_owner || !row.knows_maintain) return row?.is_owner ?? false;
  const [granted] = await db.query<{ may: boolean }>({
    text: "select has_table_privilege($1::oid, 'MAINTAIN') as may",
    values: [leaf.oid],
  });
  return granted?.may ?? false;
}

/** Autovacuum's default pace. https://www.postgresql.org/docs/current/runtime-config-vacuum.html */
const COURTEOUS_DELAY = "2ms";

/**
 * Makes the space of deleted rows reusable and updates the planner's statistics, at full speed or at autovacuum's. Skips a
 * locked table.
 */
export async function vacuumTable(db: Queryable, leaf: Leaf, isCourteous: boolean): Promise<void> {
  await db.query({
    text: "select set_config('vacuum_cost_delay', $1, false)",
    values: [isCourteous ? COURTEOUS_DELAY : "0"],
  });
  await db.query({ text: `vacuum (analyze, skip_locked) ${leaf.sql}` });
}
