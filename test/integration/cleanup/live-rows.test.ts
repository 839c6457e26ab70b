import fc from "fast-check";
import pg from "pg";
import { expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { findCleaned, findNames, insertTokens, isTrue, runCleanup } from "./program.ts";

const ROWS = 3_000;

/** What other sessions do to the table during the cleanup. `pick` chooses the row, `holdMs` delays the commit. */
interface Write {
  readonly kind: "extend" | "unrevoke" | "revokeNow" | "endLater" | "expireNow" | "use" | "insert";
  readonly pick: number;
  readonly isRolledBack: boolean;
  readonly holdMs: number;
}

const SQL: Readonly<Record<Exclude<Write["kind"], "insert">, [prefix: string, set: string]>> = {
  extend: ["expired", "expires_at = now() + interval '1 day'"],
  unrevoke: ["revoked", "revoked_at = null, revocation_reason = null"],
  revokeNow: ["live", "revoked_at = now(), revocation_reason = 'RevokedBySpec'"],
  endLater: ["live", "revoked_at = now() + interval '1 hour'"],
  expireNow: ["live", "expires_at = now()"],
  use: ["expired", "last_used_at = now()"],
};
const MUST_STAY = new Set<Write["kind"]>(["extend", "unrevoke", "revokeNow", "endLater", "expireNow"]);

const aWrite: fc.Arbitrary<Write> = fc.record({
  kind: fc.constantFrom("extend", "extend", "unrevoke", "revokeNow", "endLater", "expireNow", "use", "insert"),
  pick: fc.integer({ min: 1, max: ROWS }),
  isRolledBack: fc.boolean(),
  holdMs: fc.integer({ min: 0, max: 80 }),
});

/** Makes one write in its own transaction. Returns the names of rows that must not be deleted from now on. */
async function write(client: pg.Client, { kind, pick, isRolledBack, holdMs }: Write): Promise<string[]> {
  await client.query("begin");
  let names: string[];
  if (kind === "insert") {
    const label = `inserted-${process.hrtime.bigint()}`;
    const { rows } = await client.query(
      `insert into apitoken.tokens (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm,
                                    key_id, issued_at, expires_at)
       values (left(md5($1), 12), gen_random_uuid(), 'team', $1, gen_random_uuid(), 1, 'owner', sha256($1::text::bytea),
               'hmac-sha256', 'k1', now(), now() + interval '1 hour') returning name`,
      [label],
    );
    names = rows.map(({ name }) => name);
  } else {
    const [prefix, set] = SQL[kind];
    const name = `${prefix}-${pick}`;
    const { rows } = await client.query(`update apitoken.tokens set ${set} where name = $1 returning name`, [name]);
    names = MUST_STAY.has(kind) ? rows.map((row) => row.name) : [];
  }
  if (holdMs > 0) await client.query("select pg_sleep($1)", [holdMs / 1_000]);
  await client.query(isRolledBack ? "rollback" : "commit");
  return isRolledBack ? [] : names;
}

test("during any concurrent writes, no row that is live or within its retention is deleted, and every other one is", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(aWrite, { minLength: 5, maxLength: 25 }), { minLength: 4, maxLength: 4 }),
      fc.constantFrom("1ms", "20ms", "100ms"),
      async (sessions, batchTarget) => {
        const url = await createTestDatabase();
        const kinds = Object.entries({ ...DUE, live: KEPT.live });
        await insertTokens(
          url,
          kinds.map(([prefix, times]) => ({ prefix, count: ROWS, ...times })),
        );
        const clients = await Promise.all(
          sessions.map(async () => {
            const client = new pg.Client({ connectionString: url });
            await client.connect();
            // A row that is revived past the trigger is what the cleanup must not trip over.
            await client.query("set session_replication_role = replica");
            return client;
          }),
        );
        const program = runCleanup(url, [], { APITOKEN_CLEANUP_BATCH_TARGET: batchTarget });
        await eventually(() => isTrue(url, "exists (select from apitoken.cleanup_runs)"), { intervalMs: 1 });
        const kept = await Promise.all(
          sessions.map(async (writes, index) => {
            const names: string[] = [];
            for (const each of writes) names.push(...(await write(clients[index] as pg.Client, each)));
            return names;
          }),
        );
        expect([0, 4]).toContain((await program).exitCode); // 4 if some rows were locked to its end
        await Promise.all(clients.map((client) => client.end()));
        expect((await runCleanup(url)).exitCode).toBe(0); // for rows that were locked

        const there = new Set(await findNames(url));
        expect(kept.flat().filter((name) => !there.has(name))).toEqual([]);
        for (let number = 1; number <= ROWS; number += 1) expect(there.has(`live-${number}`)).toBe(true);
        const [due] = await runAsSuperuser<{ count: string }>(
          url,
          `select count(*) from apitoken.tokens
           where expires_at <= now() - interval '7 days' or revoked_at <= now() - interval '7 days'`,
        );
        expect(due?.count).toBe("0");
        const gone = kinds.flatMap(([prefix]) =>
          Array.from({ length: ROWS }, (_, index) => `${prefix}-${index + 1}`).filter((name) => !there.has(name)),
        );
        expect((await findCleaned(url)).map(({ name }) => name)).toEqual(gone.sort());
      },
    ),
    { numRuns: 4, endOnFailure: true },
  );
});
