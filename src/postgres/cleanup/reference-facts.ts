/*
 * The foreign keys that decide what else a deletion takes, and what prevents it. They are followed through all levels, because
 * Postgres does so, too, and reports nothing.
 */
import type { Queryable } from "../database.ts";
import { quoteTable, type TableName } from "./identifiers.ts";
import { ancestors, wholeTree } from "./tree.ts";

/** Another table that has rows of the same kind: one that the referring table is a partition or child of, or one of its own. */
export interface Relative extends TableName {
  readonly oid: string;
  readonly isBelow: boolean;
}

/** A foreign key of the table with this name; the columns are its own, in the order of `referencedColumns`. */
export interface ReferenceFacts extends TableName {
  readonly constraint: string;
  /** The referring table. */
  readonly oid: string;
  /** Whether its partitions have the foreign key, too; a table that inherits has not. */
  readonly isPartitioned: boolean;
  /** The table that it refers to: the target, or one that a cascade reaches. */
  readonly toOid: string;
  readonly columns: readonly string[];
  readonly referencedColumns: readonly string[];
  readonly onDelete: "cascade" | "restrict" | "no action" | "set null" | "set default";
  /** The relations whose rows it can refer to, if these are not all that store rows of the table; oids. */
  readonly onlyIn: readonly string[] | null;
  /** The tables above and below the referring one: its rows are theirs, and some of its rows may be theirs. */
  readonly relatives: readonly Relative[];
  /** Whether one of the columns that ON DELETE SET NULL sets must not be null, so that it fails. */
  readonly isRequired: boolean;
  /** Whether an index begins with the columns; without one, every deletion reads the referring table through. */
  readonly isIndexed: boolean;
  readonly hasUsage: boolean;
  readonly mayRead: boolean;
}

const columnNames = (relation: string, numbers: string) =>
  `(select json_agg(a.attname order by n.place) from unnest(${numbers}) with ordinality as n (number, place)
    join pg_attribute a on a.attrelid = ${relation} and a.attnum = n.number)`;

/** SQL: the relations whose foreign keys concern rows of a reached table. */
const RELATED = `lateral (
    select relid from ${wholeTree("reached.node")} tree union select relid from pg_partition_ancestors(reached.node)
  ) as related on true`;

/** SQL: whether Postgres acts on a foreign key at all. Before 18, which has NOT ENFORCED, the catalog has no such column. */
const IS_ENFORCED = "coalesce((to_jsonb(f) ->> 'conenforced')::boolean, true)";

/** SQL: the numbers of the columns that are set, if not all of them are. Before 15, the catalog has no such column. */
const SET_COLUMNS = "(to_jsonb(f) ->> 'confdelsetcols')::jsonb";

/** A cascade continues from a table through what refers to it, to the partitioned table that it belongs to, or to its partitions. */
const READ = `
  with recursive reached as (
    select $1::oid as node
    union
    select f.conrelid from reached join ${RELATED}
      join pg_constraint f on f.confrelid = related.relid
    where f.contype = 'f' and f.conparentid = 0 and f.confdeltype = 'c' and ${IS_ENFORCED}
  )
  select distinct f.oid as id, reached.node::text as "toOid", f.conname as constraint, n.nspname as schema,
         c.relname as table, c.oid::text as oid,
         c.relkind = 'p' as "isPartitioned",
         ${columnNames("f.conrelid", "f.conkey")}::text as columns,
         ${columnNames("f.confrelid", "f.confkey")}::text as "referencedColumns",
         case f.confdeltype when 'c' then 'cascade' when 'r' then 'restrict' when 'n' then 'set null'
           when 'd' then 'set default' else 'no action' end as "onDelete",
         case when exists (select from pg_inherits i where i.inhparent = reached.node) and (
             f.confrelid <> reached.node or (select relkind from pg_class where oid = f.confrelid) <> 'p')
           and f.confrelid not in (select relid from pg_partition_ancestors(reached.node) where relid <> reached.node)
           then array(select coalesce(p.relid, f.confrelid)::oid::text
                      from (select 1) as one left join pg_partition_tree(f.confrelid) p on p.isleaf) end as "onlyIn",
         (select coalesce(json_agg(json_build_object('oid', r.oid::text, 'schema', rn.nspname, 'table', r.relname,
              'isBelow', kin.is_below) order by r.oid), '[]')
          from (select relid, true as is_below from ${wholeTree("c.oid")} tree
                union all select relid, false from ${ancestors("c.oid")} tree) as kin
            join pg_class r on r.oid = kin.relid join pg_namespace rn on rn.oid = r.relnamespace
          where r.oid <> c.oid)::text as relatives,
         exists (select from unnest(f.conkey) as number join pg_attribute a on a.attrelid = c.oid and a.attnum = number
                 where a.attnotnull and coalesce(${SET_COLUMNS} @> to_jsonb(number), true)) as "isRequired",
         exists (select from pg_index i where i.indrelid = c.oid and i.indisvalid and i.indpred is null
                 and (i.indkey::smallint[])[0:cardinality(f.conkey) - 1] @> f.conkey) as "isIndexed",
         has_schema_privilege(n.oid, 'USAGE') as "hasUsage", has_table_privilege(c.oid, 'SELECT') as "mayRead"
  from reached join ${RELATED}
    join pg_constraint f on f.confrelid = related.relid
    join pg_class c on c.oid = f.conrelid join pg_namespace n on n.oid = c.relnamespace
  where f.contype = 'f' and f.conparentid = 0 and ${IS_ENFORCED}
  order by schema, "table", f.conname`;

/** SQL: the rows that have the foreign key. */
export function quoteReferring(reference: ReferenceFacts): string {
  return `${reference.isPartitioned ? "" : "only "}${quoteTable(reference)}`;
}

type Row = Omit<ReferenceFacts, "columns" | "referencedColumns" | "relatives"> & {
  id: number;
  columns: string;
  referencedColumns: string;
  relatives: string;
};

/** The foreign keys that refer to a table, and to every table that ON DELETE CASCADE reaches from it. */
export async function readReferences(db: Queryable, oid: string): Promise<ReferenceFacts[]> {
  const rows = await db.query<Row & Record<string, unknown>>({ text: READ, values: [oid] });
  return rows.map(({ id: _, columns, referencedColumns, relatives, ...row }) => ({
    ...row,
    columns: JSON.parse(columns) as string[],
    referencedColumns: JSON.parse(referencedColumns) as string[],
    relatives: JSON.parse(relatives) as Relative[],
  }));
}
