import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { readImageCommand } from "../../bench/image.ts";

const MEMORY = fileURLToPath(new URL("../../../src/runtime/memory.ts", import.meta.url));

/** Needs 100 MB for a moment, gives memory back, and says how much of it is left to the process, in MB. */
const SCRIPT = `
import { giveBackMemory } from ${JSON.stringify(MEMORY)};
giveBackMemory();
const before = process.memoryUsage.rss();
(() => { const pairs = []; for (let i = 0; i < 1_500_000; i += 1) pairs.push({ i }); return pairs; })();
await new Promise(setImmediate);
giveBackMemory();
console.log((process.memoryUsage.rss() - before) / 1e6);
`;

/** In MB. About 90 stay without a collection, and 5 to 20 with one. */
const HALF = 45;

const run = (options: readonly string[]) =>
  Number(execFileSync(process.execPath, [...options, "--input-type=module", "-e", SCRIPT], { encoding: "utf8" }));

test.each(["controller", "verifier"])(
  "what the %s needed for a moment is given back, with its image's options",
  (name) => {
    expect(run(readImageCommand(name).nodeOptions)).toBeLessThan(HALF);
  },
);

test("without --expose-gc nothing is given back, and nothing fails", () => {
  expect(run([])).toBeGreaterThan(HALF);
});
