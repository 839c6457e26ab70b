/*
 * Tables that may be worth a target, for `cleanup suggest`: their columns, and a bounded sample of values.
 */
import type { Queryable } from "../database.ts";
import { isReportedByServer } from "../errors.ts";
import { quoteIdentifier, quoteTable, type TableName } from "./identifiers.ts";
import { wholeTree } from "./tree.ts";
import { VALUE_TYPE } from "./value-type.ts";

export interface CandidateColumn {
  readonly name: string;
  /** As format_type returns it; that of the values, if the column's type is a domain. */
  readonly type: string;
  /** Those of an enum. */
  readonly labels?: readonly string[] | null;
  /** Whether a value has at most one character or bit. */
  readonly isSingle?: boolean;
}

/** A table with a column that may say when a row ends. */
export interface CandidateTable extends TableName {
  readonly columns: readonly CandidateColumn[];
  /** Whether the session's role may read it; otherwise the login may. */
  readonly mayRead: boolean;
  readonly bytes: number;
}

/** Names that are worth a closer look, in any spelling. */
const NAMES =
  "exp|valid_?(until|to|till|for)|not_?after|revo|invalidated|consumed|redeemed|logged_?out|terminated|" +
  "last_?(act|used|seen|acc|ref|sess)|ttl|lifetime|max_?(age|inactive)";

const COLUMNS = `(select json_agg(json_build_object('name', a.attname, 'type', format_type(value.oid, null),
      'isSingle', value.oid = '"char"'::regtype or value.oid = 'bpchar'::regtype and value.typmod = 5
        or value.oid = 'bit'::regtype and value.typmod = 1,
      'labels', (select json_agg(e.enumlabel order by e.enumsortorder) from pg_enum e where e.enumtypid = value.oid)) order by a.attnum)
    from pg_attribute a cross join lateral ${VALUE_TYPE} value
    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`;

/** A catalog of more candidates than this is not looked at completely. */
export const MOST_CANDIDATES = 2_000;

/**
 * The tables that the role or the login may read and that have such a column or one of the names; neither partitions nor those of
 * extensions.
 */
export function findCandidates(db: Queryable, names: readonly string[]): Promise<CandidateTable[]> {
  return db.query<CandidateTable & Record<string, unknown>>({
    text: `select n.nspname as schema, c.relname as table,
                  has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') as "mayRead",
                  (select coalesce(sum(greatest(tree_class.relpages, 0)), 0)::float8 * 8192
                   from ${wholeTree("c.oid")} tree join pg_class tree_class on tree_class.oid = tree.relid) as bytes,
                  ${COLUMNS} as columns
           from pg_class c join pg_namespace n on n.oid = c.relnamespace
           where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence <> 't'
             and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'apitoken')
             and not exists (select from pg_inherits i where i.inhrelid = c.oid)
             and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
             and (c.relname = any ($2) or exists (
               select from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attname ~* $1))
             and (has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT')
               or has_schema_privilege(session_user, n.oid, 'USAGE') and has_table_privilege(session_user, c.oid, 'SELECT'))
           order by 1, 2 limit ${MOST_CANDIDATES}`,
    values: [NAMES, names],
  });
}

/** Limits for statements that nobody should wait for. */
export async function limitLooks(db: Queryable, statementMs: number, lockMs: number): Promise<void> {
  await db.query({
    text: "select set_config('statement_timeout', $1, false), set_config('lock_timeout', $2, false), set_config('default_transaction_read_only', 'on', false)",
    values: [String(statementMs), String(lockMs)],
  });
}

const SAMPLE_ROWS = 1_000;
const SAMPLE_BYTES = 2 ** 20;

/** Values of some columns as text, row by row; a text why there are none. */
export async function sampleValues(
  db: Queryable,
  table: CandidateTable,
  columns: readonly string[],
): Promise<(string | null)[][] | string> {
  const percent = Math.min(100, (100 * SAMPLE_BYTES) / Math.max(1, table.bytes));
  try {
    return await readSample(db, table, columns, percent);
  } catch (error) {
    if (!isReportedByServer(error)) throw error;
    return (error as Error).message;
  }
}

async function readSample(db: Queryable, table: TableName, columns: readonly string[], percent: number) {
  const values = columns.map((column) => `${quoteIdentifier(column)}::text`).join(", ");
  const sample = percent < 100 ? ` tablesample system (${percent})` : "";
  const rows = await db.query<{ row: (string | null)[] }>({
    text: `select array[${values}] as row from ${quoteTable(table)}${sample} limit ${SAMPLE_ROWS}`,
  });
  return rows.map(({ row }) => row);
}
