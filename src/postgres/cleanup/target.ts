import type { ReferenceFacts } from "./catalog.ts";
import { quoteIdentifier, quoteLiteral, quoteTable, type TableName } from "./identifiers.ts";

/** A column that holds a time, in one of the ways in which tables have them. */
export interface TimeColumn {
  readonly column: string;
  readonly kind: "timestamptz" | "timestamp" | "date" | "seconds" | "milliseconds";
  /** Of the column, as format_type has it. */
  readonly type: string;
  /** In which a timestamp or a date without one is meant. */
  readonly timezone: string;
}

/** A comparison that says that a row is revoked, whenever that was. */
export interface Comparison {
  readonly column: string;
  readonly equals: string | number | boolean;
}

/** How rows that go are recorded in the audit trail: each key, their number alone, or not at all. */
export type CleanupAudit = "rows" | "summary" | "none";

/** A table to clean, checked against the catalog: whatever is not a name or a number in it comes from there. */
export interface CleanupTarget extends TableName {
  /** For people and labels. */
  readonly name: string;
  readonly oid: string;
  readonly isPartitioned: boolean;
  readonly expiresAt: TimeColumn;
  /** Revoked: the time has passed, the comparison holds, or both where both are there. */
  readonly revokedAt: TimeColumn | undefined;
  readonly revoked: Comparison | undefined;
  /** How long dead rows are kept. */
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  readonly key: readonly string[];
  /** Whom a row belongs to: for the statistics. */
  readonly owner: string | undefined;
  readonly audit: CleanupAudit;
  readonly references: readonly ReferenceFacts[];
  /** The times whose indexes lead to all dead rows between them; undefined where an index is missing. */
  readonly indexedTimes: readonly TimeColumn[] | undefined;
  /** Of more than a thousand rows no larger part is deleted in one run. */
  readonly maxFraction: number;
}

/** The name of the event that a batch of a target leaves. */
export function eventOf({ name }: CleanupTarget): "TokensCleaned" | "RowsCleaned" {
  return name === "apitoken.tokens" ? "TokensCleaned" : "RowsCleaned";
}

/** A moment (SQL of type timestamptz) as the column would have it. */
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

/** SQL: the column's time has passed at a moment. Null where the column is. A date has passed when its day is over. */
export function hasPassed(time: TimeColumn, moment: string): string {
  return `${quoteIdentifier(time.column)} ${time.kind === "date" ? "<" : "<="} ${momentAs(time, moment)}`;
}

/** The first and the last second of the years that people write with four digits. */
const CALENDAR_SECONDS = [-62_135_596_800, 253_402_300_799] as const;

/** SQL: the column's time as a timestamptz; null where no calendar has it: infinity, or a number that means "never". */
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

/** SQL: the row was revoked before a moment; undefined where the table knows no revocation. */
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

/** SQL: the row is dead and past its retention. The moments are SQL of type timestamptz. */
export function isDue(target: CleanupTarget, expiredBefore: string, revokedBefore: string): string {
  const revoked = isRevoked(target, revokedBefore);
  const expired = hasPassed(target.expiresAt, expiredBefore);
  return revoked === undefined ? `(${expired})` : `(${expired} or (${revoked}))`;
}

/** SQL: the row's key as text: its column's, or a JSON array where it has several. */
export function keyAsText({ key }: CleanupTarget): string {
  const columns = key.map(quoteIdentifier);
  return columns.length === 1 ? `${columns[0]}::text` : `json_build_array(${columns.join(", ")})::text`;
}

/** SQL: a moment that the database has told as text. */
export function asTimestamp(moment: string): string {
  return `${quoteLiteral(moment)}::timestamptz`;
}

/** SQL conditions that spare a row (of `target`) to which rows refer that would not go with it. */
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
