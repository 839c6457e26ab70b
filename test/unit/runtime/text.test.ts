import { expect, test } from "vitest";
import {
  count,
  findNear,
  formatCount,
  joinWords,
  measureWidth,
  plural,
  stripControls,
  takeColumns,
  wrap,
} from "../../../src/runtime/text.ts";

test("counts have separated thousands and a noun in the right number", () => {
  expect(formatCount(1_234_567)).toBe("1,234,567");
  expect(count(0, "row")).toBe("0 rows");
  expect(count(1, "row")).toBe("1 row");
  expect(count(12_000, "row")).toBe("12,000 rows");
  expect(count(2, "entry", "entries")).toBe("2 entries");
  expect(plural(1, "entry", "entries")).toBe("entry");
});

test.each([
  [[], ""],
  [["a"], "a"],
  [["a", "b"], "a or b"],
  [["a", "b", "c"], "a, b or c"],
])("%j reads %s", (words, text) => {
  expect(joinWords(words, "or")).toBe(text);
});

test("control characters of every kind become spaces", () => {
  expect(stripControls("a\u001b[31mb\nc\rd\u0000e\u009bf\u007fg")).toBe("a [31mb c d e f g");
  expect(stripControls("Zoë 日本 🙂")).toBe("Zoë 日本 🙂");
});

test.each([
  ["plain", 5],
  ["Zoë", 3],
  ["Zoe\u0308", 3],
  ["日本", 4],
  ["한국 🙂", 7],
  ["█░·…", 4],
])("%s takes %i columns", (text, width) => {
  expect(measureWidth(text)).toBe(width);
});

test("lines are broken between words, and words that are too long are split", () => {
  expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
  expect(wrap("ab abcdefghij", 4)).toEqual(["ab", "abcd", "efgh", "ij"]);
  expect(wrap("日本日本 ab", 4)).toEqual(["日本", "日本", "ab"]);
  expect(wrap("", 4)).toEqual([""]);
  expect(wrap("one\n\ntwo", 80)).toEqual(["one", "", "two"]);
  expect(wrap("日", 1)).toEqual(["日"]);
});

test("the indent goes before every line except the first, and counts towards the width", () => {
  expect(wrap("--dry-run count what goes", 12, "    ")).toEqual(["--dry-run", "    count", "    what", "    goes"]);
  expect(wrap("a b c", 3, "    ")).toEqual(["a b", "    c"]);
});

test("the beginning of a text is cut by columns, not by characters", () => {
  expect(takeColumns("日本語", 5)).toBe("日本");
  expect(takeColumns("abc", 2)).toBe("ab");
});

test.each([
  ["vaildate", "validate"],
  ["--ouput", "--output"],
  ["STATS", "stats"],
  ["dry-run", "--dry-run"],
  ["frobnicate", undefined],
  ["", undefined],
])("%s probably means %s", (word, near) => {
  const candidates = ["stats", "status", "validate", "--output", "--dry-run"];
  expect(findNear(word, candidates)).toBe(near);
});

test("the nearest candidate wins, and the first among equals", () => {
  expect(findNear("stat", ["status", "stats", "state"])).toBe("stats");
});
