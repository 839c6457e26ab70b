import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const SHAPES = fileURLToPath(new URL("../../../src/runtime/shapes.ts", import.meta.url));

/** Whether, of all objects that process.nextTick has made, one is left after collections that leave nothing that nobody has. */
const script = (start: string) => `
import { createHook } from "node:async_hooks";
import { keepTickShape } from ${JSON.stringify(SHAPES)};
const ticks = [];
const hook = createHook({ init: (id, type, trigger, tick) => type === "TickObject" && ticks.push(new WeakRef(tick)) }).enable();
${start}
for (let count = 0; count < 10; count += 1) process.nextTick(() => {});
await new Promise(setImmediate);
hook.disable();
for (let count = 0; count < 4; count += 1) {
  await new Promise(setImmediate);
  gc({ type: "major", execution: "sync", flavor: "last-resort" });
}
await new Promise(setImmediate);
console.log(ticks.length >= 10, ticks.some((tick) => tick.deref() !== undefined));
`;

/** Whether the sockets of two servers are alike, of which one looks where its requests come from. */
const twoServers = (prepare: string) => `
import { createServer } from "node:http";
import { unifySockets } from ${JSON.stringify(SHAPES)};
const sockets = [];
const serve = async (look) => {
  const server = createServer((request, response) => {
    look(request.socket);
    response.end();
  });
  ${prepare}
  server.on("connection", (socket) => sockets.push(socket));
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  await fetch("http://127.0.0.1:" + server.address().port).then((response) => response.text());
};
await serve((socket) => socket.remoteAddress);
await serve(() => {});
console.log(sockets.length, new Function("one", "other", "return %HaveSameMap(one, other)")(...sockets));
process.exit();
`;

const run = (script: string) =>
  execFileSync(process.execPath, ["--expose-gc", "--allow-natives-syntax", "--input-type=module", "-e", script], {
    encoding: "utf8",
  }).trim();

test("V8 always finds an object of process.nextTick", () => {
  expect(run(script("keepTickShape();"))).toBe("true true");
});

test("without that it finds none", () => {
  expect(run(script(""))).toBe("true false");
});

test("sockets of all servers have one shape, whoever looks at them", () => {
  expect(run(twoServers("unifySockets(server);"))).toBe("2 true");
});

test("without that they have not", () => {
  expect(run(twoServers(""))).toBe("2 false");
});
