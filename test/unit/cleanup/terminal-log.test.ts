import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { createTerminalLog } from "../../../src/cleanup/terminal-log.ts";

function say(level: "info" | "debug", isScheduled: boolean): string {
  const terminal = new PassThrough({ encoding: "utf8" });
  const log = createTerminalLog(terminal, false, level, isScheduled);
  log.debug({ table: "app.sessions", targets: [] }, "looking");
  log.info({ schedule: "0 2 * * *" }, "waiting");
  log.warn({ err: new Error("connection refused") }, "cannot push the metrics");
  return terminal.read();
}

test("a person is warned, in words, in place of the progress line", () => {
  expect(say("info", false)).toBe("\r\u001b[Kwarn: cannot push the metrics: connection refused\n");
});

test("a schedule shows its next run, and debug shows everything that fits on a line", () => {
  expect(say("info", true)).toContain("info: waiting schedule=0 2 * * *\n");
  expect(say("debug", false)).toContain("debug: looking table=app.sessions\n");
});
