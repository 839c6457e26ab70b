/*
 * Checks whether a target can be cleaned as configured, so that a mistake in a column, a type or a right ends a run before it
 * deletes anything.
 */
import type { ColumnFacts, TableFacts } from "../postgres/cleanup/catalog.ts";
import { formatTableName, quoteIdentifier, quoteTable } from "../postgres/cleanup/identifiers.ts";
import { type CleanupTarget, isOwnTable, type TimeColumn } from "../postgres/cleanup/target.ts";
import type { CheckFinding } from "./check-finding.ts";
import { adviseOn, findIndexedTimes } from "./target-advice.ts";
import type { TargetConfig } from "./target-config.ts";

export interface CheckedTarget {
  readonly name: string;
  /** Undefined if there are errors. */
  readonly target: CleanupTarget | undefined;
  readonly findings: readonly CheckFinding[];
}

/** The column types that can hold a time, and the kind of each. */
const KINDS: Readonly<Record<string, TimeColumn["kind"] | "number">> = {
  "timestamp with time zone": "timestamptz",
  "timestamp without time zone": "timestamp",
  date: "date",
  integer: "number",
  bigint: "number",
  numeric: "number",
  "double precision": "number",
};

/** Checks a target of the configuration against the catalog. `facts` is undefined if the table does not exist. */
export function checkTarget(
  config: TargetConfig,
  facts: TableFacts | undefined,
  defaultMaxFraction: number,
): CheckedTarget {
  const name = formatTableName(config.table);
  const findings: CheckFinding[] = [];
  const fail = (message: string) => void findings.push({ level: "error", message });
  if (facts === undefined) {
    fail(`there is no table ${name} in this database`);
    return { name, target: undefined, findings };
  }
  for (const message of [...findWrongKind(facts, name), ...findMissingRights(facts)]) fail(message);

  const columns = new Map(facts.columns.map((column) => [column.name, column]));
  const find = (field: string, column: string): ColumnFacts | undefined => {
    const found = columns.get(column);
    if (found === undefined)
      fail(`${field}: ${name} has no column ${quoteIdentifier(column)}; it has ${[...columns.keys()].join(", ")}`);
    return found;
  };
  const readTime = (field: string, column: string): TimeColumn | undefined => {
    const found = find(field, column);
    if (found === undefined) return undefined;
    const result = readTimeColumn(found, config);
    if (typeof result === "string") fail(`${field}: ${result}`);
    return typeof result === "string" ? undefined : result;
  };

  const { graceSeconds } = config;
  const expiry = readTime("expiresAt", config.expiresAt);
  const expiresAt = expiry && (graceSeconds === undefined ? expiry : { ...expiry, graceSeconds });
  const revokedAt = config.revokedAt === undefined ? undefined : readTime("revokedAt", config.revokedAt);
  if (config.revoked !== undefined) {
    const found = find("revoked", config.revoked.column);
    const fault = found && findComparisonFault(found, config.revoked.equals);
    if (fault !== undefined) fail(`revoked: ${fault}`);
  }
  for (const column of config.key ?? []) find("key", column);
  if (config.owner !== undefined) find("owner", config.owner);
  const key = config.key ?? facts.key;
  if (key.length === 0 && config.audit === "rows") {
    fail(
      `audit: "rows" needs a key, and ${name} has no primary key and no unique index without nulls; name columns in key, or choose "summary"`,
    );
  }
  for (const { schema, table, mayRead, onDelete } of facts.references) {
    if (!mayRead && (onDelete === "cascade" || onDelete === "restrict" || onDelete === "no action")) {
      fail(
        `${formatTableName({ schema, table })} refers to it and may not be read: grant select on ${quoteTable({ schema, table })} to apitoken_cleanup`,
      );
    }
  }
  if (expiresAt === undefined || findings.some(({ level }) => level === "error"))
    return { name, target: undefined, findings };

  const target: CleanupTarget = {
    ...config.table,
    name,
    oid: facts.oid,
    isPartitioned: facts.kind === "partitioned",
    expiresAt,
    revokedAt,
    revoked: config.revoked,
    retention: config.retention,
    key,
    owner: config.owner,
    audit: config.audit,
    references: facts.references,
    indexedTimes: findIndexedTimes({ expiresAt, revokedAt, revoked: config.revoked }, facts),
    maxFraction: config.maxFraction ?? defaultMaxFraction,
  };
  return { name, target, findings: [...findings, ...adviseOn(target, facts)] };
}

function findWrongKind({ kind }: TableFacts, name: string): string[] {
  if (kind === "table" || kind === "partitioned") return [];
  const shown = kind === "other" ? "not a table" : `a ${kind}`;
  return [`${name} is ${shown}, and rows can be deleted from tables only; name the table behind it`];
}

function findMissingRights(facts: TableFacts): string[] {
  const table = quoteTable(facts);
  if (!facts.hasUsage)
    return [
      `the schema is closed to the role: grant usage on schema ${quoteIdentifier(facts.schema)} to apitoken_cleanup`,
    ];
  if (isOwnTable(facts)) return [];
  const missing = [
    ...(facts.maySelect ? [] : ["select"]),
    ...(facts.mayDelete ? [] : ["delete"]),
    // Needed for FOR UPDATE only, since nothing is ever updated: one column is enough.
    ...(facts.mayUpdate || facts.columns.length === 0
      ? []
      : [`update (${quoteIdentifier(facts.key[0] ?? facts.columns[0]?.name ?? "")})`]),
  ];
  return [
    ...(missing.length === 0
      ? []
      : [`the role lacks rights: grant ${missing.join(", ")} on ${table} to apitoken_cleanup`]),
    ...facts.closedPartitions.map(
      (partition) =>
        `the role lacks rights on a partition: grant select, delete, update on ${partition} to apitoken_cleanup`,
    ),
  ];
}

/** The column as a time, or why it cannot be used as one. */
function readTimeColumn({ name, type }: ColumnFacts, { timezone, epoch }: TargetConfig): TimeColumn | string {
  const kind = KINDS[type];
  if (kind === undefined) {
    return `${quoteIdentifier(name)} is of type ${type}; it must be timestamptz, timestamp, date, or a number of seconds or milliseconds since 1970`;
  }
  if (kind === "number") {
    return epoch === undefined
      ? `${quoteIdentifier(name)} is a number; say in epoch whether it counts seconds or milliseconds`
      : { column: name, kind: epoch, type, timezone: "UTC" };
  }
  if (kind !== "timestamptz" && timezone === undefined) {
    return `${quoteIdentifier(name)} is of type ${type}; say in timezone in which time zone it is meant, such as UTC: a wrong guess would delete rows hours too early`;
  }
  return { column: name, kind, type, timezone: timezone ?? "UTC" };
}

const NUMBERS = new Set(["smallint", "integer", "bigint", "numeric"]);

function findComparisonFault({ name, type }: ColumnFacts, constant: string | number | boolean): string | undefined {
  const isRight =
    typeof constant === "boolean"
      ? type === "boolean"
      : typeof constant === "number"
        ? NUMBERS.has(type)
        : type !== "boolean" && !NUMBERS.has(type);
  return isRight
    ? undefined
    : `${quoteIdentifier(name)} is of type ${type} and cannot be compared with ${JSON.stringify(constant)}`;
}
