/*
 * How a number is written for people: in statuses, Events and terminal output alike. src/runtime/text.ts hands it on to whoever
 * words things there.
 */

/** A number with its thousands separated, as in 1,234,567. */
export function formatCount(value: number): string {
  return value.toLocaleString("en-US");
}

/** The form of a noun that goes with `amount`: `plural(2, "row")` is "rows". */
export function plural(amount: number, singular: string, several = `${singular}s`): string {
  return amount === 1 ? singular : several;
}

/** An amount with its noun, as in "1 row" and "2,000 rows". `several` is for nouns whose plural is not formed with "s". */
export function count(amount: number, singular: string, several?: string): string {
  return `${formatCount(amount)} ${plural(amount, singular, several)}`;
}
