/*
 * Conditions on the columns of a target: which rows are meant, and which of them are revoked. They are a list of comparisons
 * with constants that must all be true, because that much can be checked, quoted and compared with one another.
 */
import { quoteIdentifier, quoteLiteral } from "./identifiers.ts";

/** A constant of the configuration. A number keeps its digits, so that none is lost. */
export interface Constant {
  readonly type: "boolean" | "number" | "text";
  readonly text: string;
}

/** One comparison. `values` are the constants of `in` and `not in`, one for `=` and `<>`; none otherwise. */
export interface Comparison {
  readonly column: string;
  readonly operator: "in" | "not in" | "is null" | "is not null";
  readonly values: readonly Constant[];
}

/** Comparisons that must all be true; true if there are none. */
export type Condition = readonly Comparison[];

/** SQL: a constant. Numbers and truth values have been parsed, so nothing but digits and words is left in them. */
export function formatConstant({ type, text }: Constant): string {
  return type === "text" ? quoteLiteral(text) : text;
}

/** SQL: the condition for the row that `row` names. Null for a row with a null that is compared, as always in SQL. */
export function formatCondition(condition: Condition, row: string): string {
  const comparisons = condition.map(({ column, operator, values }) => {
    const name = `${row}.${quoteIdentifier(column)}`;
    return values.length === 0
      ? `${name} ${operator}`
      : `${name} ${operator} (${values.map(formatConstant).join(", ")})`;
  });
  return comparisons.length === 0 ? "true" : `(${comparisons.join(" and ")})`;
}

/** SQL: whether a condition is true, where null means that it is not; never null. */
export function isTrue(condition: string): string {
  return `coalesce(${condition}, false)`;
}

/** Whether no row can meet both conditions: there is a column of which they demand different values. */
export function areDisjoint(left: Condition, right: Condition): boolean {
  return left.some((one) => right.some((other) => one.column === other.column && excludes(one, other)));
}

function excludes(one: Comparison, other: Comparison): boolean {
  if (one.operator === "is null") return other.operator !== "is null";
  if (other.operator === "is null") return true;
  if (one.operator === "in" && other.operator === "in") {
    return !one.values.some((value) => other.values.some((another) => mayBeEqual(value, another)));
  }
  if (one.operator === "in" && other.operator === "not in") {
    return one.values.every((value) => other.values.some((another) => isEqual(value, another)));
  }
  if (one.operator === "not in" && other.operator === "in") return excludes(other, one);
  return false;
}

/** Whether two constants are the same value in a column of any type. */
function isEqual(one: Constant, other: Constant): boolean {
  return one.type === other.type && simplify(one) === simplify(other);
}

function simplify({ type, text }: Constant): string {
  return type === "number"
    ? text
        .replace(/^(-?)0+(?=\d)/, "$1")
        .replace(/(\.\d*?)0+$/, "$1")
        .replace(/\.$/, "")
    : text;
}

/** Whether a column's type could take two constants for one value: 'A' and 'a', '1' and 1.0, a UUID with hyphens and without. */
function mayBeEqual(one: Constant, other: Constant): boolean {
  return flatten(one) === flatten(other) || (one.text !== "" && Number(one.text) === Number(other.text));
}

function flatten({ text }: Constant): string {
  return text.toLowerCase().replace(/[^\p{L}\p{N}]/gu, "");
}
