import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SHAPES = fileURLToPath(new URL("../../../../src/verifier/server/shapes.ts", import.meta.url));

/** A server that is asked a dozen times, with garbage collections in between, as at a verifier's start. */
const script = (start: string) => `
import { createServer, get } from "node:http";
import { settleShapes } from ${JSON.stringify(SHAPES)};
${start}
const hasFastProperties = new Function("object", "return %HasFastProperties(object)");
const fast = [];
const server = createServer((request, response) => {
  response.once("close", () => fast.push(hasFastProperties(request) && hasFastProperties(response)));
  response.writeHead(200, { "Content-Length": "0" }).end();
});
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
for (let asked = 0; asked < 12; asked += 1) {
  await fetch("http://127.0.0.1:" + server.address().port).then((response) => response.text());
  for (let count = 0; count < 4; count += 1) {
    await new Promise(setImmediate);
    gc();
  }
}
console.log(fast.at(-1));
process.exit();
`;

const run = (start: string) =>
  execFileSync(
    process.execPath,
    ["--expose-gc", "--allow-natives-syntax", "--input-type=module", "-e", script(start)],
    { encoding: "utf8" },
  ).trim();

test("requests keep their shape, whatever the garbage collector does between the first ones", () => {
  expect(run("await settleShapes();")).toBe("true");
});

test("without that they do not", () => {
  expect(run("")).toBe("false");
});

/** A process that is busy for longer than the start waits, at each point of its work. An error that nobody takes ends it. */
const BUSY = `
import { settleShapes } from ${JSON.stringify(SHAPES)};
for (let turns = 0; turns < 12; turns += 1) {
  const settled = settleShapes();
  for (let turn = 0; turn < turns; turn += 1) await new Promise(setImmediate);
  const untilMs = performance.now() + 230;
  while (performance.now() < untilMs);
  await settled;
}
console.log("lives");
`;

test("a machine that is too slow for it costs speed, and nothing else", () => {
  expect(execFileSync(process.execPath, ["--input-type=module", "-e", BUSY], { encoding: "utf8" }).trim()).toBe(
    "lives",
  );
});
