/*
 * Rows that a deletion could take by a cascade may change while it is decided whether they may go: a token is extended, a session
 * gets a new one. So what is to be deleted, and all that would go with it, is locked first, and judged again under the locks.
 */
import type { Queryable } from "../database.ts";
import { type BatchOptions, type BatchResult, deleteBatch, type Leaf } from "./batches.ts";
import { findCascadeColumns, formatCascadeCount } from "./cascades.ts";
import { countRows } from "./counts.ts";
import { isDivided } from "./families.ts";
import { listDue } from "./held.ts";
import { quoteIdentifier } from "./identifiers.ts";
import { quoteReferring } from "./reference-facts.ts";
import { findGuardedTables, findLinks, matches } from "./references.ts";
import type { CleanupTarget } from "./target.ts";
import { watchTriggers } from "./triggers.ts";

/**
 * Like `deleteBatch`, in several statements of one transaction. Rows below a row of the same table go in the same batch. Throws a
 * `TriggeredDeletion` if a trigger has deleted rows that it may not.
 */
export async function deleteGuarded(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: BatchOptions,
): Promise<BatchResult> {
  // Each statement has to see what others have committed while it waited for their locks.
  await session.query({ text: "begin isolation level read committed" });
  try {
    const check = target.watched === undefined ? undefined : await watchTriggers(session, target);
    const lock = options.maxRows === undefined ? options.onLockedRow : "skip";
    const { places, last } = await listDue(session, target, leaf, { ...options, except: [], lock });
    await lockBelow(session, target, leaf, places);
    await lockReached(session, target, leaf, places);
    const result = await deleteBatch(session, target, leaf, {
      ...options,
      range: { places },
      onLockedRow: "wait",
      maxRows: undefined,
    });
    const deleted = check === undefined ? result : await check(result);
    await session.query({ text: "commit" });
    return { ...deleted, last: countRows(result) > 0 ? last : undefined };
  } catch (error) {
    await session.query({ text: "rollback" }).catch(() => {}); // the first error is the cause
    throw error;
  }
}

/**
 * Locks the rows of the leaf that refer to these rows, at any level, and adds their places. Looks again until there are no more,
 * because a row may get a new one below it until it is locked.
 */
async function lockBelow(session: Queryable, target: CleanupTarget, leaf: Leaf, places: string[]): Promise<void> {
  const links = findLinks(target);
  if (links.length === 0 || isDivided(target)) return;
  const columns = [...new Set(links.flatMap(({ referencedColumns }) => referencedColumns))].map(quoteIdentifier);
  const select = `select ${[...columns.map((column) => `member.${column}`), "member.tableoid", "member.ctid as place"].join(", ")}
                  from only ${leaf.sql} as member`;
  const refersTo = links.map((link) => `(${matches(link, "member", "below")})`).join(" or ");
  while (places.length > 0) {
    const below = await session.query<{ place: string }>({
      text: `with recursive below as (
               ${select} where member.ctid = any ($1::tid[]) union ${select} join below on ${refersTo}
             )
             select place::text from below except select unnest($1::tid[])::text`,
      values: [places],
    });
    if (below.length === 0) return;
    const locked = await session.query<{ place: string }>({
      text: `select target.ctid::text as place from only ${leaf.sql} as target where target.ctid = any ($1::tid[]) for update`,
      values: [below.map(({ place }) => place)],
    });
    places.push(...locked.map(({ place }) => place));
  }
}

/**
 * Locks the rows of other targets that the deletion of these rows would take. A row that changes while its lock is waited for is
 * another version in another place, so it looks again until all are locked.
 */
async function lockReached(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  places: readonly string[],
): Promise<void> {
  const count = formatCascadeCount(target, "taken");
  if (count === undefined || places.length === 0) return;
  const columns = findCascadeColumns(target).map((column) => `target.${quoteIdentifier(column)}`);
  const parts = `with recursive taken as (
      select ${["target.tableoid", ...columns].join(", ")} from only ${leaf.sql} as target where target.ctid = any ($1::tid[])
    ), ${count.parts}`;
  for (const table of findGuardedTables(target)) {
    const taken = count.nameOf(table.oid);
    const name = (row: string, place: string) => `${row}.tableoid || ' ' || ${row}.${place}`;
    const known = new Set<string>();
    for (let isComplete = false; !isComplete; ) {
      const locked = await session.query<{ name: string }>({
        text: `${parts} select ${name("reached", "ctid")} as name from ${quoteReferring(table)} as reached
               where (reached.tableoid, reached.ctid) in (select tableoid, place from ${taken}) for update`,
        values: [places],
      });
      for (const row of locked) known.add(row.name);
      const all = await session.query<{ name: string }>({
        text: `${parts} select ${name(taken, "place")} as name from ${taken}`,
        values: [places],
      });
      isComplete = all.every((row) => known.has(row.name));
    }
  }
}
