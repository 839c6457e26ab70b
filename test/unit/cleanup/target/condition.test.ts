import { expect, test } from "vitest";
import { parseCondition } from "../../../../src/cleanup/target/condition.ts";
import { areDisjoint, formatCondition } from "../../../../src/postgres/cleanup/condition.ts";

test.each([
  ["is_active = false", '(t."is_active" in (false))'],
  ["Status <> 'it''s off'", `(t."status" not in ('it''s off'))`],
  ["\"Kind\" IN ('a', 'b') AND deleted_at IS NULL", `(t."Kind" in ('a', 'b') and t."deleted_at" is null)`],
  ["a is not null and b not in (-1, 2.50)", '(t."a" is not null and t."b" not in (-1, 2.50))'],
  ["x = 9007199254740993", '(t."x" in (9007199254740993))'],
  ["note = ' and x = 1'", `(t."note" in (' and x = 1'))`],
  ["日本 != 1", '(t."日本" not in (1))'],
])("%s is read, and written again from its parts", (text, sql) => {
  expect(formatCondition(parseCondition(text), "t")).toBe(sql);
});

test.each([
  ["", "it ends too early"],
  ["a", "it ends too early"],
  ["a = 1 and", "it ends too early"],
  ["a = b", 'it goes wrong at "b"'],
  ["a = 1 or b = 2", 'it goes wrong at "or"'],
  ["a < 1", 'it goes wrong at "< 1"'],
  ["a in ()", 'it goes wrong at ")"'],
  ["a = 1; drop table x", "it goes wrong at"],
  ["a = now()", 'it goes wrong at "now"'],
  ["a is 1", 'it goes wrong at "1"'],
  ["a = 1x", "it goes wrong at"],
  ["a = 'x", "it goes wrong at"],
  ["a = null", "write is null or is not null"],
  [`a = '${"x".repeat(2_000)}'`, "at most 2000 characters"],
])("%s is refused with the place", (text, message) => {
  expect(() => parseCondition(text)).toThrow(message);
});

test.each([
  ["a = 1", "a = 2", true],
  ["a = 1", "a <> 1", true],
  ["a in (1, 2)", "a in (3) and b = 1", true],
  ["a in (1, 2)", "a not in (1, 2, 3)", true],
  ["a is null", "a is not null", true],
  ["a is null", "a = 1", true],
  ["a = true", "a = false", true],
  ["a = 1", "a = 1.0", false],
  ["a = 1", "a <> 1.0", true],
  ["a = 'A'", "a = 'a'", false],
  ["a = 'A'", "a <> 'a'", false],
  ["a = 'a '", "a = 'a'", false],
  ["a = '1'", "a <> '1.0'", false],
  ["a = '6F9619FF-8B86-D011'", "a = '6f9619ff8b86d011'", false],
  ["a = 9007199254740993", "a <> 9007199254740992", false],
  ["a = 1", "b = 2", false],
  ["a in (1, 2)", "a <> 1", false],
  ["a is null", "a is null", false],
  ["a <> 1", "a <> 2", false],
])("whether no row can meet both %s and %s: %s", (left, right, isDisjoint) => {
  expect(areDisjoint(parseCondition(left), parseCondition(right))).toBe(isDisjoint);
  expect(areDisjoint(parseCondition(right), parseCondition(left))).toBe(isDisjoint);
});
