/*
 * From a table's names and a sample of its values to a target, with the reasons, and with what a person has to check.
 */
import type { CandidateColumn, CandidateTable } from "../../postgres/cleanup/candidates.ts";
import { formatTableName } from "../../postgres/cleanup/identifiers.ts";
import { findExceptions, mayBeEndless } from "./exceptions.ts";
import { findTokenWord } from "./names.ts";
import { type Column, chooseRule, columnName, findTellingColumns, type RawTarget } from "./rules.ts";
import { judgeValues, type ValueFacts } from "./values.ts";

export interface Proposal {
  readonly table: string;
  readonly target: RawTarget;
  /** Why it looks like tokens or sessions. */
  readonly reasons: readonly string[];
  /** What a person has to look at. */
  readonly checks: readonly string[];
  /** Why it is not ready to be used; empty if it is. */
  readonly doubts: readonly string[];
}

/** The columns of which values are needed. */
export function findSampledColumns(table: CandidateTable): CandidateColumn[] {
  return [...findTellingColumns(table), ...table.columns.filter(mayBeEndless)];
}

/** Whether it looks like tokens or sessions and has a column that ends its rows. */
export function isPromising(table: CandidateTable): boolean {
  return findTokenWord(table.table) !== undefined && chooseRule(table, findTellingColumns(table)).ends.length > 0;
}

/** The column by which a table that does not look like tokens would expire. */
export function findExpiryColumn(table: CandidateTable): string | undefined {
  return findTellingColumns(table).find(({ role }) => role === "expiry")?.name;
}

const isNumber = ({ type }: Column) => !/^(timestamp|date)/.test(type);

/** Proposes a target. `sample` has the values of `findSampledColumns`, row by row; a text why there is none. */
export function propose(table: CandidateTable, sample: (string | null)[][] | string, nowMs: number): Proposal {
  const columns = findTellingColumns(table);
  const rows = typeof sample === "string" ? [] : sample;
  const rule = chooseRule(table, columns);
  const places = new Map(findSampledColumns(table).map(({ name }, place) => [name, place]));
  const valuesOf = ({ name }: CandidateColumn) => rows.map((row) => row[places.get(name) ?? -1] ?? null);
  const factsOf = (column: Column) => judgeValues(valuesOf(column), isNumber(column), nowMs);
  const exceptions = findExceptions(table.columns, rule, (column) =>
    valuesOf(column).filter((value) => value !== null),
  );
  const used = rule.used.map((column) => ({ column, facts: factsOf(column) }));
  const never = [...new Set(used.flatMap(({ facts }) => facts.never))];
  const epochs = [...new Set(used.flatMap(({ facts }) => (facts.epoch === undefined ? [] : [facts.epoch])))];
  const zoneless = rule.used.filter(({ type }) => type === "timestamp without time zone" || type === "date");
  const flags = columns.filter(({ role }) => role === "flag").map(({ name }) => name);
  return {
    table: formatTableName(table),
    target: {
      table: formatTableName(table),
      ...(exceptions.where === undefined ? {} : { where: exceptions.where }),
      ...rule.times,
      ...(never.length === 0 ? {} : { never: never.map(toConstant) }),
      ...(zoneless.length === 0 ? {} : { timezone: "UTC" }),
      ...(epochs[0] === undefined ? {} : { epoch: epochs[0] }),
    },
    reasons: [
      `its name has "${findTokenWord(table.table)}" in it; ${rule.reason}`,
      ...used.map(({ column, facts }) => describeValues(column, facts, rows.length)),
    ],
    checks: [
      ...rule.checks,
      ...used.flatMap(({ column, facts }) => findChecks(column, facts)),
      ...(never.length === 0 ? [] : [`never: do these values mean that there is no time? They can hardly be times`]),
      ...zoneless.map(({ name }) => `timezone: does the application write ${name} in UTC?`),
      ...exceptions.checks,
      ...flags.map((name) => describeFlag(name)),
    ],
    doubts: [
      ...rule.doubts,
      ...exceptions.doubts,
      ...(typeof sample === "string" ? [`no values could be looked at: ${sample}`] : []),
      ...used.flatMap(({ column, facts }) => (facts.fault === undefined ? [] : [`${column.name}: ${facts.fault}`])),
      ...(epochs.length > 1 ? [`its columns count in different units (${epochs.join(", ")})`] : []),
    ],
  };
}

function describeValues({ name }: Column, facts: ValueFacts, rows: number): string {
  const parts = [
    facts.times === 0 ? "no times" : `${facts.times} times from ${facts.first} to ${facts.last}`,
    ...(facts.epoch === undefined ? [] : [`in ${facts.epoch}`]),
    ...(facts.nulls === 0 ? [] : [`${facts.nulls} null`]),
    ...(facts.none === 0 ? [] : [`${facts.none} that mean no time, such as 0 or infinity`]),
  ];
  return `${name}, in ${rows} rows: ${parts.join(", ")}`;
}

function findChecks({ name, role }: Column, { shared, times, fault }: ValueFacts): string[] {
  return [
    ...(shared === undefined ? [] : [`${name}: many rows have ${shared}; if it means "no time", add it to never`]),
    ...(times === 0 && role === "expiry" && fault === undefined ? [`${name}: no row shows what its values mean`] : []),
  ];
}

function describeFlag(name: string): string {
  return (
    `${name} may say that a row is dead. To delete such rows at once, add: revoked: "${columnName(name).replaceAll('"', '\\"')} = true" ` +
    "and retention: {revoked: 0s}"
  );
}

/** A number keeps its digits as a text. */
function toConstant(value: string): string | number {
  return /^\d{1,15}$/.test(value) ? Number(value) : value;
}
