/*
 * What an oracle knows of something that changes: a change takes effect at some moment between the call that makes it and the
 * call's return, so for that long both the old and the new value are possible.
 */

interface Version<Value> {
  readonly value: Value;
  /** When the change to it was begun, and when it was certainly made. */
  readonly begunMs: number;
  settledMs: number;
}

/** A value that was possible, and the part of the time span in which it was. */
export interface Possibility<Value> {
  readonly value: Value;
  readonly fromMs: number;
  readonly untilMs: number;
}

/** The values that something has had. All times are on one clock. */
export interface History<Value> {
  readonly latest: Value;
  /** Begins a change. Call what it returns when the change has certainly been made. */
  begin(value: Value, nowMs: number): (nowMs: number) => void;
  /** What was possible within a span of time. */
  within(fromMs: number, untilMs: number): Possibility<Value>[];
}

/** Begins with a value that has always been there. */
export function createHistory<Value>(first: Value): History<Value> {
  const always = Number.NEGATIVE_INFINITY;
  const versions: Version<Value>[] = [{ value: first, begunMs: always, settledMs: always }];
  return {
    get latest() {
      return (versions.at(-1) as Version<Value>).value;
    },
    begin(value, nowMs) {
      const version = { value, begunMs: nowMs, settledMs: Number.POSITIVE_INFINITY };
      versions.push(version);
      return (settledMs) => {
        version.settledMs = settledMs;
      };
    },
    within: (fromMs, untilMs) =>
      versions.flatMap(({ value, begunMs }, place) => {
        const start = Math.max(fromMs, begunMs);
        const end = Math.min(untilMs, versions[place + 1]?.settledMs ?? Number.POSITIVE_INFINITY);
        return start <= end ? [{ value, fromMs: start, untilMs: end }] : [];
      }),
  };
}
