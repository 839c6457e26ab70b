import { expect, test } from "vitest";
import { judgeValues } from "../../../../src/cleanup/suggest/values.ts";

const NOW = Date.parse("2026-06-01T00:00:00Z");
const seconds = Array.from({ length: 20 }, (_, n) => String(1_780_000_000 + n * 86_400));

test.each([
  ["seconds", seconds, { epoch: "seconds", times: 20, never: [], fault: undefined }],
  ["milliseconds", seconds.map((text) => `${text}123`), { epoch: "milliseconds", times: 20 }],
  ["microseconds", seconds.map((text) => `${text}123456`), { epoch: "microseconds", times: 20 }],
  ["fractions of seconds", seconds.map((text) => `${text}.25`), { epoch: "seconds", times: 20 }],
  ["zeros and negative numbers mean none", [...seconds, "0", "-1", null], { times: 20, none: 2, nulls: 1, never: [] }],
  ["the end of 32-bit time is none", [...seconds, "2147483647"], { times: 20, never: ["2147483647"] }],
  ["the year 9999 in seconds is none", [...seconds, "253402300799"], { epoch: "seconds", never: ["253402300799"] }],
  [
    "small numbers do not look like times",
    ["3600", "7200", "60"],
    { epoch: undefined, fault: expect.stringContaining("do not look like") },
  ],
  [
    "nothing but zeros shows no unit",
    ["0", "0", null],
    { epoch: undefined, fault: expect.stringContaining("no values that show") },
  ],
])("numbers: %s", (_what, values, expected) => {
  expect(judgeValues(values, true, NOW)).toMatchObject(expected);
});

test.each([
  ["a time", ["2026-01-01 10:00:00.123456+00"], { times: 1, first: "2026-01-01", last: "2026-01-01", never: [] }],
  ["a day", ["2026-01-01"], { times: 1 }],
  [
    "infinity, the year 1 and before mean none",
    ["infinity", "-infinity", "0001-01-01 00:00:00+00", "0044-03-15 BC"],
    { none: 4, never: [], times: 0 },
  ],
  [
    "1970 and 9999 can hardly be times",
    ["1970-01-01 00:00:00+00", "9999-12-31 23:59:59+00", "10000-01-01 00:00:00+00"],
    { never: ["10000-01-01 00:00:00+00", "1970-01-01 00:00:00+00", "9999-12-31 23:59:59+00"] },
  ],
  [
    "a past value that many rows share is reported",
    [...seconds, "x", "x"].map(() => "2020-01-01 00:00:00+00"),
    { shared: "2020-01-01 00:00:00+00" },
  ],
  ["a future one is not", ["2030-01-01", "2030-01-01"], { shared: undefined }],
  [
    "many different values outside 2000 to 2100 are a fault",
    seconds.map((_, n) => `19${n + 10}-01-01`),
    { fault: "it has 20 different values outside the years 2000 to 2100" },
  ],
])("times: %s", (_what, values, expected) => {
  expect(judgeValues(values, false, NOW)).toMatchObject(expected);
});
