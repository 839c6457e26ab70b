import { afterEach, beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { type Moment, type StatementProxy, startStatementProxy } from "../../support/statement-proxy.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { insertTokens, isTrue, startCleanup } from "./program.ts";

const DEAD = 900;
const LIVE = 100;

let url: string;
let proxy: StatementProxy;

beforeEach(async () => {
  url = await createTestDatabase();
  await runAsSuperuser(url, "alter table apitoken.tokens set (fillfactor = 10)"); // few rows per block: many batches
  await insertTokens(url, [
    { prefix: "dead", count: DEAD, ...DUE.expired },
    { prefix: "live", count: LIVE, ...KEPT.live },
  ]);
  proxy = await startStatementProxy(url, "delete_dead_range(");
});

afterEach(() => proxy.close());

/** Runs until it is killed at a batch, or to its end if it has fewer batches. Returns whether it reached its end. */
async function runUntilBatch(batch: number, moment: Moment, alsoEndsSession: boolean): Promise<boolean> {
  const program = startCleanup(proxy.url, ["--max-fraction", "1"], { APITOKEN_CLEANUP_BATCH_TARGET: "1ms" });
  proxy.meetNext(batch, moment, () => program.process.kill("SIGKILL"));
  const { exitCode } = await program.ended;
  if (exitCode !== null) expect(exitCode).toBe(0);
  if (alsoEndsSession) {
    await runAsSuperuser(
      url,
      "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'cleanup' and datname = current_database()",
    );
  }
  const nobodyIsAtWork =
    "not exists (select from pg_stat_activity where application_name = 'cleanup' and datname = current_database())";
  await eventually(() => isTrue(url, nobodyIsAtWork));
  return exitCode !== null;
}

/** Rows that are in neither table nor trail, or in both, or in the trail twice; and what the runs have counted. */
async function compareTrail() {
  const [found] = await runAsSuperuser<{ odd: number; twice: number; gone: number; counted: number }>(
    url,
    `with gone as (select row_key, count(*) as times from apitoken.cleaned_rows group by 1)
     select (select count(*) from public.remembered r
             where exists (select from apitoken.tokens t where t.id = r.id) = exists (select from gone where row_key = r.id))::integer as odd,
            (select count(*) from gone where times > 1)::integer as twice, (select count(*) from gone)::integer as gone,
            (select sum(deleted) from apitoken.cleanup_runs)::integer as counted`,
  );
  if (found === undefined) throw new Error("the database did not answer");
  return found;
}

test.each<[Moment, string, boolean]>([
  ["before it is sent", "", false],
  ["while the server runs it", "", false],
  ["while the server runs it", ", and the session with it", true],
  ["after it, before the answer arrives", "", false],
])(
  "kill -9 at every batch, %s%s: trail, figures and rows agree, and the next run continues",
  async (moment, _also, endsSession) => {
    let batch = 1;
    for (; !(await runUntilBatch(batch, moment, endsSession)); batch += 1) {
      const { odd, twice, gone, counted } = await compareTrail();
      expect({ batch, odd, twice, counted }).toEqual({ batch, odd: 0, twice: 0, counted: gone });
    }
    expect(batch).toBeGreaterThan(4);
    expect(await compareTrail()).toEqual({ odd: 0, twice: 0, gone: DEAD, counted: DEAD });
    expect(await isTrue(url, `(select count(*) from apitoken.tokens) = ${LIVE}`)).toBe(true);
    const outcomes = await runAsSuperuser<{ outcome: string }>(
      url,
      "select outcome from apitoken.cleanup_runs order by id",
    );
    expect(outcomes.map(({ outcome }) => outcome)).toEqual([...Array(batch - 1).fill("failed"), "succeeded"]);
  },
);
