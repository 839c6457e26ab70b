import { beforeEach, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { findNames, findRuns, insertTokens, isTrue, runCleanup, startCleanup } from "./program.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
});

test("it runs at each time; SIGTERM while it waits ends it with exit code 0", async () => {
  await insertTokens(url, [{ prefix: "first", count: 5, ...DUE.expired }]);
  const program = startCleanup(url, ["--schedule", "* * * * * *", "--timezone", "Europe/Berlin"]);
  await eventually(async () => (await findNames(url)).length === 0);
  await insertTokens(url, [{ prefix: "second", count: 5, ...DUE.expired }]);
  await eventually(async () => (await findNames(url)).length === 0);
  program.process.kill("SIGTERM");
  const { exitCode, stdout, stderr } = await program.ended;
  expect(exitCode).toBe(0);
  expect(stderr).toContain('"waiting for the first run"');
  expect(stdout).toMatch(/^ {2}expired +5 +0 +5$/m);
  expect((await findRuns(url)).map(({ outcome }) => outcome)).toEqual(expect.arrayContaining(["succeeded"]));
  expect(
    await isTrue(url, "not exists (select from apitoken.cleanup_runs where outcome is distinct from 'succeeded')"),
  ).toBe(true);
});

test("SIGTERM before the first run ends it at once", async () => {
  const program = startCleanup(url, ["--schedule", "0 0 1 1 *"]);
  let stderr = "";
  program.process.stderr?.on("data", (chunk) => (stderr += chunk));
  await eventually(() => stderr.includes("waiting for the first run"));
  program.process.kill("SIGTERM");
  expect((await program.ended).exitCode).toBe(0);
  expect(await findRuns(url)).toEqual([]);
});

test("SIGTERM in the middle of a run ends that run between two batches, and then the schedule", async () => {
  await insertTokens(url, [
    { prefix: "dead", count: 30_000, ...DUE.expired },
    { prefix: "live", count: 30_000, ...KEPT.live },
  ]);
  const program = startCleanup(url, ["--schedule", "* * * * * *"], {
    APITOKEN_CLEANUP_BATCH_TARGET: "1ms",
    APITOKEN_CLEANUP_MAX_WAL_RATE: "1KiB",
  });
  await eventually(() => isTrue(url, "exists (select from apitoken.cleanup_runs where deleted > 0)"), {
    intervalMs: 5,
  });
  program.process.kill("SIGTERM");
  expect((await program.ended).exitCode).toBe(0);
  const [run, ...others] = await findRuns(url);
  expect(others).toEqual([]);
  expect(run?.outcome).toBe("stopped");
  expect(await findNames(url)).toHaveLength(60_000 - Number(run?.deleted));
});

test.each([
  [["--schedule", "99 * * * *"], '--schedule is "99 * * * *": must be a cron expression'],
  [["--schedule", "0 2 * * *", "--timezone", "Mars/Olympus"], '--timezone is "Mars/Olympus": must be a time zone'],
  [["--timezone", "UTC"], "--timezone needs --schedule"],
])("%j is bad configuration", async (args, message) => {
  const { exitCode, stderr } = await runCleanup(url, args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
});
