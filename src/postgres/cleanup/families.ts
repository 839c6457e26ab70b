/*
 * Rows of one table that refer to each other: a token and those that replaced it. They go together or not at all. A row that is due
 * is stuck if any row below it is not, or is kept by another table.
 */
import { isTrue } from "./condition.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "./identifiers.ts";
import {
  areDifferent,
  type CutoffOf,
  findConditions,
  findLinks,
  findNamedConditions,
  matches,
  type NamedCondition,
} from "./references.ts";
import { belongs, type CleanupTarget, hasExpired, isDue, TARGET_ROW } from "./target.ts";

/**
 * SQL: whether a row of the target's own table may go with one that it refers to. A cascade may take a row that is due by another
 * target of the table; otherwise each target deletes its own. Never null.
 */
export function isDueInFamily(target: CleanupTarget, cutoffOf: CutoffOf, row: string): string {
  const isTaken = findLinks(target).every(({ onDelete }) => onDelete === "cascade");
  const due = (isTaken ? ofTable(target) : [target]).map((each) =>
    isTrue(isDue(each, cutoffOf(each, "expiredMs"), cutoffOf(each, "revokedMs"), row)),
  );
  return `(${due.join(" or ")})`;
}

/** SQL: whether a row of the target's own table had expired by the cutoff of whichever target it belongs to. Never null. */
export function hasExpiredByAny(target: CleanupTarget, cutoffOf: CutoffOf, row = TARGET_ROW): string {
  const expired = ofTable(target).map((each) =>
    isTrue(`${belongs(each, row)} and ${hasExpired(each, cutoffOf(each, "expiredMs"), row)}`),
  );
  return `(${expired.join(" or ")})`;
}

/** The target and the others of the same table. */
function ofTable(target: CleanupTarget): CleanupTarget[] {
  return [target, ...target.reached.filter(({ oid }) => oid === target.oid)];
}

/** SQL: whether a row is due and no other table keeps it; never null. */
function isFree(target: CleanupTarget, cutoffOf: CutoffOf, row: string): string {
  return `(${[isDueInFamily(target, cutoffOf, row), ...findConditions(target, cutoffOf, row)].join(" and ")})`;
}

/** SQL: what a query has to know of a row to follow the links from it, in both directions. */
function columnsOf(target: CleanupTarget, row: string): string {
  const columns = new Set(findLinks(target).flatMap((link) => [...link.columns, ...link.referencedColumns]));
  return [
    `${row}.tableoid`,
    `${row}.ctid as place`,
    ...[...columns].map((name) => `${row}.${quoteIdentifier(name)}`),
  ].join(", ");
}

function refersTo(target: CleanupTarget, referring: string, referenced: string): string {
  const ways = findLinks(target).map((link) => `(${matches(link, referring, referenced)})`);
  // Tables that inherit have the column, and not the foreign key.
  const own =
    target.hasChildren && !target.isPartitioned ? ` and ${referring}.tableoid = ${quoteLiteral(target.oid)}::oid` : "";
  return `(${ways.join(" or ")})${own}`;
}

/**
 * SQL: the rows of the whole table that are due and stuck, as a query for FROM with the columns tableoid and place. It reads the
 * table about three times, however long the chains are. Undefined if no rows of the target refer to each other.
 */
export function formatStuck(target: CleanupTarget, cutoffOf: CutoffOf): string | undefined {
  if (findLinks(target).length === 0) return undefined;
  const table = quoteTable(target);
  const isAbove = `exists (select from ${table} as lower
      where ${refersTo(target, "lower", "member")} and not ${isFree(target, cutoffOf, "lower")})`;
  const free = findConditions(target, cutoffOf, "member");
  const kept = free.length === 0 ? [] : [`not (${free.join(" and ")})`];
  const due = (row: string) => isDueInFamily(target, cutoffOf, row);
  return `(with recursive stuck as (
      select ${columnsOf(target, "member")} from ${table} as member
      where ${due("member")} and (${[...kept, isAbove].join(" or ")})
      union
      select ${columnsOf(target, "upper")} from stuck join ${table} as upper on ${refersTo(target, "stuck", "upper")} and ${due("upper")}
    ) select tableoid, place from stuck)`;
}

/** SQL: the same for the rows that a condition on "member" names in a leaf, and all that is below them: it reads only these. */
export function formatStuckAmong(
  target: CleanupTarget,
  cutoffOf: CutoffOf,
  leafSql: string,
  start: string,
): string | undefined {
  if (findLinks(target).length === 0) return undefined;
  const select = `select ${columnsOf(target, "member")}, ${isFree(target, cutoffOf, "member")} as is_free`;
  return `(with recursive family as (
      ${select} from only ${leafSql} as member where ${start}
      union
      ${select} from family join ${quoteTable(target)} as member on ${refersTo(target, "member", "family")}
    ), stuck as (
      select * from family where not is_free
      union
      select upper.* from stuck join family as upper on ${refersTo(target, "stuck", "upper")}
    ) select tableoid, place from stuck)`;
}

/** What keeps a row of the target, as conditions that are true if it does not, each with its foreign key. */
export function findHolders(target: CleanupTarget, cutoffOf: CutoffOf): NamedCondition[] {
  const stuck = formatStuck(target, cutoffOf);
  const [reference] = findLinks(target);
  const conditions = findNamedConditions(target, cutoffOf);
  if (stuck === undefined || reference === undefined) return conditions;
  return [...conditions, { reference, sql: isNotAmong(stuck) }];
}

/** SQL: whether the target's row is not among the rows of such a query. */
export function isNotAmong(stuck: string): string {
  return `not exists (select from ${stuck} as stuck where stuck.tableoid = ${TARGET_ROW}.tableoid and stuck.place = ${TARGET_ROW}.ctid)`;
}

/**
 * SQL: whether no other row refers to the target's row. Rows in several partitions cannot be deleted in one statement of a leaf, so
 * there the last ones of a family go first. Undefined if the rows of a family are in one leaf.
 */
export function isLast(target: CleanupTarget): string | undefined {
  if (findLinks(target).length === 0 || !isDivided(target)) return undefined;
  const lower = `select from ${quoteTable(target)} as lower where ${refersTo(target, "lower", TARGET_ROW)}`;
  return `not exists (${lower} and ${areDifferent("lower", TARGET_ROW)})`;
}

/** Whether the rows may be in several tables. */
export function isDivided({ isPartitioned, hasChildren }: CleanupTarget): boolean {
  return isPartitioned || hasChildren;
}
