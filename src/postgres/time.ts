/* Postgres has times that JavaScript has not: rows that a person wrote with SQL may end at infinity, or never have begun. */

/** A timestamptz as pg returns it: infinity and -infinity are numbers. */
export type PostgresTime = Date | number;

const LATEST_MS = 8.64e15;

/** The time as a Date; infinity becomes the latest Date that there can be, and -infinity the earliest. */
export function toDate(time: PostgresTime): Date {
  return typeof time === "number" ? new Date(Math.sign(time) * LATEST_MS) : time;
}
