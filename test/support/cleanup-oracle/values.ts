/*
 * Values of time columns: around the moments that decide, microseconds on both sides, and what applications write for "no time".
 */
import type { Random } from "../random-walk/random.ts";
import { DURATIONS, type Table, type Target, type TimeName, type TimeSpec, type TimeType, type Unit } from "./case.ts";

/** Microseconds since 1970 of the moment at which the database's clock stands. */
export interface Moment {
  readonly micros: bigint;
}

const PER_SECOND: Readonly<Record<Unit, bigint>> = {
  seconds: 1n,
  milliseconds: 1_000n,
  microseconds: 1_000_000n,
};

export const isNumber = (type: TimeType): boolean => !["timestamptz", "timestamp", "date"].includes(type);

/** SQL: a moment as a timestamptz, with all its digits. */
export function formatMoment(micros: bigint): string {
  const iso = new Date(Number(micros / 1_000n)).toISOString().slice(0, 19).replace("T", " ");
  return `'${iso}.${String(micros % 1_000_000n).padStart(6, "0")}+00'::timestamptz`;
}

/** SQL: a moment as a value of a time column. Whole numbers are rounded down. */
export function formatTime(type: TimeType, micros: bigint, { unit, zone }: Pick<Table, "unit" | "zone">): string {
  switch (type) {
    case "timestamptz":
      return formatMoment(micros);
    case "timestamp":
      return `(${formatMoment(micros)} at time zone '${zone}')`;
    case "date":
      return `(${formatMoment(micros)} at time zone '${zone}')::date`;
    case "integer":
    case "bigint":
      return String((micros * PER_SECOND[unit]) / 1_000_000n);
    default: {
      const digits = String(micros * PER_SECOND[unit]).padStart(7, "0");
      return `${digits.slice(0, -6)}.${digits.slice(-6)}`;
    }
  }
}

const NO_TIMES: Readonly<Record<"time" | "whole" | "broken", readonly string[]>> = {
  time: ["'infinity'", "'-infinity'", "'0001-01-01'", "'0001-06-30'", "'0044-03-15 BC'", "'9999-12-31'"],
  whole: ["0", "-1", "-62135596800"],
  broken: ["0", "-1", "-0.5", "'Infinity'", "'-Infinity'", "'NaN'", "253402300799"],
};

function pickNoTime(random: Random, type: TimeType): string {
  if (!isNumber(type)) return random.pick(NO_TIMES.time);
  if (type === "integer") return random.pick(["0", "-1", "2147483647"]);
  return random.pick(type === "bigint" ? NO_TIMES.whole : NO_TIMES.broken);
}

/** Whether a value that one of the targets lists is one of the column's type. */
function fits(type: TimeType, value: string | number): boolean {
  return isNumber(type) === (typeof value === "number") && (type !== "integer" || Number(value) < 2 ** 31);
}

/** Just before the moment, at it, just after it: in microseconds. */
const NEAR = [-86_400_000_000n, -1_000_000n, -1_000n, -1n, 0n, 0n, 1n, 1_000n, 1_000_000n, 86_400_000_000n];

/** Microseconds between the column's time and the moment at which a row becomes due by it. */
function findDelay(spec: TimeSpec, retention: string, lasts: number): bigint {
  const ms = (DURATIONS[retention] ?? 0) + (DURATIONS[spec.plus ?? "0s"] ?? 0);
  return BigInt(ms) * 1_000n + (spec.plusSeconds ? BigInt(Math.round(lasts * 1_000_000)) : 0n);
}

function findDelays(targets: readonly Target[], column: TimeName, lasts: number): bigint[] {
  return targets.flatMap(({ expiresAt, revokedAt, retention }) => [
    ...expiresAt.filter((spec) => spec.column === column).map((spec) => findDelay(spec, retention.expired, lasts)),
    ...revokedAt.filter((spec) => spec.column === column).map((spec) => findDelay(spec, retention.revoked, lasts)),
  ]);
}

/** SQL: a value of a time column. `lasts` is the row's number of seconds; 0 if it has none. */
export function pickTime(
  random: Random,
  table: Pick<Table, "times" | "unit" | "zone" | "targets">,
  column: TimeName,
  { lasts, now }: { readonly lasts: number; readonly now: Moment },
): string {
  const type = table.times[column];
  if (random.chance(15)) return "null";
  if (random.chance(15)) return pickNoTime(random, type);
  const never = table.targets.flatMap((target) => target.never).filter((value) => fits(type, value));
  if (never.length > 0 && random.chance(20)) return `'${random.pick(never)}'`;
  const delays = findDelays(table.targets, column, Math.abs(lasts) < 1e9 ? lasts : 0);
  const isNear = delays.length > 0 && random.chance(65);
  const offset = isNear
    ? -random.pick(delays) + random.pick(NEAR)
    : BigInt(random.below(120) - 75) * 43_200_000_000n + BigInt(random.below(1_000_000));
  const value = formatTime(type, now.micros + offset, table);
  if (!isNear) return value;
  const step = random.pick([0, 0, -1, 1]);
  const isWhole = type === "integer" || type === "bigint" || type === "date";
  return isWhole && step !== 0 ? `${value} + ${step}` : value;
}

/** The number of seconds of a row, and its SQL. */
export function pickLasts(random: Random, type: Table["lasts"]): { readonly sql: string; readonly seconds: number } {
  if (random.chance(15)) return { sql: "null", seconds: 0 };
  const usual = [3_600, 86_400, 1_209_600];
  const odd = type === "integer" ? [0, -1, 2_147_483_647] : [0, -1, 9e15];
  const fractions = type === "numeric" || type === "double precision" ? [0.5, 1_800.25] : [];
  const seconds = random.pick(random.chance(30) ? odd : [...usual, ...fractions]);
  return { sql: String(seconds), seconds };
}
