/*
 * Rows that a deletion could take by a cascade may change while it is decided whether they may go: a token is extended, a session
 * gets a new one. So what is to be deleted, and all that would go with it, is locked first, and judged again under the locks.
 */
import type { Queryable } from "../database.ts";
import { type BatchOptions, type BatchResult, deleteBatch, type Leaf } from "./batches.ts";
import { findCascadeColumns, formatCascadeCount } from "./cascades.ts";
import { formatDueRows, rangeValues } from "./due.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { quoteReferring } from "./reference-facts.ts";
import { findGuardedTables, matches, selfCascades } from "./references.ts";
import type { CleanupTarget } from "./target.ts";

/** Like `deleteBatch`, in three statements of one transaction. Rows below a row of the same table go in the same batch. */
export async function deleteGuarded(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: BatchOptions,
): Promise<BatchResult> {
  await session.query({ text: "begin" });
  try {
    const places = await lockDue(session, target, leaf, options);
    const below = places.length === 0 ? [] : await lockBelow(session, target, leaf, places);
    await lockReached(session, target, leaf, [...places, ...below]);
    const time = "time" in options.range ? options.range.time : undefined;
    const range = { places: [...places, ...below], time };
    const result = await deleteBatch(session, target, leaf, {
      ...options,
      range,
      onLockedRow: "wait",
      maxRows: undefined,
    });
    await session.query({ text: "commit" });
    return result;
  } catch (error) {
    await session.query({ text: "rollback" }).catch(() => {}); // the first error is the cause
    throw error;
  }
}

/** The places of the rows of a range that are due, locked. */
async function lockDue(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: BatchOptions,
): Promise<string[]> {
  const skips = options.onLockedRow === "skip" || options.maxRows !== undefined ? " skip locked" : "";
  const rows = await session.query<{ place: string }>({
    text: `select target.ctid::text as place from only ${leaf.sql} as target
           where $1::text is null and ${formatDueRows(target, options)} for update${skips}`,
    values: [null, ...rangeValues(options.range)],
  });
  return rows.map(({ place }) => place);
}

/** The places of the rows of the leaf that refer to these rows, at any level, locked. They are due, too. */
async function lockBelow(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  places: readonly string[],
): Promise<string[]> {
  const cascades = selfCascades(target.references, target.oid);
  if (cascades.length === 0 || target.isPartitioned || target.hasChildren) return [];
  const columns = [...new Set(cascades.flatMap(({ referencedColumns }) => referencedColumns))].map(quoteIdentifier);
  const select = `select ${[...columns.map((column) => `member.${column}`), "member.tableoid", "member.ctid as place"].join(", ")}
                  from only ${leaf.sql} as member`;
  const refersTo = cascades.map((cascade) => `(${matches(cascade, "member", "below")})`).join(" or ");
  const rows = await session.query<{ place: string }>({
    text: `with recursive below as (
             ${select} where member.ctid = any ($1::tid[]) union ${select} join below on ${refersTo}
           )
           select target.ctid::text as place from only ${leaf.sql} as target
           where target.ctid = any (array(select place from below)) and target.ctid <> all ($1::tid[]) for update`,
    values: [places],
  });
  return rows.map(({ place }) => place);
}

/** Locks the rows of other targets that the deletion of these rows would take. */
async function lockReached(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  places: readonly string[],
): Promise<void> {
  const count = formatCascadeCount(target, "taken");
  if (count === undefined || places.length === 0) return;
  const columns = findCascadeColumns(target).map((column) => `target.${quoteIdentifier(column)}`);
  for (const table of findGuardedTables(target)) {
    await session.query({
      text: `with recursive taken as (
               select ${["target.tableoid", ...columns].join(", ")} from only ${leaf.sql} as target where target.ctid = any ($1::tid[])
             ), ${count.parts}
             select 1 from ${quoteReferring(table)} as reached
             where (reached.tableoid, reached.ctid) in (select tableoid, place from ${count.nameOf(table.oid)}) for update`,
      values: [places],
    });
  }
}
