/*
 * What one row is, by which rule, and when it would go, in words. Of the row it shows only the columns of the target's rule.
 */
import { type Comparison, formatConstant } from "../../postgres/cleanup/condition.ts";
import { formatTableName, quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import type { ReferenceFacts } from "../../postgres/cleanup/reference-facts.ts";
import { isBlocking } from "../../postgres/cleanup/references.ts";
import type { ComparedColumn, DecidingTime, RowFacts } from "../../postgres/cleanup/row.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import { formatRetention } from "../report/format.ts";

/** The classes of rows; "not a row of the target" if `where` is not met. */
export type RowState =
  | "live"
  | "live, without an expiry"
  | "expired"
  | "revoked"
  | "due"
  | "held"
  | "not a row of the target";

export interface Verdict {
  readonly state: RowState;
  /** What the rule has found in the row, a clause each. */
  readonly because: readonly string[];
  /** Since when a run would delete it, or from when on; undefined: never as it is now. UTC. */
  readonly goesAt: string | undefined;
  /** The same as a sentence. */
  readonly goes: string;
}

/** What a row of a target is. */
export function judgeRow(target: CleanupTarget, facts: RowFacts): Verdict {
  if (!facts.belongs) {
    const unmet = facts.where.filter(({ isTrue }) => !isTrue).map(describeUnmet);
    const goes = "This target never deletes it, as long as where is not met.";
    return { state: "not a row of the target", because: unmet, goesAt: undefined, goes };
  }
  const because = [...describeExpiry(target, facts), ...describeRevocation(target, facts)];
  const isDue = facts.isPastExpiry || facts.isPastRevocation;
  const goesAt = findGoing(target, facts);
  if (isDue && facts.heldBy.length > 0) {
    const goes = "It would go, but stays as long as that is so; runs count it as held.";
    return { state: "held", because: [...because, ...facts.heldBy.map(describeHolder)], goesAt, goes };
  }
  return { state: findState(facts, isDue), because, goesAt, goes: describeGoing(facts, isDue, goesAt) };
}

function findState(facts: RowFacts, isDue: boolean): RowState {
  if (isDue) return "due";
  if (facts.hasExpired) return "expired";
  if (facts.wasRevoked) return "revoked";
  return facts.hasExpiry ? "live" : "live, without an expiry";
}

/** The earlier of the moments from which on it is due. A revocation counts only if its condition is met. */
function findGoing({ revokedAt }: CleanupTarget, facts: RowFacts): string | undefined {
  const isRevocable = revokedAt !== undefined && facts.revoked.every(({ isTrue }) => isTrue);
  const moments = [facts.expiryDueAt, ...(isRevocable ? [facts.revocationDueAt] : [])];
  return moments.filter((moment) => moment !== undefined).sort()[0];
}

function describeGoing(facts: RowFacts, isDue: boolean, goesAt: string | undefined): string {
  if (isDue) return `The next run deletes it${goesAt === undefined ? "" : `; it is due since ${inUtc(goesAt)}`}.`;
  if (goesAt === undefined) return "No run deletes it as it is now.";
  const condition = facts.hasExpired || facts.wasRevoked ? "" : ", if nobody changes it";
  return `The first run after ${inUtc(goesAt)} deletes it${condition}.`;
}

function describeExpiry({ expiresAt, retention }: CleanupTarget, facts: RowFacts): string[] {
  if (expiresAt === undefined) return ["rows of this target do not expire"];
  if (facts.expiry === undefined)
    return [`no expiry: ${expiresAt.map(({ column }) => `${quoteIdentifier(column)} is null`).join(" and ")}`];
  const rule = `expiresAt: ${describeTime(facts.expiry)}`;
  if (!facts.hasExpiry) return [`${rule}, which means that it never expires`];
  if (facts.expiresAt === undefined) return [`${rule}, a time after the year 9999, or none`];
  const verb = facts.hasExpired ? "expired at" : "expires at";
  return [`${rule}: it ${verb} ${inUtc(facts.expiresAt)}; the retention is ${formatRetention(retention.expiredMs)}`];
}

function describeRevocation({ revokedAt, revoked, retention }: CleanupTarget, facts: RowFacts): string[] {
  const kept = `the retention is ${formatRetention(retention.revokedMs)}`;
  const unmet = facts.revoked.filter(({ isTrue }) => !isTrue);
  if (unmet.length > 0) return [`not revoked: ${unmet.map(describeUnmet).join(" and ")}`];
  const flags = facts.revoked.map(({ comparison }) => `revoked: ${describeComparison(comparison)} is met`);
  if (revokedAt === undefined) return revoked === undefined ? [] : [`${flags.join(" and ")}; ${kept}`];
  if (facts.revocation === undefined)
    return [`not revoked: ${revokedAt.map(({ column }) => `${quoteIdentifier(column)} is null`).join(" and ")}`];
  const rule = [...flags, `revokedAt: ${describeTime(facts.revocation)}`].join(" and ");
  if (facts.revokedAt === undefined) return [`${rule}, which means that it is not revoked`];
  const verb = facts.wasRevoked ? "was revoked at" : "is revoked from";
  return [`${rule}: it ${verb} ${inUtc(facts.revokedAt)}; ${kept}`];
}

function describeTime({ column, value, plusSeconds, plusMs }: DecidingTime): string {
  return [
    `${quoteIdentifier(column)} is ${value}`,
    ...(plusMs === 0 ? [] : [`plus ${formatRetention(plusMs)}`]),
    ...(plusSeconds === undefined
      ? []
      : [`plus ${plusSeconds.value} seconds from ${quoteIdentifier(plusSeconds.column)}`]),
  ].join(", ");
}

function describeUnmet({ comparison, value }: ComparedColumn): string {
  const shown = value === null ? "null" : JSON.stringify(value);
  return `${describeComparison(comparison)} is not met: it is ${shown}`;
}

function describeComparison({ column, operator, values }: Comparison): string {
  const [only] = values;
  const name = quoteIdentifier(column);
  if (only === undefined) return `${name} ${operator}`;
  if (values.length === 1) return `${name} ${operator === "in" ? "=" : "<>"} ${formatConstant(only)}`;
  return `${name} ${operator} (${values.map(formatConstant).join(", ")})`;
}

function describeHolder(reference: ReferenceFacts): string {
  const who = `${formatTableName(reference)} (${reference.columns.join(", ")})`;
  const by = `by ${quoteIdentifier(reference.constraint)}, on delete ${reference.onDelete}`;
  if (isBlocking(reference)) return `held: rows of ${who} refer to it ${by}`;
  return reference.oid === reference.toOid
    ? `held: rows of the same table would go with it ${by}, and not all of them are due or can go`
    : `held: rows of ${who} would go with it ${by}, and not all of them may`;
}

/** As the database returns it, in a session in UTC. */
export function inUtc(moment: string): string {
  return `${moment.replace(/\+00$/, "")} UTC`;
}
