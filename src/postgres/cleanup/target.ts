/*
 * A table to clean, and the SQL conditions for its rows. Teams store expiry and revocation in many ways; beyond this file there
 * is only one.
 */

import { type Condition, formatCondition } from "./condition.ts";
import { quoteIdentifier, quoteLiteral, type TableName } from "./identifiers.ts";
import type { ReferenceFacts } from "./reference-facts.ts";
import { hasPassed, hasTime, type TimeColumn, type TimeSource } from "./times.ts";

/** What the audit trail records about deleted rows: every key, only their number, or nothing. */
export type CleanupAudit = "rows" | "summary" | "none";

/** A column whose index finds dead rows, and what the rows that it finds have died of. */
export interface IndexedTime {
  readonly time: TimeColumn;
  readonly reason: "expired" | "revoked";
}

/** A table to clean, checked against the catalog. Everything that becomes SQL is quoted or comes from the catalog. */
export interface CleanupTarget extends TableName {
  /** The name for people and for metrics' labels. */
  readonly name: string;
  readonly oid: string;
  readonly isPartitioned: boolean;
  /** Whether other tables inherit from it, whose rows are rows of the target, too. */
  readonly hasChildren: boolean;
  /** Only rows that meet this are the target's. */
  readonly where: Condition;
  /** Undefined if rows of this target do not expire. */
  readonly expiresAt: TimeSource | undefined;
  /** A row is revoked if this time has passed and `revoked` is true; whichever of the two is undefined does not count. */
  readonly revokedAt: TimeSource | undefined;
  readonly revoked: Condition | undefined;
  /** How long dead rows are kept. */
  readonly retention: { readonly expiredMs: number; readonly revokedMs: number };
  readonly key: readonly string[];
  /** Whether the audit trail has hashes of the keys, because a key may be a secret. */
  readonly hashesKeys: boolean;
  /** The column with a row's owner, for statistics. */
  readonly owner: string | undefined;
  readonly audit: CleanupAudit;
  readonly references: readonly ReferenceFacts[];
  /** The other targets whose rows a deletion could reach by ON DELETE CASCADE, and those of the same table. */
  readonly reached: readonly CleanupTarget[];
  /** Undefined if no trigger fires with its deletions; otherwise the tables of which triggers may delete rows. */
  readonly watched: readonly TableName[] | undefined;
  /** Triggers that can keep a row from being deleted without an error. */
  readonly silencers: readonly string[];
  /** The times whose indexes together find all dead rows; undefined if an index is missing. */
  readonly indexedTimes: readonly IndexedTime[] | undefined;
  /** A run deletes no larger share of the rows, unless there are only a few. */
  readonly maxFraction: number;
  /** The first run of a definition deletes no larger share of the rows, however few there are. */
  readonly firstRunMaxFraction: number;
  /** Changes whenever the configuration means other rows. */
  readonly definition: string;
}

/** Whether this is our own table, from which the role deletes by a function of the schema only. */
export function isOwnTable({ schema, table }: TableName): boolean {
  return schema === "apitoken" && table === "tokens";
}

/** The event in the audit trail that a batch of this target writes. */
export function eventOf(target: CleanupTarget): "TokensCleaned" | "RowsCleaned" {
  return isOwnTable(target) ? "TokensCleaned" : "RowsCleaned";
}

/** The alias of a target's table in every statement, unless a function is given another one. */
export const TARGET_ROW = "target";

/** SQL: whether the row is one of the target's; may be null, which means that it is not. */
export function belongs({ where }: Pick<CleanupTarget, "where">, row = TARGET_ROW): string {
  return formatCondition(where, row);
}

/** SQL: whether the row had expired at a moment; may be null, which means that it had not. */
export function hasExpired({ expiresAt }: Pick<CleanupTarget, "expiresAt">, moment: string, row = TARGET_ROW): string {
  return expiresAt === undefined ? "false" : hasPassed(expiresAt, moment, row);
}

/** SQL: whether the row had been revoked at a moment; may be null, which means that it had not. */
export function wasRevoked(
  { revokedAt, revoked }: Pick<CleanupTarget, "revokedAt" | "revoked">,
  moment: string,
  row = TARGET_ROW,
): string {
  const conditions = [
    ...(revokedAt === undefined ? [] : [hasPassed(revokedAt, moment, row)]),
    ...(revoked === undefined ? [] : [formatCondition(revoked, row)]),
  ];
  return conditions.length === 0 ? "false" : `(${conditions.join(" and ")})`;
}

/** SQL: whether the row has a time at which it expires, passed or not; never null. */
export function hasExpiry({ expiresAt }: Pick<CleanupTarget, "expiresAt">, row = TARGET_ROW): string {
  return expiresAt === undefined ? "false" : hasTime(expiresAt, row);
}

/** SQL: whether the row is the target's, dead and past its retention. The moments are SQL of type timestamptz. */
export function isDue(target: CleanupTarget, expiredBefore: string, revokedBefore: string, row = TARGET_ROW): string {
  const ways = [
    ...(target.expiresAt === undefined ? [] : [hasExpired(target, expiredBefore, row)]),
    ...(target.revokedAt === undefined && target.revoked === undefined ? [] : [wasRevoked(target, revokedBefore, row)]),
  ];
  const dead = `(${ways.join(" or ")})`;
  return target.where.length === 0 ? dead : `(${belongs(target, row)} and ${dead})`;
}

/** SQL: the row's key as the audit trail has it: a text, or a JSON array if it has several columns; hashed if it may be secret. */
export function keyAsText({ key, hashesKeys }: Pick<CleanupTarget, "key" | "hashesKeys">, row = TARGET_ROW): string {
  const columns = key.map((column) => `${row}.${quoteIdentifier(column)}`);
  const text = columns.length === 1 ? `${columns[0]}::text` : `json_build_array(${columns.join(", ")})::text`;
  return hashesKeys ? `'sha256:' || encode(sha256(convert_to(${text}, 'UTF8')), 'hex')` : text;
}

/** SQL: a moment that the database has returned as text. */
export function asTimestamp(moment: string): string {
  return `${quoteLiteral(moment)}::timestamptz`;
}
