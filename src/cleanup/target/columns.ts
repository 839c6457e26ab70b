/*
 * Fits the columns that a target names to those that its table has.
 */
import type { ColumnFacts, TableFacts } from "../../postgres/cleanup/catalog.ts";
import { type Condition, type Constant, formatConstant } from "../../postgres/cleanup/condition.ts";
import { formatTableName, quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import type { TimeColumn, TimeSource } from "../../postgres/cleanup/times.ts";
import type { TargetConfig, TimeConfig } from "./config.ts";

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

const NUMBERS = new Set(["smallint", "integer", "bigint", "numeric", "real", "double precision"]);

/** A constant (SQL) that has to be a value of a column's type. Only the database knows whether it is. */
export interface ConstantUse {
  readonly field: string;
  readonly column: string;
  readonly type: string;
  readonly constant: string;
}

/** Columns by name, with messages for those that do not fit. */
export interface ColumnReader {
  find(field: string, column: string): ColumnFacts | undefined;
  readTimes(field: string, times: readonly TimeConfig[] | undefined): TimeSource | undefined;
  readCondition(field: string, condition: Condition | undefined): void;
  /** The constants of everything that has been read. */
  readonly constants: readonly ConstantUse[];
  /** The values of `never` that no time column which has been read can have. */
  readonly unusedNever: readonly Constant[];
}

/** `fail` is called with a message for each fault. */
export function createColumnReader(
  facts: TableFacts,
  config: TargetConfig,
  fail: (message: string) => void,
): ColumnReader {
  const columns = new Map(facts.columns.map((column) => [column.name, column]));
  const constants: ConstantUse[] = [];
  const usedNever = new Set<Constant>();
  const noteConstants = (field: string, { name, type }: ColumnFacts, values: readonly Constant[]) => {
    for (const value of values) constants.push({ field, column: name, type, constant: formatConstant(value) });
  };
  const find = (field: string, column: string) => {
    const found = columns.get(column);
    if (found === undefined) fail(`${field}: ${describeMissing(facts, column)}`);
    return found;
  };
  const readTime = (field: string, time: TimeConfig): TimeColumn | undefined => {
    const found = find(field, time.column);
    const seconds = time.plusSeconds === undefined ? undefined : find(`${field}.plusSeconds`, time.plusSeconds);
    if (seconds !== undefined && !NUMBERS.has(seconds.type)) {
      fail(
        `${field}.plusSeconds: ${quoteIdentifier(seconds.name)} is of type ${seconds.type}; it must be a number of seconds`,
      );
    }
    const read = found && readTimeColumn(found, config);
    if (typeof read === "string") fail(`${field}: ${read}`);
    if (found === undefined || read === undefined || typeof read === "string") return undefined;
    const added = config.never.filter((value) => isAddedTo(found, value));
    for (const value of added) usedNever.add(value);
    // A number is compared with any other, however large; a text has to be a value of the column's type.
    const never = NUMBERS.has(found.type) ? added.map(({ text }) => ({ type: "number" as const, text })) : added;
    if (never === added) noteConstants("never", found, never);
    return { ...read, plusMs: time.plusMs, plusSeconds: time.plusSeconds, never };
  };

  return {
    find,
    readTimes(field, times) {
      const read = times?.map((time) => readTime(field, time)).filter((time) => time !== undefined);
      return read?.length === times?.length ? read : undefined;
    },
    readCondition(field, condition = []) {
      for (const { column, values } of condition) {
        const found = find(field, column);
        if (found === undefined) continue;
        const wrong = values.find((value) => !fits(found, value));
        if (wrong === undefined) noteConstants(field, found, values);
        else
          fail(
            `${field}: ${quoteIdentifier(column)} is of type ${found.type} and cannot be compared with ${formatConstant(wrong)}`,
          );
      }
    },
    constants,
    get unusedNever() {
      return config.never.filter((value) => !usedNever.has(value));
    },
  };
}

/** Whether a value of `never` is meant for a column: one list is for columns with numbers and for columns with times. */
function isAddedTo({ type }: ColumnFacts, value: Constant): boolean {
  const isNumber = value.type === "number" || /^-?\d+(\.\d+)?$/.test(value.text);
  return NUMBERS.has(type) ? isNumber : value.type === "text";
}

/** Names in another case are the usual mistake: unquoted, "expiresAt" is expiresat, and YAML takes one pair of quotes for itself. */
function describeMissing(facts: TableFacts, column: string): string {
  const names = facts.columns.map(({ name }) => name);
  const near = names.find((name) => name.toLowerCase() === column.toLowerCase());
  const missing = `${formatTableName(facts)} has no column ${quoteIdentifier(column)}`;
  if (near === undefined) return `${missing}; it has ${names.join(", ")}`;
  return `${missing}, but ${quoteIdentifier(near)}; in YAML, write it with two kinds of quotes: '${quoteIdentifier(near)}'`;
}

/** The column as a time, or why it cannot be used as one. */
function readTimeColumn(
  { name, type }: ColumnFacts,
  { timezone, epoch }: TargetConfig,
): Pick<TimeColumn, "column" | "kind" | "type" | "timezone"> | string {
  const kind = KINDS[type];
  if (kind === undefined) {
    return `${quoteIdentifier(name)} is of type ${type}; it must be timestamptz, timestamp, date, or a number of seconds, milliseconds or microseconds since 1970`;
  }
  if (kind === "number") {
    return epoch === undefined
      ? `${quoteIdentifier(name)} is a number; say in epoch whether it counts seconds, milliseconds or microseconds`
      : { column: name, kind: epoch, type, timezone: "UTC" };
  }
  if (kind !== "timestamptz" && timezone === undefined) {
    return `${quoteIdentifier(name)} is of type ${type}; say in timezone in which time zone it is meant, such as UTC: a wrong guess would delete rows hours too early`;
  }
  return { column: name, kind, type, timezone: timezone ?? "UTC" };
}

function fits({ type }: ColumnFacts, { type: constant }: Constant): boolean {
  if (constant === "boolean") return type === "boolean";
  if (constant === "number") return NUMBERS.has(type);
  return type !== "boolean" && !NUMBERS.has(type);
}

/** Types whose values are numbers, times or truths: no secret is written as one. */
const HARMLESS = new Set([...NUMBERS, "boolean", "date", "timestamp with time zone", "timestamp without time zone"]);

/** Whether a key with these columns may be a secret: in many systems the session's id, a text, is what the client presents. */
export function mayBeSecret(facts: TableFacts, key: readonly string[]): boolean {
  return facts.columns.some(({ name, type }) => key.includes(name) && !HARMLESS.has(type));
}
