/*
 * Targets are other people's tables, about which nothing is known in advance. Everything that decides whether and how they can
 * be cleaned is read in one query, so that all of it is from the same moment.
 */
import type { Queryable } from "../database.ts";
import type { TableName } from "./identifiers.ts";

export interface ColumnFacts {
  readonly name: string;
  /** As format_type returns it: "timestamp with time zone", "bigint", "app.status" … */
  readonly type: string;
  readonly isNullable: boolean;
}

export interface IndexFacts {
  readonly name: string;
  readonly columns: readonly (string | null)[];
  readonly method: string;
  readonly isPartial: boolean;
  readonly isUnique: boolean;
}

/** A foreign key of another table, or of this one, that refers to this table. */
export interface ReferenceFacts {
  readonly constraint: string;
  readonly schema: string;
  readonly table: string;
  readonly columns: readonly string[];
  readonly referencedColumns: readonly string[];
  readonly onDelete: "cascade" | "restrict" | "no action" | "set null" | "set default";
  readonly mayRead: boolean;
}

/** What the catalog knows about a relation; rights are those of the session's role. */
export interface TableFacts extends TableName {
  readonly oid: string;
  readonly kind: "table" | "partitioned" | "view" | "materialized view" | "foreign table" | "other";
  readonly owner: string;
  readonly isOwner: boolean;
  readonly hasUsage: boolean;
  readonly maySelect: boolean;
  readonly mayDelete: boolean;
  readonly mayUpdate: boolean;
  readonly columns: readonly ColumnFacts[];
  /** The columns of the primary key, otherwise of a unique index without nulls; empty if there is neither. */
  readonly key: readonly string[];
  readonly indexes: readonly IndexFacts[];
  readonly references: readonly ReferenceFacts[];
  /** User-defined row triggers that fire on DELETE. */
  readonly triggers: readonly string[];
  /** The planner's estimate for all partitions together; -1 if it has none. */
  readonly estimatedRows: number;
  readonly partitionedBy: { readonly strategy: string; readonly columns: readonly (string | null)[] } | null;
  /** The leaf partitions on which this role lacks SELECT, DELETE or UPDATE; quoted names, for SQL. */
  readonly closedPartitions: readonly string[];
}

const KINDS = `case c.relkind when 'r' then 'table' when 'p' then 'partitioned' when 'v' then 'view'
  when 'm' then 'materialized view' when 'f' then 'foreign table' else 'other' end`;

const columnNames = (relation: string, numbers: string) =>
  `(select coalesce(json_agg(a.attname order by n.place), '[]') from unnest(${numbers}) with ordinality as n (number, place)
    left join pg_attribute a on a.attrelid = ${relation} and a.attnum = n.number and n.number > 0)`;

const COLUMNS = `(select json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, null),
    'isNullable', not a.attnotnull) order by a.attnum)
  from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`;

const INDEXES = `(select coalesce(json_agg(json_build_object('name', ic.relname, 'method', am.amname,
    'isPartial', i.indpred is not null, 'isUnique', i.indisunique,
    'columns', ${columnNames("c.oid", "i.indkey::smallint[]")}) order by ic.relname), '[]')
  from pg_index i join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam
  where i.indrelid = c.oid and i.indisvalid)`;

const KEY = `coalesce((select ${columnNames("c.oid", "i.indkey::smallint[]")}
  from pg_index i
  where i.indrelid = c.oid and i.indisunique and i.indisvalid and i.indpred is null and i.indexprs is null
    and (i.indisprimary or not exists (
      select from unnest(i.indkey::smallint[]) as number join pg_attribute a on a.attrelid = c.oid and a.attnum = number
      where not a.attnotnull))
  order by not i.indisprimary, i.indnkeyatts, i.indexrelid limit 1), '[]')`;

const REFERENCES = `(select coalesce(json_agg(json_build_object('constraint', f.conname, 'schema', fn.nspname,
    'table', fc.relname, 'columns', ${columnNames("f.conrelid", "f.conkey")},
    'referencedColumns', ${columnNames("c.oid", "f.confkey")},
    'onDelete', case f.confdeltype when 'c' then 'cascade' when 'r' then 'restrict' when 'n' then 'set null'
      when 'd' then 'set default' else 'no action' end,
    'mayRead', has_schema_privilege(fn.oid, 'USAGE') and has_table_privilege(fc.oid, 'SELECT')) order by f.conname), '[]')
  from pg_constraint f join pg_class fc on fc.oid = f.conrelid join pg_namespace fn on fn.oid = fc.relnamespace
  where f.confrelid = c.oid and f.contype = 'f' and f.conparentid = 0)`;

const TRIGGERS = `(select coalesce(json_agg(t.tgname order by t.tgname), '[]') from pg_trigger t
  where t.tgrelid = c.oid and not t.tgisinternal and t.tgtype & 9 = 9 and t.tgenabled <> 'D')`;

const PARTITIONED_BY = `(select json_build_object(
    'strategy', case p.partstrat when 'r' then 'range' when 'l' then 'list' else 'hash' end,
    'columns', ${columnNames("c.oid", "p.partattrs::smallint[]")})
  from pg_partitioned_table p where p.partrelid = c.oid)`;

/** SQL: the leaf partitions of a partitioned table; none for a plain table. */
const LEAVES = `(select l.oid, l.relkind, format('%I.%I', ln.nspname, l.relname) as name, greatest(l.reltuples, -1) as reltuples
  from pg_partition_tree(c.oid) tree join pg_class l on l.oid = tree.relid join pg_namespace ln on ln.oid = l.relnamespace
  where tree.isleaf and tree.relid <> c.oid)`;

/** Everything that the catalog knows about a table; undefined if there is no such relation. */
export async function readTableFacts(db: Queryable, name: TableName): Promise<TableFacts | undefined> {
  const [row] = await db.query<{ facts: TableFacts }>({
    text: `select json_build_object(
        'oid', c.oid::text, 'schema', n.nspname, 'table', c.relname, 'kind', ${KINDS},
        'owner', pg_get_userbyid(c.relowner), 'isOwner', pg_has_role(c.relowner, 'USAGE'),
        'hasUsage', has_schema_privilege(n.oid, 'USAGE'),
        'maySelect', has_table_privilege(c.oid, 'SELECT'), 'mayDelete', has_table_privilege(c.oid, 'DELETE'),
        'mayUpdate', has_any_column_privilege(c.oid, 'UPDATE'),
        'columns', ${COLUMNS}, 'key', ${KEY}, 'indexes', ${INDEXES}, 'references', ${REFERENCES},
        'triggers', ${TRIGGERS}, 'partitionedBy', ${PARTITIONED_BY},
        'estimatedRows', case when c.relkind = 'p'
          then coalesce((select sum(greatest(reltuples, 0)) from ${LEAVES} as leaf), 0) else c.reltuples end,
        'closedPartitions', coalesce((select json_agg(leaf.name order by leaf.name) from ${LEAVES} as leaf
          where leaf.relkind = 'r' and not (has_table_privilege(leaf.oid, 'SELECT')
            and has_table_privilege(leaf.oid, 'DELETE') and has_any_column_privilege(leaf.oid, 'UPDATE'))), '[]')
      ) as facts
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    values: [name.schema, name.table],
  });
  return row?.facts;
}

/** Whether Postgres knows a time zone with this name. */
export async function isTimeZone(db: Queryable, name: string): Promise<boolean> {
  const [row] = await db.query<{ is_known: boolean }>({
    text: "select exists (select from pg_timezone_names where name = $1) as is_known",
    values: [name],
  });
  return row?.is_known ?? false;
}
