/*
 * Targets are other people's tables, about which nothing is known in advance. Everything that decides whether and how they can
 * be cleaned is read in one query, so that all of it is from the same moment.
 */
import type { Queryable } from "../database.ts";
import { reportedState } from "../errors.ts";
import type { TableName } from "./identifiers.ts";
import { HIDDEN, RESTRICTED, type RestrictivePolicy, RULES, type RuleFacts, UNIDENTIFIED } from "./obstacles.ts";
import { type ReferenceFacts, readReferences } from "./reference-facts.ts";
import { wholeTree } from "./tree.ts";
import { readTriggers, type TriggerFacts } from "./triggers.ts";
import { VALUE_TYPE } from "./value-type.ts";

export interface ColumnFacts {
  readonly name: string;
  /** As format_type returns it: "timestamp with time zone", "bigint", "app.status" … */
  readonly type: string;
  readonly isNullable: boolean;
  /** Whether it is computed when it is read (generated, VIRTUAL). */
  readonly isVirtual: boolean;
}

export interface IndexFacts {
  readonly name: string;
  readonly columns: readonly (string | null)[];
  readonly method: string;
  readonly isPartial: boolean;
  readonly isUnique: boolean;
}

/** What the catalog knows about a relation; rights are those of the session's role. */
export interface TableFacts extends TableName {
  readonly oid: string;
  readonly kind: "table" | "partitioned" | "view" | "materialized view" | "foreign table" | "other";
  readonly owner: string;
  readonly isOwner: boolean;
  readonly isOwnerSuperuser: boolean;
  readonly hasUsage: boolean;
  readonly maySelect: boolean;
  readonly mayDelete: boolean;
  readonly mayUpdate: boolean;
  readonly columns: readonly ColumnFacts[];
  /** The columns of the primary key, otherwise of a unique index without nulls; empty if there is neither. */
  readonly key: readonly string[];
  readonly indexes: readonly IndexFacts[];
  /** The foreign keys that refer to it, and to every table that ON DELETE CASCADE reaches from it. */
  readonly references: readonly ReferenceFacts[];
  /** Whether there is a foreign key to it or to a partition, even one that is not enforced: Postgres then detaches no partition in use. */
  readonly isReferredTo: boolean;
  readonly triggers: readonly TriggerFacts[];
  /** Whether the server counts what a transaction deletes (track_counts, which only a superuser can turn off). */
  readonly countsDeletions: boolean;
  /** Rules for DELETE: Postgres refuses what the batches do as long as there is one. */
  readonly rules: readonly RuleFacts[];
  /** The planner's estimate for all partitions together; -1 if it has none. */
  readonly estimatedRows: number;
  readonly partitionedBy: { readonly strategy: string; readonly columns: readonly (string | null)[] } | null;
  /** Whether plain tables inherit from it. */
  readonly hasChildren: boolean;
  /** The partitions and children on which this role lacks a right; quoted names, for SQL. */
  readonly closedPartitions: readonly string[];
  /** The schemas of partitions and children that are closed to this role; quoted names, for SQL. */
  readonly closedSchemas: readonly string[];
  /** The partitions and children that are foreign tables; quoted names. */
  readonly foreignPartitions: readonly string[];
  /** The table, its partitions and children of which row-level security may hide rows from this role; quoted names, for SQL. */
  readonly hidden: readonly string[];
  /** Restrictive policies that may hide rows from this role. */
  readonly restricted: readonly RestrictivePolicy[];
  /** Those that a publication publishes although their deleted rows could not be told apart; quoted names, for SQL. */
  readonly unidentified: readonly string[];
}

const KINDS = `case c.relkind when 'r' then 'table' when 'p' then 'partitioned' when 'v' then 'view'
  when 'm' then 'materialized view' when 'f' then 'foreign table' else 'other' end`;

const columnNames = (relation: string, numbers: string) =>
  `(select coalesce(json_agg(a.attname order by n.place), '[]') from unnest(${numbers}) with ordinality as n (number, place)
    left join pg_attribute a on a.attrelid = ${relation} and a.attnum = n.number and n.number > 0)`;

const COLUMNS = `(select json_agg(json_build_object('name', a.attname, 'type', format_type(value.oid, null),
    'isNullable', not a.attnotnull, 'isVirtual', a.attgenerated = 'v') order by a.attnum)
  from pg_attribute a cross join lateral ${VALUE_TYPE} value
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`;

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

const PARTITIONED_BY = `(select json_build_object(
    'strategy', case p.partstrat when 'r' then 'range' when 'l' then 'list' else 'hash' end,
    'columns', ${columnNames("c.oid", "p.partattrs::smallint[]")})
  from pg_partitioned_table p where p.partrelid = c.oid)`;

/** SQL: the partitions and children that store rows. */
const LEAVES = `(select l.oid, l.relkind, ln.oid as schema, format('%I.%I', ln.nspname, l.relname) as name, greatest(l.reltuples, -1) as reltuples
  from ${wholeTree("c.oid")} tree join pg_class l on l.oid = tree.relid join pg_namespace ln on ln.oid = l.relnamespace
  where tree.relid <> c.oid and l.relkind in ('r', 'f'))`;

/** Everything that the catalog knows about a table; undefined if there is no such relation. */
export async function readTableFacts(db: Queryable, name: TableName): Promise<TableFacts | undefined> {
  const [row] = await db.query<{ facts: Omit<TableFacts, "references" | "triggers"> }>({
    text: `select json_build_object(
        'oid', c.oid::text, 'schema', n.nspname, 'table', c.relname, 'kind', ${KINDS},
        'owner', pg_get_userbyid(c.relowner), 'isOwner', pg_has_role(c.relowner, 'USAGE'),
        'isOwnerSuperuser', (select rolsuper from pg_roles where oid = c.relowner),
        'hasUsage', has_schema_privilege(n.oid, 'USAGE'),
        'maySelect', has_table_privilege(c.oid, 'SELECT'), 'mayDelete', has_table_privilege(c.oid, 'DELETE'),
        'mayUpdate', has_any_column_privilege(c.oid, 'UPDATE'),
        'columns', ${COLUMNS}, 'key', ${KEY}, 'indexes', ${INDEXES},
        'countsDeletions', current_setting('track_counts')::boolean,
        'rules', ${RULES}, 'partitionedBy', ${PARTITIONED_BY},
        'isReferredTo', exists (select from ${wholeTree("c.oid")} tree join pg_constraint f on f.confrelid = tree.relid
          where f.contype = 'f'),
        'hasChildren', c.relkind = 'r' and exists (select from pg_inherits i where i.inhparent = c.oid),
        'estimatedRows', case when c.relkind = 'p'
          then coalesce((select sum(greatest(reltuples, 0)) from ${LEAVES} as leaf), 0) else c.reltuples end,
        'closedPartitions', coalesce((select json_agg(leaf.name order by leaf.name) from ${LEAVES} as leaf
          where leaf.relkind = 'r' and not (has_table_privilege(leaf.oid, 'SELECT')
            and has_table_privilege(leaf.oid, 'DELETE') and has_any_column_privilege(leaf.oid, 'UPDATE'))), '[]'),
        'closedSchemas', coalesce((select json_agg(distinct quote_ident(ln.nspname))
          from ${LEAVES} as leaf join pg_namespace ln on ln.oid = leaf.schema
          where ln.oid <> n.oid and not has_schema_privilege(ln.oid, 'USAGE')), '[]'),
        'foreignPartitions', coalesce((select json_agg(leaf.name order by leaf.name) from ${LEAVES} as leaf
          where leaf.relkind = 'f'), '[]'),
        'hidden', ${HIDDEN}, 'restricted', ${RESTRICTED}, 'unidentified', ${UNIDENTIFIED}
      ) as facts
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    values: [name.schema, name.table],
  });
  if (row === undefined) return undefined;
  const references = await readReferences(db, row.facts.oid);
  return { ...row.facts, references, triggers: await readTriggers(db, row.facts.oid, references) };
}

/** The time zone with this name as Postgres writes it, in any case of letters; undefined if there is none. */
export async function findTimeZone(db: Queryable, name: string): Promise<string | undefined> {
  const [row] = await db.query<{ name: string }>({
    text: "select name from pg_timezone_names where lower(name) = lower($1) order by name = $1 desc limit 1",
    values: [name],
  });
  return row?.name;
}

/** A table whose name differs from this one only in case or in its schema; undefined if there is none. */
export async function findNearTable(db: Queryable, { schema, table }: TableName): Promise<TableName | undefined> {
  const [row] = await db.query<TableName>({
    text: `select n.nspname as schema, c.relname as table from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where lower(c.relname) = lower($2) and c.relkind in ('r', 'p')
             and n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
           order by lower(n.nspname) = lower($1) desc, c.relname = $2 desc, n.nspname, c.relname limit 1`,
    values: [schema, table],
  });
  return row;
}

/** Why Postgres does not take a constant (SQL) as a value of a type; undefined if it does. */
export async function findConstantFault(db: Queryable, constant: string, type: string): Promise<string | undefined> {
  try {
    await db.query({ text: `select cast(${constant} as ${type}), null::${type} in (${constant})` });
    return undefined;
  } catch (error) {
    if (!CONSTANT_FAULTS.test(reportedState(error) ?? "")) throw error;
    return (error as Error).message;
  }
}

/** Data exceptions, and casts and operators that do not exist. https://www.postgresql.org/docs/current/errcodes-appendix.html */
const CONSTANT_FAULTS = /^22|^42846$|^42883$|^42804$|^23514$/;
