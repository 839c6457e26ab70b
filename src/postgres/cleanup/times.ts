/*
 * When a row's time has passed. Applications store times in many ways, and write 0, -1, the year 1 or infinity where there is
 * none. What such a value means is decided here and nowhere else, because a wrong guess deletes live rows.
 */
import { type Constant, formatConstant } from "./condition.ts";
import { quoteIdentifier, quoteLiteral } from "./identifiers.ts";

/** A column with a time, in one of the representations that tables use, and what is added to it. */
export interface TimeColumn {
  readonly column: string;
  readonly kind: "timestamptz" | "timestamp" | "date" | "seconds" | "milliseconds" | "microseconds";
  /** The column's type, as format_type returns it. */
  readonly type: string;
  /** The time zone of a timestamp or date without one. */
  readonly timezone: string;
  /** Added to the column, in milliseconds; 0: the column itself is the time. */
  readonly plusMs: number;
  /** The column with the number of seconds that are added; undefined: none. */
  readonly plusSeconds: string | undefined;
  /** Values that mean "no time", in addition to those that always do. */
  readonly never: readonly Constant[];
  /** The column with a grace in seconds, or null, during which a row is not dead yet; only beside a timestamptz. */
  readonly graceSeconds?: string;
}

/** A time of a row: that of the first column that is not null. */
export type TimeSource = readonly TimeColumn[];

const UNITS = { seconds: 1, milliseconds: 1_000, microseconds: 1_000_000 } as const;

/** Numbers up to this one, and times before this one, are none: 0, -1, 0001-01-01, -infinity. */
const NO_NUMBER = "0";
const FIRST_TIME = "'0002-01-01'";

/** Seconds that are added: with more than these (three thousand years) no time has passed, and sums could overflow. */
const MOST_SECONDS = "100000000000";

const isNumber = ({ kind }: TimeColumn) => kind in UNITS;

const nameOf = ({ column }: TimeColumn, row: string) => `${row}.${quoteIdentifier(column)}`;

/** SQL: whether the column's value is a time, and not one that means "no time"; null if it is null. */
export function isMeant(time: TimeColumn, row: string): string {
  const name = nameOf(time, row);
  return [
    isNumber(time) ? `${name} > ${NO_NUMBER}` : `${name} >= ${FIRST_TIME}`,
    ...(time.never.length === 0 ? [] : [`${name} not in (${time.never.map(formatConstant).join(", ")})`]),
    ...(time.plusSeconds === undefined ? [] : [`${row}.${quoteIdentifier(time.plusSeconds)} > 0`]),
  ].join(" and ");
}

/** SQL: a moment (SQL of type timestamptz) in the column's representation. */
export function momentAs(
  { kind, type, timezone }: Pick<TimeColumn, "kind" | "type" | "timezone">,
  moment: string,
): string {
  switch (kind) {
    case "timestamptz":
      return moment;
    case "timestamp":
      return `(${moment} at time zone ${quoteLiteral(timezone)})`;
    case "date":
      return `(${moment} at time zone ${quoteLiteral(timezone)})::date`;
    default:
      return epochAs(type, `extract(epoch from ${moment}) * ${UNITS[kind]}`);
  }
}

/** Only whole numbers are rounded down: others may have fractions. The result has the column's type, or an index would not serve. */
function epochAs(type: string, epoch: string): string {
  if (type === "numeric") return `(${epoch})`;
  return type === "double precision" ? `(${epoch})::double precision` : `floor(${epoch})::bigint`;
}

/** SQL: the latest value of the column with which the time has passed at a moment, without seconds of another column. */
export function latestPassed(time: TimeColumn, moment: string): string {
  return momentAs(time, time.plusMs === 0 ? moment : `(${moment} - ${interval(String(time.plusMs / 1_000))})`);
}

const interval = (seconds: string) => `make_interval(secs => ${seconds})`;

function hasColumnPassed(time: TimeColumn, moment: string, row: string): string {
  const name = nameOf(time, row);
  // A date has passed when its day is over.
  const passed = `${name} ${time.kind === "date" ? "<" : "<="} ${latestPassed(time, moment)}`;
  const conditions = [isMeant(time, row), passed];
  if (time.plusSeconds !== undefined) conditions.push(haveSecondsPassed(time, time.plusSeconds, moment, row));
  // Subtracted, because an expiry near the end of Postgres' time cannot be added to.
  if (time.graceSeconds !== undefined) {
    const grace = interval(`coalesce(${row}.${quoteIdentifier(time.graceSeconds)}, 0)`);
    conditions.push(`${name} <= ${moment} - ${grace}`);
  }
  return conditions.join(" and ");
}

/** The condition before it is implied by this one, and is there for an index. */
function haveSecondsPassed(time: TimeColumn, plusSeconds: string, moment: string, row: string): string {
  const seconds = `${row}.${quoteIdentifier(plusSeconds)}`;
  const ended = `${moment} - ${interval(`${seconds}::double precision`)}`;
  const comparison = `${nameOf(time, row)} ${time.kind === "date" ? "<" : "<="} ${latestPassed(time, `(${ended})`)}`;
  return `case when ${seconds} between 0 and ${MOST_SECONDS} then ${comparison} else false end`;
}

const isSet = (time: TimeColumn, row: string) =>
  [time.column, ...(time.plusSeconds === undefined ? [] : [time.plusSeconds])]
    .map((column) => `${row}.${quoteIdentifier(column)} is not null`)
    .join(" and ");

/** SQL: an expression of the first column that is not null; `otherwise` if all are null. */
function ofFirst(times: TimeSource, row: string, otherwise: string, of: (time: TimeColumn) => string): string {
  const cases = times.map((time) => `when ${isSet(time, row)} then ${of(time)}`);
  return `case ${cases.join(" ")} else ${otherwise} end`;
}

/** SQL: the place, from 0, of the first column that is not null, which decides; null if all are null. */
export function placeOfDeciding(times: TimeSource, row: string): string {
  return ofFirst(times, row, "null::integer", (time) => String(times.indexOf(time)));
}

/** SQL: whether the row's time has passed at a moment; null or false if it has none. An index serves a single column. */
export function hasPassed(times: TimeSource, moment: string, row: string): string {
  const [only] = times;
  if (only !== undefined && times.length === 1) return `(${hasColumnPassed(only, moment, row)})`;
  return ofFirst(times, row, "false", (time) => hasColumnPassed(time, moment, row));
}

/** SQL: whether the row has a time at all, passed or not; never null. */
export function hasTime(times: TimeSource, row: string): string {
  return ofFirst(times, row, "false", (time) => isTime(time, row));
}

/** SQL: whether the column has a time that will pass one day; null if it is null. */
export function isTime(time: TimeColumn, row: string): string {
  const { plusSeconds } = time;
  return [
    isMeant(time, row),
    `${nameOf(time, row)} < ${lastValue(time)}`,
    ...(plusSeconds === undefined ? [] : [`${row}.${quoteIdentifier(plusSeconds)} <= ${MOST_SECONDS}`]),
  ].join(" and ");
}

/** SQL: whether it is this of the columns whose value is the row's time, whatever that value means; never null. */
export function decides(times: TimeSource, time: TimeColumn, row: string): string {
  return ofFirst(times, row, "false", (each) => String(each === time));
}

/** Infinity does not count as a time; NaN is greater than infinity. */
function lastValue(time: TimeColumn): string {
  return time.type === "integer" || time.type === "bigint" ? "9223372036854775807" : "'infinity'";
}

/** SQL: the row's time as a timestamptz if it has passed at a moment; otherwise null. So no sum can overflow. */
export function passedAt(times: TimeSource, moment: string, row: string): string {
  return ofFirst(times, row, "null", (time) => {
    const plus = [
      ...(time.plusMs === 0 ? [] : [` + ${interval(String(time.plusMs / 1_000))}`]),
      ...(time.plusSeconds === undefined
        ? []
        : [` + ${interval(`${row}.${quoteIdentifier(time.plusSeconds)}::double precision`)}`]),
    ].join("");
    return `case when ${hasColumnPassed(time, moment, row)} then ${asTimestamptz(time, row)}${plus} end`;
  });
}

/** SQL: the column's value as a timestamptz, for a value that is a time of the calendar. */
export function asTimestamptz(time: TimeColumn, row: string): string {
  const name = nameOf(time, row);
  const zone = quoteLiteral(time.timezone);
  switch (time.kind) {
    case "timestamptz":
      return name;
    case "timestamp":
      return `(${name} at time zone ${zone})`;
    case "date":
      return `((${name} + 1)::timestamp at time zone ${zone})`;
    default:
      return `to_timestamp(${name}::double precision / ${UNITS[time.kind]})`;
  }
}
