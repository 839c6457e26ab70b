import { Readable } from "node:stream";
import fc from "fast-check";
import { expect, test } from "vitest";
import { readJsonLines } from "../../../src/kube/json-lines.ts";

async function readAll(stream: Readable, stallMs = 10_000): Promise<unknown[]> {
  const objects = [];
  for await (const object of readJsonLines(stream, stallMs)) objects.push(object);
  return objects;
}

function streamOf(...chunks: Buffer[]): Readable {
  return Readable.from(chunks, { objectMode: false });
}

test("lines are read whole, even if chunks end within a character", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.json().map((text) => JSON.parse(text))),
      fc.integer({ min: 1, max: 9 }),
      async (objects, size) => {
        const bytes = Buffer.from(objects.map((object) => `${JSON.stringify(object)}\n`).join(""));
        const chunks = Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) =>
          bytes.subarray(i * size, (i + 1) * size),
        );
        expect(await readAll(streamOf(...chunks))).toEqual(objects);
      },
    ),
    { numRuns: 50 },
  );
});

test("empty lines are skipped", async () => {
  expect(await readAll(streamOf(Buffer.from('\n{"a":1}\n\n')))).toEqual([{ a: 1 }]);
});

test.each([
  ["a line that breaks off", '{"a":1}\n{"b":'],
  ["a line that is not JSON", '{"a":1}\nplaintext\n{"b":2}\n'],
])("%s is an error, which does not quote it", async (_what, text) => {
  const failure = readAll(streamOf(Buffer.from(text)));
  await expect(failure).rejects.toThrow(expect.objectContaining({ name: "BrokenStreamError" }));
  await expect(failure).rejects.not.toThrow(/plaintext|"b"/);
});

test("silence is an error", async () => {
  const silent = new Readable({ read() {} });
  await expect(readAll(silent, 30)).rejects.toThrow("the stream was silent for 30 ms");
  expect(silent.destroyed).toBe(true);
});
