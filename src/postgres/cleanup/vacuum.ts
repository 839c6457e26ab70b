import type { Queryable } from "../database.ts";
import type { Leaf } from "./batches.ts";

/** Whether this session may VACUUM the table: by MAINTAIN where the server knows it (17 and later), or as its owner. */
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

/** The pace of autovacuum, by default. https://www.postgresql.org/docs/current/runtime-config-vacuum.html */
const COURTEOUS_DELAY = "2ms";

/**
 * Frees the deleted rows' space for new ones and renews the planner's statistics; leaves a locked table alone. At full
 * speed, or at autovacuum's.
 */
export async function vacuumTable(db: Queryable, leaf: Leaf, isCourteous: boolean): Promise<void> {
  await db.query({
    text: "select set_config('vacuum_cost_delay', $1, false)",
    values: [isCourteous ? COURTEOUS_DELAY : "0"],
  });
  await db.query({ text: `vacuum (analyze, skip_locked) ${leaf.sql}` });
}
