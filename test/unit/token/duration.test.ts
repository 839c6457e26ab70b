import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { formatDuration, parseDuration } from "../../../src/token/duration.ts";
import { HOUR_MS } from "../../support/builders.ts";

describe("a duration", () => {
  test.each([
    ["720h", 720 * HOUR_MS],
    ["1h30m", 1.5 * HOUR_MS],
    ["30m1h", 1.5 * HOUR_MS],
    ["1.5h", 1.5 * HOUR_MS],
    ["10s", 10_000],
    ["250ms", 250],
    ["1m1ms", 60_001],
    ["2.5ms", 3],
    ["0s", 0],
  ])("%s is %d ms", (text, durationMs) => expect(parseDuration(text)).toBe(durationMs));

  test.each(["", "10", "h", "1d", "-1h", "1h 30m", "1H", " 1h", "1h ", "1h\n", "1.h", ".5h", "1e3s", "١h"])(
    "%j is not a duration, and the message shows how to write one",
    (text) => {
      expect(() => parseDuration(text)).toThrow(RangeError);
      expect(() => parseDuration(text)).toThrow(`"${text}" is not a duration; write it like "720h"`);
    },
  );

  test.each([
    [0, "0s"],
    [1, "1ms"],
    [10_000, "10s"],
    [90 * 60_000, "1h30m"],
    [61_001, "1m1s1ms"],
    [720 * HOUR_MS, "720h"],
    [48 * HOUR_MS + 1_000, "48h1s"],
  ])("%d ms is written %s", (durationMs, text) => expect(formatDuration(durationMs)).toBe(text));

  test("a formatted duration is parsed as the same", () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 10 * 365 * 24 * HOUR_MS }), (durationMs) => {
        expect(parseDuration(formatDuration(durationMs))).toBe(durationMs);
      }),
    );
  });

  test("a formatted duration is the shortest: formatting what was parsed changes nothing", () => {
    const part = fc.tuple(fc.nat(1_000), fc.constantFrom("h", "m", "s", "ms")).map(([amount, unit]) => amount + unit);
    fc.assert(
      fc.property(fc.array(part, { minLength: 1, maxLength: 4 }), (parts) => {
        const text = formatDuration(parseDuration(parts.join("")));
        expect(formatDuration(parseDuration(text))).toBe(text);
        expect(text.length).toBeLessThanOrEqual(20);
      }),
    );
  });
});
