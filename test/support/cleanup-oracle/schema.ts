/*
 * The tables of a case as SQL, and the configuration that the cleanup gets for them.
 */
import {
  type Case,
  findReached,
  keyColumns,
  listTargets,
  type Reference,
  type Table,
  type Target,
  type Test,
} from "./case.ts";

const KEY_TYPES = {
  bigint: { id: "bigint" },
  text: { id: "text" },
  uuid: { id: "uuid" },
  pair: { realm: "text", id: "integer" },
} as const;

/** SQL: the tables in a schema, without rows, and what the cleanup's role needs. */
export function formatSchema({ tables }: Case, schema: string): string {
  return [
    `create schema ${schema}`,
    `create type ${schema}.state as enum ('active', 'used', 'revoked')`,
    `grant usage on schema ${schema} to apitoken_cleanup, oracle_owner`,
    ...tables.flatMap((table) => formatTable(table, tables, schema)),
    `grant select, delete, update on all tables in schema ${schema} to apitoken_cleanup`,
    ...tables.flatMap(({ name, storage }) =>
      storage.kind === "partitioned" && storage.isOwned ? [`call oracle.give('${schema}.${name}')`] : [],
    ),
  ].join(";\n");
}

function formatTable(table: Table, tables: readonly Table[], schema: string): string[] {
  const { name, key, times, lasts, storage, parent, self } = table;
  const other = tables.find((each) => each.name === parent?.to);
  const columns = [
    "n integer not null",
    ...Object.entries(KEY_TYPES[key]).map(([column, type]) => `${column} ${type} not null`),
    ...Object.entries(times).map(([column, type]) => `${column} ${type}`),
    `lasts ${lasts}`,
    "kind text, flag boolean, level integer",
    `state ${schema}.state`,
    ...(parent && other ? formatReference("up", other, parent, schema) : []),
    ...(self ? formatReference("own", table, self, schema) : []),
    ...(storage.kind === "partitioned" ? [] : [`primary key (${keyColumns(table).join(", ")})`]),
  ];
  const by = storage.kind === "partitioned" ? " partition by range (ends)" : "";
  return [`create table ${schema}.${name} (${columns.join(", ")})${by}`, ...formatStores(table, schema)];
}

function formatReference(prefix: "up" | "own", to: Table, reference: Reference, schema: string): string[] {
  const { action, isRequired, list, isEnforced } = reference;
  const types: Readonly<Record<string, string>> = KEY_TYPES[to.key];
  const names = keyColumns(to).map((column) => `${prefix}_${column}`);
  const isNotNull = (place: number) => isRequired && (list === undefined || place === 0);
  const set = list === undefined ? "" : ` (${list.map((column) => `${prefix}_${column}`).join(", ")})`;
  return [
    ...keyColumns(to).map(
      (column, place) => `${prefix}_${column} ${types[column]}${isNotNull(place) ? " not null" : ""}`,
    ),
    `foreign key (${names.join(", ")}) references ${schema}.${to.name} on delete ${action}${set}${isEnforced ? "" : " not enforced"}`,
  ];
}

/** Partitions, or the table that inherits. */
function formatStores({ name, storage }: Table, schema: string): string[] {
  if (storage.kind === "inherited") return [`create table ${schema}.${name}_child () inherits (${schema}.${name})`];
  if (storage.kind === "plain") return [];
  const { bounds, hasDefault } = storage;
  const partitions = bounds.slice(1).map((upper, place) => {
    const part = `${schema}.${name}_p${place}`;
    return `create table ${part} partition of ${schema}.${name} for values from (${bounds[place]}) to (${upper})`;
  });
  return [
    ...partitions,
    ...(hasDefault ? [`create table ${schema}.${name}_rest partition of ${schema}.${name} default`] : []),
  ];
}

/** SQL: inserts the rows. Those that no partition takes are left out. */
export function formatRows({ tables }: Case, schema: string): string {
  return tables.map((table) => table.rows.map((row) => formatRow(table, row, schema)).join(";\n")).join(";\n");
}

function formatRow({ name, storage }: Table, { n, values, isInChild }: Table["rows"][number], schema: string): string {
  const table = `${schema}.${name}${isInChild ? "_child" : ""}`;
  const insert = `insert into ${table} (n, ${Object.keys(values).join(", ")}) values (${n}, ${Object.values(values).join(", ")})`;
  return storage.kind === "partitioned" ? `call oracle.try('${insert.replaceAll("'", "''")}')` : insert;
}

/** SQL: the same rows in another schema. */
export function formatCopy({ tables }: Case, from: string, to: string): string {
  const copies = tables.flatMap((table) => {
    const columns = ["n", ...Object.keys(table.rows[0]?.values ?? {})]
      .filter((column) => column !== "state")
      .join(", ");
    const stores = table.storage.kind === "inherited" ? [table.name, `${table.name}_child`] : [table.name];
    return stores.map(
      (store) =>
        `insert into ${to}.${store} (${columns}, state) select ${columns}, state::text::${to}.state
         from ${table.storage.kind === "inherited" ? "only " : ""}${from}.${store}`,
    );
  });
  return copies.join(";\n");
}

const formatWhere = (tests: readonly Test[]) =>
  tests
    .map(({ column, operator, values }) => {
      const shown = values.map((value) => (column === "flag" || column === "level" ? value : `'${value}'`));
      return `${column} ${operator}${operator === "in" ? ` (${shown.join(", ")})` : shown.length > 0 ? ` ${shown[0]}` : ""}`;
    })
    .join(" and ");

/** The targets of a case as the configuration file has them. */
export function formatTargets(trial: Case): Record<string, unknown>[] {
  return listTargets(trial).map(({ table, target }) => formatTarget(target, table, trial.tables, `c${trial.number}`));
}

function formatTarget(target: Target, table: Table, tables: readonly Table[], schema: string): Record<string, unknown> {
  const times = (specs: Target["expiresAt"]) => {
    const list = specs.map(({ column, plus, plusSeconds }) =>
      plus || plusSeconds
        ? { column, ...(plus ? { plus } : {}), ...(plusSeconds ? { plusSeconds: "lasts" } : {}) }
        : column,
    );
    return list.length === 1 ? list[0] : list;
  };
  const reached = findReached(tables, table.name);
  return {
    table: `${schema}.${table.name}`,
    name: `${schema} ${target.name}`,
    ...(target.where.length > 0 ? { where: formatWhere(target.where) } : {}),
    ...(target.expiresAt.length > 0 ? { expiresAt: times(target.expiresAt) } : {}),
    ...(target.revokedAt.length > 0 ? { revokedAt: times(target.revokedAt) } : {}),
    ...(target.revoked.length > 0 ? { revoked: formatWhere(target.revoked) } : {}),
    ...(target.never.length > 0 ? { never: target.never } : {}),
    ...{ timezone: table.zone, epoch: table.unit, retention: target.retention },
    ...{ audit: target.audit, auditKeys: target.auditKeys },
    ...(table.storage.kind === "partitioned" ? { key: keyColumns(table) } : {}),
    ...(reached.length > 0 ? { cascade: reached.map((name) => `${schema}.${name}`) } : {}),
  };
}
