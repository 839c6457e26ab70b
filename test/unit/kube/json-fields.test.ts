import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FEW, type Fields, LARGE, parseJson, readFields, TOO_LARGE } from "../../../src/kube/json-fields.ts";

const NAMES = ["metadata", "data", "items", "a", "", 'q"uote', "back\\slash", "ü"];

/** Any JSON object, with names that occur in `anyFields` too. */
const anyObject = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    fc.constantFrom("}", "]", '{"a":', "\\", '\\"', ",", "\u2028", "😀"),
    fc.string({ unit: "binary" }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.constantFrom(null, true, false, 0, {}, []),
    fc.array(tie("value"), { maxLength: 4 }),
    tie("object"),
  ),
  object: fc.dictionary(fc.oneof(fc.constantFrom(...NAMES), fc.string()), tie("value"), { noNullPrototype: true }),
})).object;

const anyFields: fc.Arbitrary<Fields> = fc.letrec<{ fields: Fields }>((tie) => ({
  fields: fc.dictionary(
    fc.constantFrom(...NAMES),
    fc.oneof({ maxDepth: 2 }, fc.constantFrom("whole" as const, "bounded" as const, "few" as const), tie("fields")),
    { noNullPrototype: true },
  ),
})).fields;

/** What `readFields` should find in what JSON.parse returns. */
function pick(value: unknown, fields: Fields[string]): unknown {
  if (typeof fields === "string" || typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, field]) =>
      Object.hasOwn(fields, name) ? [[name, pick(field, fields[name] as Fields[string])]] : [],
    ),
  );
}

test("fields are read as JSON.parse reads them, whatever is around them", () => {
  fc.assert(
    fc.property(anyObject, anyFields, fc.constantFrom(undefined, 1, "\t"), (object, fields, space) => {
      const text = ` ${JSON.stringify(object, undefined, space)}\n`;
      expect(readFields(Buffer.from(text), fields)).toEqual(pick(JSON.parse(text), fields));
    }),
    { numRuns: 1_000 },
  );
});

test("a text that ends too early is an error", () => {
  fc.assert(
    fc.property(anyObject, anyFields, fc.nat(), (object, fields, at) => {
      const text = Buffer.from(JSON.stringify(object));
      expect(() => readFields(text.subarray(0, at % text.length), fields)).toThrow(SyntaxError);
    }),
  );
});

test.each([
  "",
  "null",
  "[]",
  '"a"',
  "1",
  '{"a":1}}',
  '{"a":1}{}',
  '{"a":1,}',
  '{"a" 1}',
  "{a:1}",
  '{"a":tru}',
  "<html>",
])("%s is an error", (text) => {
  expect(() => readFields(Buffer.from(text), { a: "whole" })).toThrow(SyntaxError);
});

describe("of a text that is large", () => {
  const large = "x".repeat(LARGE);
  const text = Buffer.from(JSON.stringify({ kept: 1, left: 2, huge: large, deep: { kept: [1], huge: large } }));

  test("only the fields are read, and of bounded ones only those that are small", () => {
    const fields: Fields = { kept: "bounded", huge: "bounded", deep: { kept: "whole", huge: "whole" } };
    expect(parseJson(text, fields)).toEqual({ kept: 1, huge: TOO_LARGE, deep: { kept: [1], huge: large } });
  });

  test("everything is read if no fields are given", () => {
    expect(parseJson(text)).toEqual(JSON.parse(text.toString()));
  });
});

test("a text that is small is read as a whole", () => {
  expect(parseJson(Buffer.from('{"kept":1,"left":2}'), { kept: "whole" })).toEqual({ kept: 1, left: 2 });
});

test("a field that may have few members is read unless it has more, whatever is in them", () => {
  const members = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, [1, "2,3"]]));
  const text = Buffer.from(
    JSON.stringify({ few: members(FEW), many: members(FEW + 1), list: Array(FEW + 1).fill(",") }),
  );
  expect(readFields(text, { few: "few", many: "few", list: "few" })).toEqual({
    few: members(FEW),
    many: TOO_LARGE,
    list: TOO_LARGE,
  });
});
