import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

const RUNTIME = fileURLToPath(new URL("../../../src/runtime/", import.meta.url));

/** A program that logs, and then has an error that nothing catches. */
function runUncaught(statement: string) {
  const source = `
    import { createLogger } from "${RUNTIME}log.ts";
    import { exitOnUncaught } from "${RUNTIME}program.ts";
    exitOnUncaught(createLogger("test", "info"));
    ${statement}
    setTimeout(() => {}, 60_000);`;
  return spawnSync(process.execPath, ["--input-type=module", "-e", source], { encoding: "utf8", timeout: 30_000 });
}

test.each([
  ["throws", 'setTimeout(() => { throw new TypeError("the fault", { cause: new Error("its cause") }); });'],
  ["rejects", 'void Promise.reject(new TypeError("the fault", { cause: new Error("its cause") }));'],
])("an error that %s and is not caught ends the process, and the log shows it", (_how, statement) => {
  const { status, stderr } = runUncaught(statement);
  expect(status).toBe(1);
  expect(JSON.parse(stderr)).toMatchObject({
    level: "error",
    msg: "uncaught error",
    err: { name: "TypeError", message: "the fault", cause: { message: "its cause" } },
  });
});
