/*
 * How many rows of other tables go with those of a target, by table and through all levels.
 */
import type { Queryable } from "../database.ts";
import type { Cutoffs } from "./counts.ts";
import { formatDue } from "./due.ts";
import { formatTableName, quoteIdentifier, quoteTable } from "./identifiers.ts";
import { quoteReferring, type ReferenceFacts } from "./reference-facts.ts";
import { findCascaded, matches } from "./references.ts";
import type { CleanupTarget } from "./target.ts";
import { wholeTree } from "./tree.ts";

/** The columns of a target's rows that its cascades match with. */
export function findCascadeColumns({ oid, references }: CleanupTarget): string[] {
  const cascades = references.filter((reference) => reference.toOid === oid && reference.onDelete === "cascade");
  return [...new Set(cascades.flatMap(({ referencedColumns }) => referencedColumns))];
}

/** How many rows of a table go with those of a target, and how many it has in all. */
export interface Cascade {
  readonly table: string;
  readonly rows: number;
  readonly total: number;
}

/** Counts what a run would take by cascades, in one statement. The totals of large tables are the planner's estimates. */
export async function countCascades(db: Queryable, target: CleanupTarget, cutoffs: Cutoffs): Promise<Cascade[]> {
  const count = formatCascadeCount(target, "taken");
  if (count === undefined) return [];
  const [row] = await db.query<{ counts: Record<string, number> }>({
    text: `with recursive taken as materialized (${formatTaken(target, cutoffs)}), ${count.parts}
           select ${count.counts} as counts`,
  });
  const cascades: Cascade[] = [];
  for (const table of findCascaded(target)) {
    const name = formatTableName(table);
    cascades.push({ table: name, rows: row?.counts[name] ?? 0, total: await countAll(db, table) });
  }
  return cascades;
}

/** The due rows, and those of the same table that go with them: another target's, where several share a table. */
function formatTaken(target: CleanupTarget, cutoffs: Cutoffs): string {
  const columns = ["tableoid", ...findCascadeColumns(target).map(quoteIdentifier)];
  const select = (alias: string) =>
    `select ${columns.map((column) => `${alias}.${column}`).join(", ")} from ${quoteTable(target)} as ${alias}`;
  const due = `${select("target")} where ${formatDue(target, cutoffs)}`;
  const refersToOwn = formatOwn(target, target.oid);
  return refersToOwn === "" ? due : `${due} union ${select("member")} join taken as upper on ${refersToOwn}`;
}

/** SQL: whether the row `member` of a table goes with the row `upper` of the same table; empty if none does. */
function formatOwn({ references }: CleanupTarget, table: string): string {
  return references
    .filter(({ onDelete, oid, toOid }) => onDelete === "cascade" && oid === table && toOid === table)
    .map((reference) => `(${matches(reference, "member", "upper")})`)
    .join(" or ");
}

/** A table of more than this (1 GiB) is not read through only to count it. */
const LARGEST_COUNTED_BYTES = 2 ** 30;

async function countAll(db: Queryable, { oid, ...table }: ReferenceFacts): Promise<number> {
  const [size] = await db.query<{ bytes: string; estimate: string }>({
    text: `select coalesce(sum(pg_table_size(c.oid)), 0) as bytes, coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint as estimate
           from ${wholeTree("$1::oid")} tree join pg_class c on c.oid = tree.relid where c.relkind = 'r'`,
    values: [oid],
  });
  if (Number(size?.bytes ?? 0) > LARGEST_COUNTED_BYTES) return Number(size?.estimate ?? 0);
  const [row] = await db.query<{ count: string }>({ text: `select count(*) from ${quoteTable(table)}` });
  return Number(row?.count ?? 0);
}

/** SQL: parts of WITH RECURSIVE, and an expression that counts the rows of each table. */
export interface CascadeCount {
  readonly parts: string;
  /** The part that has the rows of a table. */
  readonly nameOf: (oid: string) => string;
  /** SQL of type jsonb: an object from the names of tables to numbers of rows. */
  readonly counts: string;
}

/**
 * Counts what goes with the rows in `taken`, a part of WITH that has the columns of `findCascadeColumns` and tableoid. In the same
 * statement as the deletion it counts what there was before. Undefined if no other table is reached.
 */
export function formatCascadeCount(target: CleanupTarget, taken: string): CascadeCount | undefined {
  const tables = findCascaded(target);
  if (tables.length === 0) return undefined;
  const nameOf = (oid: string) =>
    oid === target.oid ? taken : `taken_${tables.findIndex((table) => table.oid === oid)}`;
  const parts = tables.map((table) => `${nameOf(table.oid)} as ${formatTable(target, table, nameOf)}`);
  const counts = tables.map(
    (table) => `'${formatTableName(table).replaceAll("'", "''")}', (select count(*) from ${nameOf(table.oid)})`,
  );
  return { nameOf, parts: parts.join(", "), counts: `jsonb_build_object(${counts.join(", ")})` };
}

function formatTable(target: CleanupTarget, table: ReferenceFacts, nameOf: (oid: string) => string): string {
  const cascades = target.references.filter(({ onDelete }) => onDelete === "cascade");
  const columns = new Set(
    cascades.filter(({ toOid }) => toOid === table.oid).flatMap(({ referencedColumns }) => referencedColumns),
  );
  const shown = [...columns].map((column) => `member.${quoteIdentifier(column)}`);
  const select = `select ${["member.tableoid", "member.ctid as place", ...shown].join(", ")} from ${quoteReferring(table)} as member`;
  const from = cascades.filter(({ oid, toOid }) => oid === table.oid && toOid !== oid);
  const isTaken = from
    .map(
      (reference) =>
        `exists (select from ${nameOf(reference.toOid)} as upper where ${matches(reference, "member", "upper")})`,
    )
    .join(" or ");
  const refersToOwn = formatOwn(target, table.oid);
  if (refersToOwn === "") return `(${select} where ${isTaken})`;
  return `(${select} where ${isTaken} union ${select} join ${nameOf(table.oid)} as upper on ${refersToOwn})`;
}
