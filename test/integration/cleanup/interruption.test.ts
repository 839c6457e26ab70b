import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import {
  type CleanupProgram,
  findCleaned,
  findNames,
  findRuns,
  insertTokens,
  isTrue,
  runCleanup,
  startCleanup,
} from "./program.ts";

const DEAD = 40_000;
const LIVE = 2_000;
/** Makes a run slow enough to be interrupted in the middle. */
const MANY_BATCHES = { APITOKEN_CLEANUP_BATCH_TARGET: "1ms" };
const NOBODY_IS_AT_WORK =
  "not exists (select from pg_stat_activity where application_name = 'cleanup' and datname = current_database())";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await insertTokens(url, [
    { prefix: "dead", count: DEAD, ...DUE.expired },
    { prefix: "live", count: LIVE, ...KEPT.live },
  ]);
});

/** Starts a run and waits until it has deleted some rows, but far from all. */
async function startAndMeet(args: readonly string[] = []): Promise<CleanupProgram> {
  const program = startCleanup(url, ["--max-fraction", "1", ...args], MANY_BATCHES);
  await eventually(() => isTrue(url, "exists (select from apitoken.cleanup_runs where deleted > 0)"), {
    intervalMs: 1,
  });
  return program;
}

test("kill -9 in the middle of a run loses nothing, and the next run continues", async () => {
  const program = await startAndMeet();
  program.process.kill("SIGKILL");
  expect((await program.ended).exitCode).toBeNull();
  await eventually(() => isTrue(url, NOBODY_IS_AT_WORK)); // the server may finish the batch that it was running

  const left = (await findNames(url)).length;
  const cleaned = await findCleaned(url);
  expect(left).toBeGreaterThan(LIVE);
  expect(left).toBeLessThan(DEAD + LIVE);
  expect(new Set(cleaned.map(({ token_id }) => token_id)).size).toBe(cleaned.length);
  expect(cleaned).toHaveLength(DEAD + LIVE - left);
  expect(await findRuns(url)).toMatchObject([{ finished_at: null, outcome: null, deleted: String(cleaned.length) }]);

  const next = await runCleanup(url, ["--max-fraction", "1", "-o", "json"]);
  expect(next.exitCode).toBe(0);
  expect(next.report.targets[0]?.deleted.expired).toBe(left - LIVE);
  expect(await findNames(url)).toHaveLength(LIVE);
  const all = await findCleaned(url);
  expect(new Set(all.map(({ name }) => name)).size).toBe(DEAD);
  expect(all).toHaveLength(DEAD);
  expect(await findRuns(url)).toMatchObject([
    { outcome: "failed", error: "the run did not finish", deleted: String(cleaned.length) },
    { outcome: "succeeded", error: null, deleted: String(left - LIVE) },
  ]);
});

test("SIGTERM ends a run between two batches with exit code 4, and the run reports what is left", async () => {
  const program = await startAndMeet(["-o", "json"]);
  program.process.kill("SIGTERM");
  const { exitCode, report } = await program.ended;
  expect(exitCode).toBe(4);
  const left = (await findNames(url)).length - LIVE;
  expect(left).toBeGreaterThan(0);
  expect(report).toMatchObject({ outcome: "stopped", message: expect.stringContaining(`about ${left} rows`) });
  expect(await findCleaned(url)).toHaveLength(DEAD - left);
  expect(await findRuns(url)).toMatchObject([{ outcome: "stopped", deleted: String(DEAD - left) }]);
});

test("a deadline ends a run with exit code 4", async () => {
  const { exitCode, stdout } = await runCleanup(url, ["--max-fraction", "1", "--max-duration", "1ms"]);
  expect(exitCode).toBe(4);
  expect(stdout).toContain(
    `Stopped with about ${DEAD} rows of apitoken.tokens left; the next run continues with them.`,
  );
  expect(await findNames(url)).toHaveLength(DEAD + LIVE);
});

test("a broken connection ends the run with exit code 1 and a report of what was done; the next run continues", async () => {
  const program = await startAndMeet(["-o", "json"]);
  await runAsSuperuser(
    url,
    "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cleanup' and datname = current_database()",
  );
  const { exitCode, report, stderr } = await program.ended;
  expect(exitCode).toBe(1);
  expect(report.outcome).toBe("failed");
  expect(report.targets[0]?.deleted.expired).toBeGreaterThan(0);
  expect(stderr).toContain('"cleanup failed"');
  expect((await runCleanup(url, ["--max-fraction", "1"])).exitCode).toBe(0);
  expect(await findNames(url)).toHaveLength(LIVE);
  expect(await findCleaned(url)).toHaveLength(DEAD);
});

test("of two runs at once, the second does nothing, says why and succeeds; a dry run may run next to it", async () => {
  const first = await startAndMeet();
  first.process.kill("SIGSTOP");
  const second = await runCleanup(url);
  expect(second.exitCode).toBe(0);
  expect(second.stdout).toContain("another cleanup of this database is in progress; nothing was done");
  const json = await runCleanup(url, ["-o", "json"]);
  expect(json.report).toMatchObject({ outcome: "skipped" });
  const dry = await runCleanup(url, ["--dry-run", "--max-fraction", "1", "-o", "json"]);
  expect(dry.exitCode).toBe(0);
  expect(dry.report.targets[0]?.before?.due.expired).toBeGreaterThan(0);

  first.process.kill("SIGCONT");
  expect((await first.ended).exitCode).toBe(0);
  expect(await findRuns(url)).toMatchObject([{ outcome: "succeeded", deleted: String(DEAD) }]);
  expect(await findNames(url)).toHaveLength(LIVE);
});

test("a run in one database does not prevent a run in another", async () => {
  const elsewhere = await createTestDatabase();
  await insertTokens(elsewhere, [{ prefix: "dead", count: 10, ...DUE.revoked }]);
  const first = await startAndMeet();
  first.process.kill("SIGSTOP");
  expect((await runCleanup(elsewhere)).exitCode).toBe(0);
  expect(await findNames(elsewhere)).toEqual([]);
  first.process.kill("SIGCONT");
  await first.ended;
});
