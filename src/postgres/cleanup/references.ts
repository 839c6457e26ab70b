/*
 * What goes with a row, and what keeps it. Postgres follows ON DELETE CASCADE through all levels without a word, so before a row is
 * deleted, everything that it would take is looked at: rows that something else refers to would make the deletion fail, and rows
 * that are not due themselves must not be taken.
 */
import { quoteIdentifier, quoteLiteral } from "./identifiers.ts";
import { quoteReferring, type ReferenceFacts } from "./reference-facts.ts";
import { belongs, type CleanupTarget, isDue, TARGET_ROW } from "./target.ts";

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

/** SQL: whether a row must not be taken by a cascade: it belongs to a target and is not due. Undefined if it is of no target. */
function isKept(targets: readonly CleanupTarget[], oid: string, cutoffOf: CutoffOf, row: string): string | undefined {
  const kept = targets
    .filter((target) => target.oid === oid)
    .map((target) => {
      const due = isDue(target, cutoffOf(target, "expiredMs"), cutoffOf(target, "revokedMs"), row);
      return `coalesce(${belongs(target, row)}, false) and not coalesce(${due}, false)`;
    });
  return kept.length === 0 ? undefined : `(${kept.join(" or ")})`;
}

/** SQL: whether a row of the target's own table is due, by whichever of its targets; a row of none is not. */
function isDueByAny(target: CleanupTarget, cutoffOf: CutoffOf, row: string): string {
  const due = [target, ...target.reached.filter(({ oid }) => oid === target.oid)].map(
    (each) => `coalesce(${isDue(each, cutoffOf(each, "expiredMs"), cutoffOf(each, "revokedMs"), row)}, false)`,
  );
  return `(${due.join(" or ")})`;
}

/** A condition, and the foreign key that it is about. */
export interface NamedCondition {
  readonly reference: ReferenceFacts;
  readonly sql: string;
}

/**
 * SQL: conditions that are all true for a row of the target that can be deleted, with all that goes with it. Empty if nothing refers
 * to the target.
 */
export function findConditions(target: CleanupTarget, cutoffOf: CutoffOf): string[] {
  return findNamedConditions(target, cutoffOf).map(({ sql }) => sql);
}

/** The same, each with the foreign key to the target because of which a row for which it is not true has to stay. */
export function findNamedConditions(target: CleanupTarget, cutoffOf: CutoffOf): NamedCondition[] {
  let depth = 0;
  const { references } = target;

  const flat = (oid: string, row: string): string[] => named(oid, row).map(({ sql }) => sql);

  /** Of a row of a table, without what refers to it from the same table by a cascade. */
  const named = (oid: string, row: string): NamedCondition[] =>
    references
      .filter((reference) => reference.toOid === oid)
      .flatMap((reference) => {
        const other = `r${++depth}`;
        const from = `select from ${quoteReferring(reference)} as ${other} where ${matches(reference, other, row)}`;
        if (isBlocking(reference)) {
          const isAnother = isSelf(reference)
            ? ` and (${other}.tableoid, ${other}.ctid) <> (${row}.tableoid, ${row}.ctid)`
            : "";
          return [{ reference, sql: `not exists (${from}${isAnother})` }];
        }
        if (reference.onDelete !== "cascade" || isSelf(reference)) return [];
        const conditions = ofNode(reference.oid, other, isKept(target.reached, reference.oid, cutoffOf, other));
        return conditions.length === 0
          ? []
          : [{ reference, sql: `not exists (${from} and not (${conditions.join(" and ")}))` }];
      });

  const ofNode = (oid: string, row: string, kept: string | undefined): string[] => {
    const own = [...(kept === undefined ? [] : [`not ${kept}`]), ...flat(oid, row)];
    const cascades = own.length === 0 ? [] : selfCascades(references, oid);
    if (cascades.length === 0) return own;
    const other = `r${++depth}`;
    const ok = [isKept(target.reached, oid, cutoffOf, other)].flatMap((sql) =>
      sql === undefined ? [] : [`not ${sql}`],
    );
    return [...own, noneBelow(cascades, row, other, [...ok, ...flat(oid, other)])];
  };

  const own = named(target.oid, TARGET_ROW);
  const cascades = selfCascades(references, target.oid);
  const [reference] = cascades;
  if (reference === undefined) return own;
  const other = `r${++depth}`;
  const below = [isDueByAny(target, cutoffOf, other), ...flat(target.oid, other)];
  return [...own, { reference, sql: noneBelow(cascades, TARGET_ROW, other, below) }];
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
      ${select} where ${refersTo(row)} and (${other}.tableoid, ${other}.ctid) <> (${row}.tableoid, ${row}.ctid)
      union
      ${select} join ${below} on ${refersTo(below)}
    ) select from ${below} where meets is not true)`;
}

/** Whether a deletion could take rows that must stay if they changed at the same moment: then they are locked before they are judged. */
export function isGuarded(target: CleanupTarget): boolean {
  return selfCascades(target.references, target.oid).length > 0 || findGuardedTables(target).length > 0;
}

/** The tables that a cascade reaches and of which rows may have to stay. */
export function findGuardedTables(target: CleanupTarget): ReferenceFacts[] {
  return findCascaded(target).filter(({ oid }) => target.reached.some((other) => other.oid === oid));
}
