/*
 * Triggers of an application fire with each deletion, and may delete other rows, of which no catalog says which. So what a batch has
 * deleted is counted before it is committed, and a batch in which a trigger has deleted anything else is rolled back.
 */
import type { Queryable } from "../database.ts";
import type { Deleted } from "./batches.ts";
import { countRows } from "./counts.ts";
import { formatTableName, type TableName } from "./identifiers.ts";
import type { ReferenceFacts } from "./reference-facts.ts";
import type { CleanupTarget } from "./target.ts";
import { wholeTree } from "./tree.ts";

/** A trigger that fires when rows of a target are deleted: on the target itself, or on a table that a foreign key reaches from it. */
export interface TriggerFacts extends TableName {
  /** Its name and that of its function, quoted where they need it. */
  readonly name: string;
  readonly function: string;
  readonly isOwn: boolean;
  /** Whether it can keep a row of the target from being deleted without an error. */
  readonly isSilencer: boolean;
}

/** Bits of pg_trigger.tgtype (src/include/catalog/pg_trigger.h). */
const [ROW, BEFORE, DELETE, UPDATE] = [1, 2, 8, 16] as const;

/** The triggers that deletions fire. An update is what ON DELETE SET NULL does to the rows that refer to a deleted one. */
export async function readTriggers(
  db: Queryable,
  oid: string,
  references: readonly ReferenceFacts[],
): Promise<TriggerFacts[]> {
  return db.query<TriggerFacts & { [column: string]: unknown }>({
    text: `select distinct quote_ident(t.tgname) as name, n.nspname as schema, c.relname as table, t.tgfoid::regproc::text as function,
             known.oid = $1::oid as "isOwn", known.oid = $1::oid and t.tgtype & ${ROW | BEFORE} = ${ROW | BEFORE} as "isSilencer"
           from unnest($1::oid || $2::oid[]) as known (oid) cross join lateral ${wholeTree("known.oid")} tree
             join pg_trigger t on t.tgrelid = tree.relid
             join pg_class c on c.oid = known.oid join pg_namespace n on n.oid = c.relnamespace
           where not t.tgisinternal and t.tgenabled not in ('D', 'R')
             and t.tgtype & (case when known.oid = $1::oid then ${DELETE} else ${DELETE | UPDATE} end) > 0
           order by 5 desc, 2, 3, 1`,
    values: [oid, references.filter((reference) => reference.oid !== oid).map((reference) => reference.oid)],
  });
}

/** A trigger has deleted other rows than those of the batch. */
export class TriggeredDeletion extends Error {
  readonly tables: readonly string[];

  constructor(tables: readonly string[]) {
    super(`a trigger deletes rows of ${tables.join(", ")} with it`);
    this.tables = tables;
  }
}

interface Count extends TableName {
  readonly oid: string;
  /** The target, or the table that refers to it, of which this one stores rows; null if it is none of them. */
  readonly known: string | null;
  readonly deleted: number;
  readonly [column: string]: unknown;
}

/**
 * Call it at the beginning of a transaction. What it returns takes what the batch has deleted by its own count, throws a
 * `TriggeredDeletion` if more is gone, and returns the count with what triggers may delete. Deferred triggers fire then.
 */
export async function watchTriggers(
  session: Queryable,
  target: CleanupTarget,
): Promise<(deleted: Deleted) => Promise<Deleted>> {
  const before = new Map((await countDeletions(session, target)).map(({ oid, deleted }) => [oid, deleted]));
  return async (deleted) => {
    await session.query({ text: "set constraints all immediate" });
    const gone = new Map<string, number>();
    for (const count of await countDeletions(session, target)) {
      const name = nameOf(target, count);
      gone.set(name, (gone.get(name) ?? 0) + count.deleted - (before.get(count.oid) ?? 0));
    }
    const own = formatTableName(target);
    const expected = { ...deleted.taken, [own]: countRows(deleted) + (deleted.taken[own] ?? 0) };
    const excess = [...gone].filter(([name, rows]) => rows > (expected[name] ?? 0));
    const allowed = new Set((target.watched ?? []).map(formatTableName));
    const forbidden = excess.flatMap(([name]) => (allowed.has(name) ? [] : [name]));
    if (forbidden.length > 0) throw new TriggeredDeletion(forbidden);
    const taken = { ...deleted.taken, ...Object.fromEntries(excess) };
    return { ...deleted, taken, cascaded: Object.values(taken).reduce((sum, rows) => sum + rows, 0) };
  };
}

function nameOf(target: CleanupTarget, { known, ...table }: Count): string {
  if (known === target.oid) return formatTableName(target);
  return formatTableName(target.references.find(({ oid }) => oid === known) ?? table);
}

/** Since the last transactions' counts are sent to the server only now and then, they may be among them: only differences count. */
async function countDeletions(session: Queryable, { oid, references }: CleanupTarget): Promise<Count[]> {
  return session.query<Count>({
    text: `select c.oid::text as oid, n.nspname as schema, c.relname as table, pg_stat_get_xact_tuples_deleted(c.oid)::integer as deleted,
             (select known.oid::text from unnest($1::oid[]) as known (oid)
              where c.oid in (select relid from ${wholeTree("known.oid")} tree) limit 1) as known
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.relkind = 'r' and n.nspname not like 'pg\\_%' and n.nspname <> 'apitoken'
             and pg_stat_get_xact_tuples_deleted(c.oid) > 0`,
    values: [[oid, ...references.map((reference) => reference.oid)]],
  });
}
