import { parse } from "node:querystring";
import fc from "fast-check";
import { expect, test } from "vitest";
import { onlyValue, readForm, valuesOf } from "../../../../src/verifier/faces/form.ts";

const TYPE = "application/x-www-form-urlencoded";
const form = (text: string) => readForm(text, TYPE) ?? [];

test("a form is read as Node reads it, however it is encoded", () => {
  const aPart = fc.constantFrom("a", "token", "=", "&", "+", "%20", "%3D", "%C3%BC", "%zz", "%", "");
  fc.assert(
    fc.property(
      fc.array(aPart, { maxLength: 20 }).map((parts) => parts.join("")),
      (text) => {
        const expected = parse(text);
        const fields = new Set(form(text).filter((_, place) => place % 2 === 0));
        expect([...fields]).toEqual(Object.keys(expected));
        for (const field of fields) expect(valuesOf(form(text), field)).toEqual([expected[field]].flat());
      },
    ),
  );
});

test.each([
  ["a field", "token=abc&x=1", "abc"],
  ["an encoded one", "token=a%2Bb+c", "a+b c"],
  ["none without a value (RFC 6749, 3.1)", "token=&x=1", undefined],
  ["none that is given twice (RFC 6749, 3.1)", "token=a&token=a", undefined],
  ["none that is missing", "tokens=a", undefined],
])("the value is that of %s", (_, text, expected) => {
  expect(onlyValue(form(text), "token")).toBe(expected);
});

test.each([
  ["its type", TYPE, true],
  ["its type and a charset", `${TYPE}; charset=utf-8`, true],
  ["another type", "application/json", false],
  ["no type", undefined, false],
])("a body with %s", (_, type, isForm) => {
  expect(readForm("a=b", type)).toEqual(isForm ? ["a", "b"] : undefined);
});
