/*
 * A row that a person wrote with SQL may expire at infinity, or later than JavaScript's last Date (in the year 275760, but
 * Postgres' time continues to 294276).
 */

/** A timestamptz as pg returns it: infinity and -infinity are numbers, and a time that is too late is an invalid Date. */
export type PostgresTime = Date | number;

const LATEST_MS = 8.64e15;

/** The time as a Date; what is later than any Date, like infinity, becomes the latest one, and -infinity the earliest. */
export function toDate(time: PostgresTime): Date {
  const ms = typeof time === "number" ? Math.sign(time) * LATEST_MS : time.getTime();
  return new Date(Number.isNaN(ms) ? LATEST_MS : ms); // Postgres' first time, in 4713 BC, is not too early for a Date
}

/** The same of a column that may be null. */
export function toOptionalDate(time: PostgresTime | null): Date | undefined {
  return time === null ? undefined : toDate(time);
}
