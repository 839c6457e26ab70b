import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readItems } from "../../../src/kube/json-items.ts";

async function read(text: string, chunkSize = 7): Promise<{ items: string[]; rest: string }> {
  const bytes = Buffer.from(text);
  const items: string[] = [];
  async function* chunks() {
    for (let at = 0; at < bytes.length; at += chunkSize) yield bytes.subarray(at, at + chunkSize);
  }
  const rest = await readItems(chunks(), (item) => items.push(item.toString()));
  return { items, rest: rest.toString() };
}

const anyItem = fc.oneof(
  fc.jsonValue(),
  fc.constantFrom({ items: [1, { items: [] }] }, '"items":[', "]", "},{", "\\", '\\"', "ü😀"),
);
/** Whatever else the API server writes into a list. */
const anyRest = fc.constantFrom(
  { kind: "SecretList", metadata: { resourceVersion: "1", continue: 'a"items":[b' } },
  { 'my"items': [1, 2], other: { items: [3] }, list: ["items"], note: "items" },
  {},
);

test("each item is handed over as JSON.parse would see it, and the rest is left, however the text is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyItem, { maxLength: 6 }),
      anyRest,
      fc.boolean(),
      fc.constantFrom(undefined, 1, "\t"),
      fc.integer({ min: 1, max: 40 }),
      async (values, other, isFirst, space, chunkSize) => {
        const list = isFirst ? { items: values, ...other } : { ...other, items: values };
        const { items, rest } = await read(JSON.stringify(list, undefined, space), chunkSize);
        expect(items.map((item) => JSON.parse(item))).toEqual(JSON.parse(JSON.stringify(values)));
        expect(JSON.parse(rest)).toEqual({ ...other, items: [] });
      },
    ),
    { numRuns: 500 },
  );
});

test.each(['{"items":null}', '{"metadata":{}}', "null", '"items"', "[1,[2]]", "<html>"])(
  "%s has no items, and is left as it is",
  async (text) => {
    expect(await read(text)).toEqual({ items: [], rest: text });
  },
);

describe("a list that is cut off", () => {
  test.each(['{"items":[', '{"items":[{"a":1}', '{"items":[{"a":1},', '{"items":[{"a":1},{"b":"', '{"items":[1]'])(
    "%s leaves a rest that is not JSON",
    async (text) => {
      const { rest } = await read(text);
      expect(() => JSON.parse(rest)).toThrow(SyntaxError);
    },
  );
});
