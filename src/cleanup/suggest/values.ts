/*
 * What a sample of a time column's values says: the unit of an epoch, and values that mean "no time".
 */

const UNITS = { seconds: 1_000, milliseconds: 1, microseconds: 0.001 } as const;

export type EpochUnit = keyof typeof UNITS;

export interface ValueFacts {
  /** Of a number only, and only if the sample shows it. */
  readonly epoch: EpochUnit | undefined;
  /** How many values are times of the years 2000 to 2100, the first and the last of them as days. */
  readonly times: number;
  readonly first: string | undefined;
  readonly last: string | undefined;
  /** How many are null, and how many mean "no time" in any case: 0, -1, infinity, the year 1. */
  readonly nulls: number;
  readonly none: number;
  /** Other values that can hardly be times. */
  readonly never: readonly string[];
  /** A value of the past that many of the times share. */
  readonly shared: string | undefined;
  /** Why the column cannot be used as it is. */
  readonly fault: string | undefined;
}

const FROM_MS = Date.UTC(2000, 0, 1);
const TO_MS = Date.UTC(2101, 0, 1);

/** The end of 32-bit time: a time of the year 2038 that stands for none. */
const LAST_INT32 = "2147483647";

const MOST_NEVER = 5;
const MOST_SHARING = 0.1;

/** Judges the values of one column, which are texts as Postgres writes them. `isNumber`: they are epochs. */
export function judgeValues(values: readonly (string | null)[], isNumber: boolean, nowMs: number): ValueFacts {
  const set = values.filter((value) => value !== null);
  const meant = set.filter((value) => (isNumber ? Number(value) > 0 && Number.isFinite(Number(value)) : isYear(value)));
  const epoch = isNumber ? findUnit(meant) : undefined;
  const toMs = (value: string) => (isNumber ? Number(value) * UNITS[epoch ?? "seconds"] : parseTime(value));
  const isTime = (value: string) =>
    toMs(value) >= FROM_MS && toMs(value) < TO_MS && !(epoch === "seconds" && value === LAST_INT32);
  const times = meant.filter(isTime);
  const never = [...new Set(meant.filter((value) => !isTime(value)))].sort();
  const moments = times.map(toMs).sort((left, right) => left - right);
  const day = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 10));
  return {
    epoch,
    times: times.length,
    first: day(moments[0]),
    last: day(moments.at(-1)),
    nulls: values.length - set.length,
    none: set.length - meant.length,
    never: never.slice(0, MOST_NEVER),
    shared: findShared(times.filter((value) => toMs(value) <= nowMs)),
    fault: findFault({ isNumber, epoch, meant: meant.length, times: times.length, never: never.length }),
  };
}

function findFault(found: {
  isNumber: boolean;
  epoch: EpochUnit | undefined;
  meant: number;
  times: number;
  never: number;
}) {
  if (found.isNumber && found.epoch === undefined) {
    return found.meant === 0
      ? "there are no values that show whether it counts seconds, milliseconds or microseconds"
      : "its values do not look like seconds, milliseconds or microseconds since 1970";
  }
  if (found.never > MOST_NEVER) return `it has ${found.never} different values outside the years 2000 to 2100`;
  return undefined;
}

/** The unit in which most of the values are times of this century. */
function findUnit(values: readonly string[]): EpochUnit | undefined {
  const shares = (Object.keys(UNITS) as EpochUnit[]).map((unit) => {
    const fits = values.filter((value) => {
      const ms = Number(value) * UNITS[unit];
      return ms >= FROM_MS && ms < TO_MS;
    });
    return { unit, fits: fits.length };
  });
  const [best] = shares.sort((left, right) => right.fits - left.fits);
  return best !== undefined && best.fits > 0 && best.fits * 2 >= values.length ? best.unit : undefined;
}

function findShared(past: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const value of past) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [most] = [...counts].sort((left, right) => right[1] - left[1]);
  return most !== undefined && most[1] > 1 && most[1] > past.length * MOST_SHARING ? most[0] : undefined;
}

/** Whether it is a time of the calendar after the year 1. */
function isYear(value: string): boolean {
  return !value.endsWith("infinity") && !value.endsWith("BC") && Number(/^\d+/.exec(value)?.[0] ?? 0) > 1;
}

/** 2026-11-29 06:30:00.5+00, a session in UTC writes it so; a year of five digits is far away in any case. */
function parseTime(value: string): number {
  const [date = "", time = "00:00:00"] = value.replace(/\+00$/, "").split(" ");
  return date.length > 10 ? Number.MAX_SAFE_INTEGER : Date.parse(`${date}T${time.slice(0, 12)}Z`);
}
