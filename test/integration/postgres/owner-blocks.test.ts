import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { endBlockedTokens, eraseBlockedOwner, findBlock, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken } from "../../../src/postgres/token-writes.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;

const PSEUDONYM = `erased-${"0".repeat(32)}`;

let url: string;
let db: Database;

beforeAll(async () => {
  url = await createTestDatabase();
  db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 4 });
});
afterAll(() => db?.close());

test("an owner is not erased as long as somebody keeps a row locked", async () => {
  const clusterId = randomUUID();
  const fence = await raiseEpoch(db, clusterId, "test");
  const row = aNewTokenRow("locked", { owner: "alice" });
  await issueToken(db, fence, row, LIMIT);
  const block = { uid: randomUUID(), name: "alice", owner: "alice", reason: "", effectiveAt: new Date(0) };
  await recordBlock(db, fence, block);
  expect(await endBlockedTokens(db, fence, block.uid)).toMatchObject({ ended: 1 });
  // Events are done with first, so that only the row is left.
  await runAsSuperuser(url, `update apitoken.security_events set owner = '${PSEUDONYM}' where owner = 'alice'`);
  const erase = () => eraseBlockedOwner(db, fence, block.uid, PSEUDONYM);
  const isRecorded = async () => (await findBlock(db, clusterId, "alice"))?.hasErased;

  const holder = new pg.Client(url);
  await holder.connect();
  try {
    await holder.query("begin");
    await holder.query("select from apitoken.tokens where owner = 'alice' for update");
    expect([await erase(), await isRecorded()]).toEqual([{ rows: 0, isComplete: false }, false]);
  } finally {
    await holder.query("rollback");
    await holder.end();
  }
  expect([await erase(), await isRecorded()]).toEqual([{ rows: 1, isComplete: false }, false]);
  expect([await erase(), await isRecorded()]).toEqual([{ rows: 0, isComplete: true }, true]);
});

test("what was counted of an erased owner's tokens goes, also where the token's row was deleted before", async () => {
  const clusterId = randomUUID();
  const fence = await raiseEpoch(db, clusterId, "test");
  const [kept, deleted, other] = [
    aNewTokenRow("kept", { owner: "bob" }),
    aNewTokenRow("deleted", { owner: "bob" }),
    aNewTokenRow("other", { owner: "carol" }),
  ] as const;
  for (const row of [kept, deleted, other]) await issueToken(db, fence, row, LIMIT);
  await runAsSuperuser(
    url,
    "insert into apitoken.token_usage select id, (now() at time zone 'UTC')::date, 'Good', 1 from unnest($1::text[]) as id",
    [[kept.id, deleted.id, other.id]],
  );
  await runAsSuperuser(url, "delete from apitoken.tokens where id = $1", [deleted.id]);
  const block = { uid: randomUUID(), name: "bob", owner: "bob", reason: "", effectiveAt: new Date(0) };
  await recordBlock(db, fence, block);
  await endBlockedTokens(db, fence, block.uid);
  while (!(await eraseBlockedOwner(db, fence, block.uid, PSEUDONYM)).isComplete);
  expect(await runAsSuperuser(url, "select token_id from apitoken.token_usage")).toEqual([{ token_id: other.id }]);
});

test("a block is not lifted while tokens are being revoked for it, which nothing else would tell a verifier", async () => {
  const clusterId = randomUUID();
  const fence = await raiseEpoch(db, clusterId, "test");
  await issueToken(db, fence, aNewTokenRow("swept", { owner: "dora" }), LIMIT);
  const block = { uid: randomUUID(), name: "dora", owner: "dora", reason: "", effectiveAt: new Date(0) };
  await recordBlock(db, fence, block);
  const sweep = new pg.Client(url);
  await sweep.connect();
  try {
    await sweep.query("begin");
    await sweep.query("select apitoken.end_blocked_tokens($1, $2, $3, 10)", [fence.epoch, clusterId, block.uid]);
    const lift = runAsSuperuser(url, "delete from apitoken.blocked_owners where uid = $1", [block.uid]);
    await eventually(async () => {
      const waiting = await runAsSuperuser(
        url,
        `select from pg_stat_activity where wait_event_type = 'Lock' and query like 'delete from apitoken.blocked_owners%'`,
      );
      expect(waiting).toHaveLength(1);
    });
    await sweep.query("commit");
    await lift;
  } finally {
    await sweep.end();
  }
});
