/*
 * How verifiers learn of new tokens: by what a statement sees that an earlier one did not, whatever the order in which transactions
 * begin and end.
 */
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Connection, openDatabase } from "../../../src/postgres/database.ts";
import { createTestDatabase } from "../../support/database.ts";

const SESSIONS = 4;

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("db", async ({ databaseUrl }, { onCleanup }) => {
    const db = openDatabase({ url: databaseUrl, actor: "test", maxConnections: SESSIONS + 1 });
    onCleanup(() => db.close());
    return db;
  });

const insert = (id: string) => ({
  text: `insert into apitoken.tokens
           (id, cluster_id, namespace, name, resource_uid, revision, owner, hash, hash_algorithm, key_id, issued_at, expires_at)
         values ($1::text, gen_random_uuid(), 'a', 'a', gen_random_uuid(), 1, 'a', convert_to($1, 'utf8'), 'hmac-sha256', 'a', now(), now() + '1 hour')`,
  values: [id],
});
const idOf = (number: number) => `issued${String(number).padStart(6, "0")}`;

/** Reports what has been issued since the last call, as a verifier's pulse does. */
function createObserver(db: Pick<Connection, "query">) {
  let snapshot: string | undefined;
  return async () => {
    const [row] = await db.query<{ snapshot: string; issued: string[] }>({
      text: "select pg_current_snapshot()::text as snapshot, array(select apitoken.find_issued($1, 1000)) as issued",
      values: [snapshot],
    });
    snapshot = row?.snapshot;
    return row?.issued;
  };
}

test("each token is found once, by the first statement that sees it", async ({ db }) => {
  const observe = createObserver(db);
  expect(await observe()).toEqual([]);
  const open: { id: string; commit: () => void; done: Promise<void> }[] = [];
  const begin = async (number: number) => {
    const isInserted = Promise.withResolvers<void>();
    const mayCommit = Promise.withResolvers<void>();
    const done = db.withConnection(async (session) => {
      await session.query({ text: "begin" });
      await session.query(insert(idOf(number))).then(isInserted.resolve as () => void, isInserted.reject);
      await mayCommit.promise;
      await session.query({ text: "commit" });
    });
    await isInserted.promise;
    open.push({ id: idOf(number), commit: mayCommit.resolve, done });
  };
  for (let number = 0; number < 100; number += 1) {
    await begin(number);
    expect(await observe()).toEqual([]);
    if (open.length < SESSIONS) continue;
    // Now the oldest, now the newest: transactions end in another order than they began.
    const next = number % 3 === 0 ? open.pop() : open.shift();
    next?.commit();
    await next?.done;
    expect(await observe()).toEqual([next?.id]);
  }
  for (const { commit } of open) commit();
  await Promise.all(open.map(({ done }) => done));
  expect((await observe())?.toSorted()).toEqual(open.map(({ id }) => id).toSorted());
});

test("what was restored from a server with more transactions is not found again and again", async ({
  db,
  databaseUrl,
}) => {
  const observe = createObserver(db);
  await observe();
  await db.query(insert("restored0001"));
  await runAsSuperuser(databaseUrl, "update apitoken.tokens set issued_xid = '9000000000' where id = 'restored0001'");
  expect(await observe()).toEqual([]);
  await db.query(insert("afterwards01"));
  expect(await observe()).toEqual(["afterwards01"]);
});
