import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { DatabaseUnavailableError } from "../../../src/postgres/errors.ts";
import { type Fence, raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { revokeAllTokens } from "../../../src/postgres/revoke-all.ts";
import { issueToken, revokeTokens, takeOver } from "../../../src/postgres/token-writes.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";

/* Several statements change several rows at once, in clusters that share the database and in psql: they must not meet. */

const LIMIT = { max: 1, onLimit: "RevokeOldest", scope: "Cluster" } as const;
/** In the order in which their rows are written, so that neither the table nor an index of it is in the order of the ids. */
const IDS = ["zzzzzzzzzzzz", "mmmmmmmmmmmm", "aaaaaaaaaaaa"];
const [LAST, , FIRST] = IDS as [string, string, string];

let url: string;
let db: Database;
let fence: Fence;
beforeAll(async () => {
  url = await createTestDatabase();
  // Longer than Postgres takes to notice a deadlock.
  db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 4, lockTimeoutMs: 10_000 });
  fence = await raiseEpoch(db, randomUUID(), "test");
});
afterAll(() => db?.close());

async function issueAll(): Promise<void> {
  await runAsSuperuser(url, "truncate apitoken.tokens");
  const createdAt = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second));
  for (const [second, id] of [...IDS, "tttttttttttt"].entries()) {
    await issueToken(db, fence, aNewTokenRow(id, { id, owner: "otto", resourceCreatedAt: createdAt(second) }), LIMIT);
  }
}

/** Runs `use` in a transaction that holds the row's lock; rolls it back. */
async function holding<T>(id: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query("set deadlock_timeout = '60s'"); // the other side is the one that notices
    await client.query("begin");
    await lock(client, id);
    return await use(client);
  } finally {
    await client.end();
  }
}

const lock = (client: pg.Client, id: string) =>
  client.query("select from apitoken.tokens where id = $1 for update", [id]);

const isWaiting = async () => {
  const [row] = await runAsSuperuser<{ waiting: number }>(
    url,
    `select count(*)::integer as waiting from pg_stat_activity
     where datname = current_database() and wait_event_type = 'Lock' and application_name = 'test'`,
  );
  return row?.waiting === 1;
};

describe("rows are locked in the order of their ids by the statement that", () => {
  test.each<[string, () => Promise<unknown>]>([
    ["revokes tokens", () => revokeTokens(db, fence, IDS, "Orphaned")],
    ["takes over", () => takeOver(db, fence, "tttttttttttt", LIMIT)],
    ["revokes all tokens", () => revokeAllTokens(db, fence, [], "Uninstalled")],
  ])("%s", async (_, end) => {
    await issueAll();
    let ending: Promise<unknown> = Promise.resolve();
    const free = await holding(FIRST, async () => {
      ending = end();
      ending.catch(() => {}); // expected below
      await eventually(isWaiting);
      return runAsSuperuser<{ id: string }>(url, "select id from apitoken.tokens for update skip locked");
    });
    await ending;
    expect(free.map(({ id }) => id).filter((id) => IDS.includes(id))).toEqual(IDS.filter((id) => id !== FIRST));
    const left = await runAsSuperuser(url, "select id from apitoken.tokens where id = any($1) and revoked_at is null", [
      IDS,
    ]);
    expect(left).toEqual([]);
  });
});

describe("a deadlock with somebody who locks in another order", () => {
  test("is tried again at once", async () => {
    await issueAll();
    let ending: Promise<unknown> = Promise.resolve();
    await holding(LAST, async (client) => {
      ending = revokeTokens(db, fence, IDS, "Orphaned");
      ending.catch(() => {}); // expected below
      await eventually(isWaiting);
      await lock(client, FIRST); // answered once Postgres has ended the other statement
    });
    await expect(ending).resolves.toBeUndefined();
  });

  test.each(["40P01", "40001"])("counts as an outage if it lasts (SQLSTATE %s)", async (state) => {
    const raised = db.query({ text: `do $$ begin raise exception 'test' using errcode = '${state}'; end $$` });
    await expect(raised).rejects.toBeInstanceOf(DatabaseUnavailableError);
  });
});
