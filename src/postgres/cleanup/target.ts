/*
 * A table to clean, and the SQL conditions for its rows. Teams store expiry and revocation in many ways; beyond this file there
 * is only one.
 */
import type { ReferenceFacts } from "./catalog.ts";
import { quoteIdentifier, quoteLiteral, quoteTable, type TableName } from "./identifiers.ts";

/** A column with a time, in one of the representations that tables use. */
export interface TimeColumn {
  readonly column: string;
  readonly kind: "timestamptz" | "timestamp" | "date" | "seconds" | "milliseconds";
  /** The column's type, as format_type returns it. */
  readonly type: string;
  /** The time zone of a timestamp or date without one. */
  readonly timezone: string;
  /** The column with a grace in seconds, or null, during which a row is not dead yet; only beside a timestamptz. */
  readonly graceSeconds?: string;
}

/** A comparison that is true for revoked rows, whenever they were revoked. */
export interface Comparison {
  readonly column: string;
  readonly equals: string | number | boolean;
}

/** What the audit trail records about deleted rows: every key, only their number, or nothing. */
export type CleanupAudit = "rows" | "summary" | "none";

/** A table to clean, checked against the catalog. Everything that becomes SQL is quoted or comes from the catalog. */
export interface CleanupTarget extends TableName {
  /** The name for people and for metrics' labels. */
  readonly name: string;
  readonly oid: string;
  readonly isPartitioned: boolean;
  readonly expiresAt: TimeColumn;
  /** A row is revoked if this time has passed and `revoked` is true; whichever of the two is undefined does not count. */
  readonly revokedAt: TimeColumn | undefined;
  readonly revoked: Comparison | undefined;
  /** How long dead rows are kept. */
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  readonly key: readonly string[];
  /** The column with a row's owner, for statistics. */
  readonly owner: string | undefined;
  readonly audit: CleanupAudit;
  readonly references: readonly ReferenceFacts[];
  /** The times whose indexes together find all dead rows; undefined if an index is missing. */
  readonly indexedTimes: readonly TimeColumn[] | undefined;
  /** A run deletes no larger share of the rows, if there are more than a thousand. */
  readonly maxFraction: number;
}

/** Whether this is our own table, from which the role deletes by a function of the schema only. */
export function isOwnTable({ schema, table }: TableName): boolean {
  return schema === "apitoken" && table === "tokens";
}

/** The event in the audit trail that a batch of this target writes. */
export function eventOf(target: CleanupTarget): "TokensCleaned" | "RowsCleaned" {
  return isOwnTable(target) ? "TokensCleaned" : "RowsCleaned";
}

/** SQL: a moment (SQL of type timestamptz) in the column's representation. */
export function momentAs({ kind, timezone }: TimeColumn, moment: string): string {
  switch (kind) {
    case "timestamptz":
      return moment;
    case "timestamp":
      return `(${moment} at time zone ${quoteLiteral(timezone)})`;
    case "date":
      return `(${moment} at time zone ${quoteLiteral(timezone)})::date`;
    case "seconds":
      return `floor(extract(epoch from ${moment}))::bigint`;
    case "milliseconds":
      return `floor(extract(epoch from ${moment}) * 1000)::bigint`;
  }
}

/** SQL: whether the column's time has passed at a moment; null if the column is. A date has passed when its day is over. */
export function hasPassed(time: TimeColumn, moment: string): string {
  const column = quoteIdentifier(time.column);
  const passed = `${column} ${time.kind === "date" ? "<" : "<="} ${momentAs(time, moment)}`;
  if (time.graceSeconds === undefined) return passed;
  // The grace's end implies the first condition, which an index serves.
  const grace = `make_interval(secs => coalesce(${quoteIdentifier(time.graceSeconds)}, 0))`;
  // Subtracted, because an expiry near the end of Postgres' time cannot be added to.
  return `(${passed} and ${column} <= ${moment} - ${grace})`;
}

/** The first and the last second of the years with at most four digits. */
const CALENDAR_SECONDS = [-62_135_596_800, 253_402_300_799] as const;

/** SQL: the column's time as a timestamptz; null if it is infinity or a number that stands for "never". */
export function asMoment(time: TimeColumn): string {
  const column = quoteIdentifier(time.column);
  const [first, last] = CALENDAR_SECONDS;
  const within = (from: string | number, to: string | number, moment: string) =>
    `case when ${column} between ${from} and ${to} then ${moment} end`;
  const zone = quoteLiteral(time.timezone);
  switch (time.kind) {
    case "timestamptz":
      return within("'0001-01-01'", "'9999-12-31'", column);
    case "timestamp":
      return within("'0001-01-01'", "'9999-12-31'", `${column} at time zone ${zone}`);
    case "date":
      return within("'0001-01-01'", "'9999-12-31'", `(${column} + 1)::timestamp at time zone ${zone}`);
    case "seconds":
      return within(first, last, `to_timestamp(${column})`);
    case "milliseconds":
      return within(first * 1_000, last * 1_000, `to_timestamp(${column} / 1000.0)`);
  }
}

/** SQL: whether the row was revoked before a moment; undefined if rows of this table cannot be revoked. */
export function isRevoked({ revokedAt, revoked }: CleanupTarget, moment: string): string | undefined {
  const conditions = [
    ...(revokedAt === undefined ? [] : [hasPassed(revokedAt, moment)]),
    ...(revoked === undefined ? [] : [`${quoteIdentifier(revoked.column)} = ${formatConstant(revoked.equals)}`]),
  ];
  return conditions.length === 0 ? undefined : conditions.join(" and ");
}

function formatConstant(value: Comparison["equals"]): string {
  return typeof value === "string" ? quoteLiteral(value) : String(value);
}

/** SQL: whether the row is dead and past its retention. The moments are SQL of type timestamptz. */
export function isDue(target: CleanupTarget, expiredBefore: string, revokedBefore: string): string {
  const revoked = isRevoked(target, revokedBefore);
  const expired = hasPassed(target.expiresAt, expiredBefore);
  return revoked === undefined ? `(${expired})` : `(${expired} or (${revoked}))`;
}

/** SQL: the row's key as text, or as a JSON array if it has several columns. */
export function keyAsText({ key }: CleanupTarget): string {
  const columns = key.map(quoteIdentifier);
  return columns.length === 1 ? `${columns[0]}::text` : `json_build_array(${columns.join(", ")})::text`;
}

/** SQL: a moment that the database has returned as text. */
export function asTimestamp(moment: string): string {
  return `${quoteLiteral(moment)}::timestamptz`;
}

/** SQL: conditions that are false for a row of `target` if rows refer to it that would not be deleted with it. */
export function findObstacles({ references }: Pick<CleanupTarget, "references">): string[] {
  return references
    .filter(({ onDelete }) => onDelete === "restrict" || onDelete === "no action")
    .map((reference) => {
      const matches = reference.columns.map(
        (column, place) =>
          `referring.${quoteIdentifier(column)} = target.${quoteIdentifier(reference.referencedColumns[place] ?? "")}`,
      );
      return `not exists (select from ${quoteTable(reference)} as referring where ${matches.join(" and ")})`;
    });
}
