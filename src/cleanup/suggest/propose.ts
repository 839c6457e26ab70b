/*
 * From a table's names and a sample of its values to a target, with the reasons, and with what a person has to check.
 */
import type { CandidateTable } from "../../postgres/cleanup/candidates.ts";
import { formatTableName, quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import { type ColumnRole, findRole, findTokenWord, isPlainExpiry, toSnake } from "./names.ts";
import { judgeValues, type ValueFacts } from "./values.ts";

/** A target as the configuration file writes it. */
export type RawTarget = Readonly<Record<string, unknown>>;

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

interface Column {
  readonly name: string;
  readonly type: string;
  readonly role: ColumnRole;
}

/** The columns of a table of which values are needed. */
export function findTellingColumns({ columns }: CandidateTable): Column[] {
  return columns.flatMap((column) => {
    const role = findRole(column);
    return role === undefined ? [] : [{ ...column, role }];
  });
}

/** Whether it looks like tokens or sessions and has a column that ends its rows. */
export function isPromising(table: CandidateTable): boolean {
  const roles = findTellingColumns(table).map(({ role }) => role);
  return findTokenWord(table.table) !== undefined && roles.some((role) => role !== "created" && role !== "flag");
}

/** The column by which a table that does not look like tokens would expire. */
export function findExpiryColumn(table: CandidateTable): string | undefined {
  return findTellingColumns(table).find(({ role }) => role === "expiry")?.name;
}

const columnName = (name: string) => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdentifier(name));

const isNumber = ({ type }: Column) => !/^(timestamp|date)/.test(type);

const DEFAULT_IDLE = "30d";

/** Proposes a target. `sample` has the values of `findTellingColumns`, row by row; a text why there is none. */
export function propose(table: CandidateTable, sample: (string | null)[][] | string, nowMs: number): Proposal {
  const columns = findTellingColumns(table);
  const rows = typeof sample === "string" ? [] : sample;
  const rule = chooseRule(table, columns);
  const factsOf = (column: Column) =>
    judgeValues(
      rows.map((row) => row[columns.indexOf(column)] ?? null),
      isNumber(column),
      nowMs,
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
      ...flags.map((name) => describeFlag(name)),
    ],
    doubts: [
      ...rule.doubts,
      ...(typeof sample === "string" ? [`no values could be looked at: ${sample}`] : []),
      ...used.flatMap(({ column, facts }) => (facts.fault === undefined ? [] : [`${column.name}: ${facts.fault}`])),
      ...(epochs.length > 1 ? [`its columns count in different units (${epochs.join(", ")})`] : []),
    ],
  };
}

interface Rule {
  readonly times: RawTarget;
  readonly used: readonly Column[];
  readonly reason: string;
  readonly checks: readonly string[];
  readonly doubts: readonly string[];
}

function chooseRule(table: CandidateTable, columns: readonly Column[]): Rule {
  const of = (role: ColumnRole) => columns.filter((column) => column.role === role);
  const expiry = chooseExpiry(table, columns);
  const revocations = of("revocation");
  const names = revocations.map(({ name }) => columnName(name));
  const revokedAt = names.length === 0 ? {} : { revokedAt: names.length === 1 ? names[0] : names };
  const revoked =
    names.length === 0
      ? ""
      : `${expiry === undefined ? "" : ", "}${names.join(", ")} ${names.length === 1 ? "looks" : "look"} like a revocation`;
  return {
    times: { ...expiry?.times, ...revokedAt },
    used: [...(expiry?.used ?? []), ...revocations],
    reason: `${expiry?.reason ?? ""}${revoked}`,
    checks: [
      ...(expiry?.checks ?? []),
      ...(expiry === undefined ? ["is a row dead only when it is revoked? No column looks like an expiry"] : []),
    ],
    doubts: expiry?.doubts ?? [],
  };
}

function chooseExpiry(table: CandidateTable, columns: readonly Column[]): Rule | undefined {
  const of = (role: ColumnRole) => columns.filter((column) => column.role === role);
  const plain = of("expiry").filter(({ name }) => isPlainExpiry(name));
  const expiries = plain.length > 0 ? plain : of("expiry");
  const [expiry] = expiries;
  if (expiry !== undefined) return byExpiry(table, expiry, expiries);
  const [[created], [seconds], [idle]] = [of("created"), of("seconds"), of("idle")];
  if (created !== undefined && seconds !== undefined) {
    const column = { column: columnName(created.name), plusSeconds: columnName(seconds.name) };
    return {
      times: { expiresAt: column },
      used: [created],
      reason: `${seconds.name} looks like seconds that a row is valid, from ${created.name} on`,
      checks: [`plusSeconds: is ${seconds.name} in seconds?`],
      doubts: findRefreshDoubt(table, seconds.name),
    };
  }
  if (idle === undefined) return undefined;
  return {
    times: { expiresAt: { column: columnName(idle.name), plus: DEFAULT_IDLE } },
    used: [idle],
    reason: `${idle.name} looks like the time of the last use`,
    checks: [`plus: after how long without use is a row dead? ${DEFAULT_IDLE} is a guess`],
    doubts: /sess/.test(toSnake(table.table)) ? [] : ["tokens that nobody has used for long may still be valid"],
  };
}

function byExpiry(table: CandidateTable, expiry: Column, expiries: readonly Column[]): Rule {
  const names = expiries.map(({ name }) => name).join(", ");
  return {
    times: { expiresAt: columnName(expiry.name) },
    used: [expiry],
    reason: `${expiry.name} looks like an expiry`,
    checks: [],
    doubts: [
      ...(expiries.length > 1 ? [`which of ${names} ends a row? Name that one in expiresAt`] : []),
      ...findRefreshDoubt(table, expiry.name),
    ],
  };
}

/** A row with an access token and a refresh token is not dead when the access token is. */
function findRefreshDoubt({ columns }: CandidateTable, expiry: string): string[] {
  const refresh = columns.find(({ name }) => /refresh_token/.test(toSnake(name)) && name !== expiry);
  const isItsOwn = /refresh/.test(toSnake(expiry));
  if (refresh === undefined || isItsOwn) return [];
  return [`rows have a refresh token, too (${refresh.name}), which may be valid for longer than ${expiry} says`];
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
