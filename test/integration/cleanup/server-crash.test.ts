/*
 * Batches do not wait for the disk, so a server that crashes can lose the last of them. What a run has reported it must not
 * lose.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type PostgresServer, runAsSuperuser, startPostgres } from "../../../local/postgres-server.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { startStatementProxy } from "../../support/statement-proxy.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { insertTokens, isTrue, runCleanup, startCleanup } from "./program.ts";

const DEAD = 900;
const LIVE = 100;

let postgres: PostgresServer;
beforeAll(async () => {
  // Nothing but commits that wait, and what a client cannot rely on, brings the log out of the server's memory.
  postgres = await startPostgres({ settings: { synchronous_commit: "on", wal_writer_delay: "10s" } });
});
afterAll(() => postgres.stop());

async function createTable(name: string): Promise<string> {
  const url = await postgres.createDatabase(name);
  await migrate({ url });
  await runAsSuperuser(url, "alter table apitoken.tokens set (fillfactor = 10)"); // few rows per block: many batches
  await insertTokens(url, [
    { prefix: "dead", count: DEAD, ...DUE.expired },
    { prefix: "live", count: LIVE, ...KEPT.live },
  ]);
  return url;
}

async function crash(): Promise<void> {
  await postgres.process().stop("SIGQUIT"); // an immediate shutdown, which writes nothing more (Postgres manual, 18.5)
  await postgres.resume();
}

const args = ["--max-fraction", "1"];
const everyRowIsInOnePlace = `not exists (
  select from public.remembered r
  where exists (select from apitoken.tokens t where t.id = r.id)
      = exists (select from apitoken.cleaned_rows c where c.row_key = r.id))`;

test("what a run has reported survives a crash of the server right after it", async () => {
  const url = await createTable("reported");
  expect((await runCleanup(url, args)).exitCode).toBe(0);
  await crash();
  expect(await isTrue(url, `(select count(*) from apitoken.tokens) = ${LIVE}`)).toBe(true);
  expect(await isTrue(url, everyRowIsInOnePlace)).toBe(true);
  expect(await isTrue(url, `(select outcome || deleted from apitoken.cleanup_runs) = 'succeeded${DEAD}'`)).toBe(true);
});

test("after a crash amid a run, rows, trail and figures agree, and the next run deletes the rest", async () => {
  const url = await createTable("amid");
  const proxy = await startStatementProxy(url, "delete_dead_range(");
  const program = startCleanup(proxy.url, args, { APITOKEN_CLEANUP_BATCH_TARGET: "1ms" });
  const crashed = new Promise<void>((resolve, reject) => {
    proxy.meetNext(4, "after it, before the answer arrives", () => void crash().then(resolve, reject));
  });
  await crashed;
  expect((await program.ended).exitCode).toBe(1);
  await proxy.close();
  expect(await isTrue(url, everyRowIsInOnePlace)).toBe(true);
  expect((await runCleanup(url, args)).exitCode).toBe(0);
  expect(await isTrue(url, everyRowIsInOnePlace)).toBe(true);
  expect(await isTrue(url, `(select count(*) from apitoken.tokens) = ${LIVE}`)).toBe(true);
  expect(await isTrue(url, `(select sum(deleted) from apitoken.cleanup_runs) = ${DEAD}`)).toBe(true);
});
