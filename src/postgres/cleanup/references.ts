/*
 * What goes with a row, and what keeps it. Postgres follows ON DELETE CASCADE through all levels without a word, so before a row is
 * deleted, everything that it would take is looked at: rows that something else refers to would make the deletion fail, and rows
 * that are not due themselves must not be taken.
 */
import { isTrue } from "./condition.ts";
import { quoteIdentifier, quoteLiteral, quoteTable } from "./identifiers.ts";
import { quoteReferring, type ReferenceFacts } from "./reference-facts.ts";
import { belongs, type CleanupTarget, isDue, TARGET_ROW } from "./target.ts";
import { wholeTree } from "./tree.ts";

/** SQL of type timestamptz: the time since which a row of a target must have been dead to be due. */
export type CutoffOf = (target: CleanupTarget, reason: "expiredMs" | "revokedMs") => string;

/** The cutoffs of every target at a moment (SQL of type timestamptz). */
export function cutoffsAt(moment: string): CutoffOf {
  return ({ retention }, reason) => `(${moment} - make_interval(secs => ${retention[reason] / 1_000}))`;
}

/** Whether a foreign key keeps rows that it refers to from being deleted. */
export function isBlocking({ onDelete, isRequired }: ReferenceFacts): boolean {
  return onDelete === "restrict" || onDelete === "no action" || (onDelete === "set null" && isRequired);
}

const isSelf = ({ oid, toOid }: ReferenceFacts) => oid === toOid;

/** The foreign keys through which a deletion takes rows of a table itself. */
export function selfCascades(references: readonly ReferenceFacts[], oid: string): ReferenceFacts[] {
  return references.filter(
    (reference) => reference.toOid === oid && isSelf(reference) && reference.onDelete === "cascade",
  );
}

/** The tables, other than the target's, that ON DELETE CASCADE reaches; each once, those that refer to others after these. */
export function findCascaded({ oid, references }: Pick<CleanupTarget, "oid" | "references">): ReferenceFacts[] {
  const order: ReferenceFacts[] = [];
  const visit = (toOid: string) => {
    for (const reference of references) {
      if (reference.toOid !== toOid || reference.onDelete !== "cascade" || isSelf(reference)) continue;
      const place = order.findIndex((known) => known.oid === reference.oid);
      if (place >= 0) order.splice(place, 1);
      order.push(reference);
      visit(reference.oid);
    }
  };
  if (findCircle({ oid, references }) === undefined) visit(oid);
  return order;
}

/** The tables of a circle of cascades, each of which takes rows of the next; undefined if there is none. One table alone is none. */
export function findCircle({
  oid,
  references,
}: Pick<CleanupTarget, "oid" | "references">): ReferenceFacts[] | undefined {
  const follow = (toOid: string, path: readonly ReferenceFacts[]): ReferenceFacts[] | undefined => {
    for (const reference of references) {
      if (reference.toOid !== toOid || reference.onDelete !== "cascade" || isSelf(reference)) continue;
      const next = [...path, reference];
      if (reference.oid === oid || path.some((known) => known.oid === reference.oid)) return next;
      const circle = follow(reference.oid, next);
      if (circle !== undefined) return circle;
    }
    return undefined;
  };
  return follow(oid, []);
}

/** SQL: whether a row refers to another one by a foreign key. */
export function matches(reference: ReferenceFacts, referring: string, referenced: string): string {
  const columns = reference.columns.map(
    (column, place) =>
      `${referring}.${quoteIdentifier(column)} = ${referenced}.${quoteIdentifier(reference.referencedColumns[place] ?? "")}`,
  );
  const within =
    reference.onlyIn === null
      ? []
      : [`${referenced}.tableoid = any (${quoteLiteral(`{${reference.onlyIn.join(",")}}`)}::oid[])`];
  return [...columns, ...within].join(" and ");
}

/** Whether rows of a table that a cascade reaches may be those of a target. */
export function hasRowsOf({ oid, relatives }: ReferenceFacts, target: Pick<CleanupTarget, "oid">): boolean {
  return oid === target.oid || relatives.some((relative) => relative.oid === target.oid);
}

/** SQL: whether a row must not be taken by a cascade: it belongs to a target and is not due. Undefined if it is of no target. */
function isKept(
  targets: readonly CleanupTarget[],
  table: ReferenceFacts,
  cutoffOf: CutoffOf,
  row: string,
): string | undefined {
  const kept = targets
    .filter((target) => hasRowsOf(table, target))
    .map((target) => {
      const isPart = table.relatives.some(({ oid, isBelow }) => isBelow && oid === target.oid);
      const within = isPart
        ? `${row}.tableoid in (select relid from ${wholeTree(`${quoteLiteral(target.oid)}::oid`)} as tree) and `
        : "";
      const due = isDue(target, cutoffOf(target, "expiredMs"), cutoffOf(target, "revokedMs"), row);
      return `${within}${isTrue(belongs(target, row))} and not ${isTrue(due)}`;
    });
  return kept.length === 0 ? undefined : `(${kept.join(" or ")})`;
}

/** A condition, and the foreign key to the target because of which a row for which it is not true has to stay. */
export interface NamedCondition {
  readonly reference: ReferenceFacts;
  readonly sql: string;
}

/**
 * The foreign keys by which rows of the target refer to each other and so go together: in one statement, Postgres deletes rows that
 * refer to each other whatever ON DELETE says.
 */
export function findLinks({ oid, references }: Pick<CleanupTarget, "oid" | "references">): ReferenceFacts[] {
  return references.filter(
    (reference) =>
      reference.toOid === oid && isSelf(reference) && (reference.onDelete === "cascade" || isBlocking(reference)),
  );
}

/**
 * SQL: conditions that are all true for a row of the target that can be deleted with all that goes with it, as far as other tables
 * decide about it; for the rest there are families. Empty if no other table decides.
 */
export function findConditions(target: CleanupTarget, cutoffOf: CutoffOf, root = TARGET_ROW): string[] {
  return findNamedConditions(target, cutoffOf, root).map(({ sql }) => sql);
}

/** By which foreign key of a row, and from which row, a cascade has come. */
interface Way {
  readonly reference: ReferenceFacts;
  readonly upper: string;
}

/** The same, each with its foreign key. */
export function findNamedConditions(target: CleanupTarget, cutoffOf: CutoffOf, root = TARGET_ROW): NamedCondition[] {
  let depth = 0;
  const { references } = target;
  const cascadesFrom = (oid: string) =>
    references.filter((reference) => reference.oid === oid && reference.onDelete === "cascade" && !isSelf(reference));

  /** Whether a row goes with the root, too; undefined if its table is reached by no cascade. */
  const goes = (oid: string, row: string): string | undefined => {
    const ways = cascadesFrom(oid).map((reference) => {
      if (reference.toOid === target.oid) return matches(reference, row, root);
      const upper = `r${++depth}`;
      const ofUpper = goes(reference.toOid, upper) ?? "false";
      const from = `${quoteTable(nameOf(reference.toOid))} as ${upper}`;
      return `exists (select from ${from} where ${matches(reference, row, upper)} and ${ofUpper})`;
    });
    return ways.length === 0 ? undefined : `(${ways.join(" or ")})`;
  };
  const nameOf = (oid: string) => references.find((reference) => reference.oid === oid) ?? target;

  const flat = (oid: string, row: string, via?: Way): string[] => named(oid, row, via).map(({ sql }) => sql);

  /** Of a row of a table, without what refers to it from the same table by a cascade. */
  const named = (oid: string, row: string, via?: Way): NamedCondition[] =>
    references
      .filter((reference) => reference.toOid === oid && !(oid === target.oid && isSelf(reference)))
      .flatMap((reference) => {
        const other = `r${++depth}`;
        const from = `select from ${quoteReferring(reference)} as ${other} where ${matches(reference, other, row)}`;
        if (isBlocking(reference)) {
          // The row at the top is gone when Postgres looks for what refers to those that go with it, also with RESTRICT.
          const itself = isSelf(reference) ? row : hasRowsOf(reference, target) ? root : undefined;
          const isAnother = itself === undefined ? "" : ` and ${areDifferent(other, itself)}`;
          // RESTRICT is checked at once, so the other row must go in the same statement, by the same foreign key.
          const together = via && isSelf(reference) ? matches(via.reference, other, via.upper) : undefined;
          const going = reference.onDelete === "restrict" ? together : goes(reference.oid, other);
          const isLeft = going === undefined ? "" : ` and not (${going})`;
          return [{ reference, sql: `not exists (${from}${isAnother}${isLeft})` }];
        }
        if (reference.onDelete !== "cascade" || isSelf(reference)) return [];
        const conditions = ofNode(reference, other, row);
        return conditions.length === 0
          ? []
          : [{ reference, sql: `not exists (${from} and not (${conditions.join(" and ")}))` }];
      });

  const ofNode = (table: ReferenceFacts, row: string, upper: string): string[] => {
    const ownOf = (alias: string, via?: Way) => {
      const kept = isKept(target.reached, table, cutoffOf, alias);
      return [...(kept === undefined ? [] : [`not ${kept}`]), ...flat(table.oid, alias, via)];
    };
    const own = ownOf(row, { reference: table, upper });
    const cascades = own.length === 0 ? [] : selfCascades(references, table.oid);
    if (cascades.length === 0) return own;
    const other = `r${++depth}`;
    return [...own, noneBelow(cascades, row, other, ownOf(other))];
  };

  return named(target.oid, root);
}

/** SQL: whether two aliases of one table name different rows. */
export function areDifferent(one: string, other: string): string {
  return `(${one}.tableoid, ${one}.ctid) <> (${other}.tableoid, ${other}.ctid)`;
}

/** SQL: whether every row that refers to `row` from the same table, at any level, meets the conditions, which are about `other`. */
function noneBelow(
  cascades: readonly ReferenceFacts[],
  row: string,
  other: string,
  conditions: readonly string[],
): string {
  const [first] = cascades;
  if (first === undefined) return "true";
  const columns = [...new Set(cascades.flatMap(({ referencedColumns }) => referencedColumns))];
  const shown = [...columns.map((column) => `${other}.${quoteIdentifier(column)}`), `${other}.tableoid`];
  const select = `select ${shown.join(", ")}, (${conditions.join(" and ")}) as meets from ${quoteReferring(first)} as ${other}`;
  const refersTo = (upper: string) => cascades.map((cascade) => `(${matches(cascade, other, upper)})`).join(" or ");
  const below = `below_${other}`;
  return `not exists (
    with recursive ${below} as (
      ${select} where ${refersTo(row)} and ${areDifferent(other, row)}
      union
      ${select} join ${below} on ${refersTo(below)}
    ) select from ${below} where meets is not true)`;
}

/**
 * Whether a deletion could take rows that must stay: if they changed at the same moment, so that they are locked before they are judged,
 * or by a trigger, so that what is gone is counted before it is committed.
 */
export function isGuarded(target: CleanupTarget): boolean {
  return findLinks(target).length > 0 || findGuardedTables(target).length > 0 || target.watched !== undefined;
}

/** The tables that a cascade reaches and of which rows may have to stay. */
export function findGuardedTables(target: CleanupTarget): ReferenceFacts[] {
  return findCascaded(target).filter((table) => target.reached.some((other) => hasRowsOf(table, other)));
}
