import { expect, test } from "vitest";
import { shareList, shareText } from "../../../src/runtime/sharing.ts";

/** A text of its own, as JSON.parse makes one. */
const parsed = <Value>(value: Value): Value => JSON.parse(JSON.stringify(value)) as Value;

test("equal lists are one list", () => {
  const first = shareList(parsed(["orders:read"]));
  expect(first).toEqual(["orders:read"]);
  expect(shareList(parsed(["orders:read"]))).toBe(first);
  expect(shareList(parsed(["orders:write"]))).not.toBe(first);
});

test.each([
  ["a text", "alice"],
  ["a long text", "x".repeat(10_000)],
  ["a number", 7],
  ["nothing", undefined],
  ["null", null],
  ["an object", { owner: "alice" }],
  ["a list of other things", [1, ["a"], null]],
  ["a list of long texts", ["x".repeat(10_000)]],
])("%s is returned as it is", (_, value) => {
  expect(shareText(parsed({ value }).value)).toEqual(value);
  expect(shareList(parsed({ value }).value)).toEqual(value);
});

test("however many different texts there are, each is returned as it is", () => {
  for (let number = 0; number < 50_000; number += 1) {
    expect(shareText(`text-${number}`)).toBe(`text-${number}`);
    expect(shareList([`text-${number}`])).toEqual([`text-${number}`]);
  }
});
