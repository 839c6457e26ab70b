/*
 * A row that a person wrote with SQL may expire at infinity, a time that JavaScript's Date does not have.
 */

/** A timestamptz as pg returns it: infinity and -infinity are numbers. */
export type PostgresTime = Date | number;

const LATEST_MS = 8.64e15;

/** The time as a Date; infinity becomes the latest Date that there can be, and -infinity the earliest. */
export function toDate(time: PostgresTime): Date {
  return typeof time === "number" ? new Date(Math.sign(time) * LATEST_MS) : time;
}
