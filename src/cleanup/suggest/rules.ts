/*
 * Which columns of a table end its rows, by their names and types.
 */
import type { CandidateTable } from "../../postgres/cleanup/candidates.ts";
import { quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import { type ColumnRole, findRole, isPlainExpiry, toSnake } from "./names.ts";

/** A target as the configuration file writes it. */
export type RawTarget = Readonly<Record<string, unknown>>;

export interface Column {
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

/** As the configuration file writes it. */
export const columnName = (name: string) => (/^[a-z_][a-z0-9_$]*$/.test(name) ? name : quoteIdentifier(name));

const DEFAULT_IDLE = "30d";

/** Which columns end a row. */
export interface Rule {
  readonly times: RawTarget;
  readonly used: readonly Column[];
  /** The columns that decide: used, and those with seconds. */
  readonly ends: readonly string[];
  /** Whether a row expires; otherwise only a revocation ends it. */
  readonly expires: boolean;
  readonly reason: string;
  readonly checks: readonly string[];
  readonly doubts: readonly string[];
}

/** The rule that the names and types of the columns suggest. */
export function chooseRule(table: CandidateTable, columns: readonly Column[]): Rule {
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
    ends: expiry?.ends ?? revocations.map(({ name }) => name),
    expires: expiry !== undefined,
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
  const later = of("expiry").filter(({ name }) => !isPlainExpiry(name) && LATER.test(toSnake(name)));
  const expiries = plain.length > 0 ? [...plain, ...later] : of("expiry");
  const [expiry] = expiries;
  if (expiry !== undefined) {
    const others = of("expiry").filter((column) => !expiries.includes(column));
    return byExpiry(table, expiry, expiries, others);
  }
  const [[created], [seconds], [idle]] = [of("created"), of("seconds"), of("idle")];
  const start = seconds !== undefined && isIdleTime(seconds.name) ? (idle ?? created) : created;
  if (start !== undefined && seconds !== undefined) return bySeconds(table, start, of("seconds"), idle);
  if (idle === undefined) return undefined;
  return {
    times: { expiresAt: { column: columnName(idle.name), plus: DEFAULT_IDLE } },
    used: [idle],
    ends: [idle.name],
    expires: true,
    reason: `${idle.name} looks like the time of the last use`,
    checks: [`plus: after how long without use is a row dead? ${DEFAULT_IDLE} is a guess`],
    doubts: [
      ...(/sess/.test(toSnake(table.table)) ? [] : ["tokens that nobody has used for long may still be valid"]),
      ...of("seconds").map(
        ({ name }) => `does ${name} begin again with ${idle.name}? Then add plusSeconds: ${name} to it instead of plus`,
      ),
    ],
  };
}

/** Whether seconds with this name count from the last use on. */
const isIdleTime = (name: string) => /inactiv|idle/.test(toSnake(name));

/** A validity that begins again with each use would end live rows if it counted from the creation on. */
function bySeconds(table: CandidateTable, start: Column, all: readonly Column[], idle: Column | undefined): Rule {
  const seconds = all[0]?.name ?? "";
  const names = all.map(({ name }) => name).join(", ");
  return {
    times: { expiresAt: { column: columnName(start.name), plusSeconds: columnName(seconds) } },
    used: [start],
    ends: [start.name, seconds],
    expires: true,
    reason: `${seconds} looks like seconds that a row is valid, from ${start.name} on`,
    checks: [
      `plusSeconds: is ${seconds} in seconds?${start === idle ? "" : ` From ${start.name} on, even after a row is renewed?`}`,
    ],
    doubts: [
      ...(all.length > 1 ? [`which of ${names} ends a row? Name that one in plusSeconds`] : []),
      ...(idle === undefined || start === idle
        ? []
        : [`does ${seconds} begin again with ${idle.name}? Then name ${idle.name} in column`]),
      ...(idle === undefined && isIdleTime(seconds)
        ? [`${seconds} looks like seconds since the last use, and no column says when that was`]
        : []),
      ...findRefreshDoubt(table, seconds),
    ],
  };
}

/** Words of an expiry until which a row may still be used after the other one. */
const LATER = /refresh|renew|extend|grace/;

function byExpiry(table: CandidateTable, expiry: Column, expiries: readonly Column[], others: readonly Column[]): Rule {
  const names = expiries.map(({ name }) => name).join(", ");
  return {
    times: { expiresAt: columnName(expiry.name) },
    used: [expiry],
    ends: [expiry.name],
    expires: true,
    reason: `${expiry.name} looks like an expiry`,
    checks: others.map(({ name }) => `does ${expiry.name} end a row, whatever ${name} says?`),
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
