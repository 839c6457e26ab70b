import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { readSchedule, runOnSchedule } from "../../../src/cleanup/schedule.ts";
import { createTerminalLog } from "../../../src/cleanup/terminal-log.ts";
import { eventually } from "../../support/eventually.ts";

test.each([
  ["0 2 * * *", undefined, { expression: "0 2 * * *", timezone: "UTC" }],
  ["*/30 0 2 * * *", "Europe/Berlin", { expression: "*/30 0 2 * * *", timezone: "Europe/Berlin" }],
])("the schedule %s in %s is read", (expression, timezone, schedule) => {
  expect(readSchedule(expression, timezone)).toEqual(schedule);
});

test.each([
  ["every night", undefined, '--schedule is "every night": must be a cron expression such as "0 2 * * *"'],
  ["", undefined, '--schedule is ""'],
  ["99 * * * *", undefined, '--schedule is "99 * * * *"'],
  ["0 0 30 2 *", undefined, '--schedule is "0 0 30 2 *"'],
  ["0 2 * * *", "Mars/Olympus", '--timezone is "Mars/Olympus": must be a time zone such as Europe/Berlin'],
  ["0 2 * * *", "'; drop", `--timezone is "'; drop"`],
])("the schedule %j in %j is refused", (expression, timezone, message) => {
  expect(() => readSchedule(expression, timezone)).toThrow(message);
});

function createLog() {
  const terminal = new PassThrough({ encoding: "utf8" });
  const log = createTerminalLog(terminal, false, "info", true);
  let said = "";
  terminal.on("data", (text) => (said += text));
  return { log, said: () => said };
}

const EVERY_SECOND = { expression: "* * * * * *", timezone: "UTC" };

test("a time at which the previous run is still running is skipped, but not the next one", async () => {
  const stop = new AbortController();
  const { log, said } = createLog();
  const first = Promise.withResolvers<number>();
  let begun = 0;
  const ended = runOnSchedule(
    EVERY_SECOND,
    () => (++begun === 1 ? first.promise : Promise.resolve(0)),
    log,
    stop.signal,
  );
  await eventually(() => said().includes("warn: the previous run is still in progress; this one is skipped"));
  expect(begun).toBe(1);
  first.resolve(0);
  await eventually(() => begun > 1);
  stop.abort();
  expect(await ended).toBe(0);
});

test("a failed run is reported and does not end the schedule", async () => {
  const stop = new AbortController();
  const { log, said } = createLog();
  let begun = 0;
  const run = () => (++begun === 1 ? Promise.reject(new Error("no database")) : Promise.resolve(0));
  const ended = runOnSchedule(EVERY_SECOND, run, log, stop.signal);
  await eventually(() => begun > 1);
  expect(said()).toContain("error: scheduled run failed: no database");
  stop.abort();
  expect(await ended).toBe(0);
});

test("the end waits for a run that is in progress", async () => {
  const stop = new AbortController();
  const run = Promise.withResolvers<number>();
  let hasBegun = false;
  let hasEnded = false;
  const begin = () => {
    hasBegun = true;
    return run.promise;
  };
  const ended = runOnSchedule(EVERY_SECOND, begin, createLog().log, stop.signal).then(() => {
    hasEnded = true;
  });
  await eventually(() => hasBegun);
  stop.abort();
  await new Promise(setImmediate);
  expect(hasEnded).toBe(false);
  run.resolve(4);
  await ended;
});
