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

const run = (start: string) =>
  execFileSync(process.execPath, ["--expose-gc", "--input-type=module", "-e", script(start)], {
    encoding: "utf8",
  }).trim();

test("V8 always finds an object of process.nextTick", () => {
  expect(run("keepTickShape();")).toBe("true true");
});

test("without that it finds none", () => {
  expect(run("")).toBe("true false");
});
