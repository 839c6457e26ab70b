import { randomUUID } from "node:crypto";
import pg from "pg";
import { expect, onTestFinished, test } from "vitest";
import { runAsSuperuser, startPostgres } from "../../../local/postgres-server.ts";
import { listenForChanges } from "../../../src/postgres/changes.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { type Fence, raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { migrate } from "../../../src/postgres/migrations.ts";
import { endBlockedTokens, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, revokeTokens } from "../../../src/postgres/token-writes.ts";
import { eventually } from "../../support/eventually.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";

/*
 * A server has one queue for all notifications. Whoever has a login, without any right, can fill it, and from then on nobody can
 * commit a transaction that notifies. Its usual size is 8 GB; here it is the smallest that a server allows.
 */

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;
const SMALL = { max_notify_queue_pages: "64" };

async function connectStranger(url: string, name: string): Promise<pg.Client> {
  const address = new URL(url);
  address.username = "stranger";
  address.password = "test";
  const client = new pg.Client({ connectionString: address.href, application_name: name });
  client.on("error", () => {});
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** Fills the queue to the last page. Returns the session that keeps it full. */
async function fillQueue(url: string): Promise<pg.Client> {
  const listener = await connectStranger(url, "slow-listener");
  await listener.query("listen anything");
  await listener.query("begin");
  const sender = await connectStranger(url, "sender");
  const flood = async () => {
    for (let sent = 0; sent < 10_000; sent += 1) {
      await sender.query("select pg_notify('anything', $1)", [`${sent} ${"x".repeat(7_000)}`]);
    }
  };
  await expect(flood()).rejects.toThrow("too many notifications");
  return listener;
}

async function listen(db: Database) {
  const seen = {
    connected: [] as true[],
    sweeps: [] as true[],
    changes: [] as string[],
    suspects: [] as string[],
    lost: [] as unknown[],
  };
  const stop = new AbortController();
  const listening = listenForChanges(
    db,
    {
      onConnected: () => void seen.connected.push(true),
      onEverything: () => void seen.sweeps.push(true),
      onChange: ({ name }) => void seen.changes.push(name),
      onBlockChange: () => {},
      onQueueFull: (suspects) => void seen.suspects.push(...suspects),
      onLost: (error) => void seen.lost.push(error),
    },
    stop.signal,
  );
  onTestFinished(async () => {
    stop.abort();
    await listening;
  });
  await eventually(() => expect(seen.connected).toHaveLength(1));
  return seen;
}

/** Everything that notifies. */
async function writeEverything(url: string, db: Database, fence: Fence): Promise<void> {
  const [revoked, ended, blocked] = [
    aNewTokenRow("revoked"),
    aNewTokenRow("ended"),
    aNewTokenRow("b", { owner: "bob" }),
  ];
  for (const row of [revoked, ended, blocked]) await issueToken(db, fence, row, LIMIT);
  await revokeTokens(db, fence, [revoked.id], "RevokedBySpec");
  const uid = randomUUID();
  await recordBlock(db, fence, { uid, name: uid, owner: "bob", reason: "", effectiveAt: new Date(0) });
  expect(await endBlockedTokens(db, fence, uid)).toMatchObject({ ended: 1 });
  await runAsSuperuser(
    url,
    `set role apitoken_verifier; select apitoken.end_token(id, hash, 'Leaked') from apitoken.tokens where id = '${ended.id}'`,
  );
  expect(await runAsSuperuser(url, "select token_id from apitoken.requested_ends")).toEqual([{ token_id: ended.id }]);
  await runAsSuperuser(url, "update apitoken.tokens set scopes = '{a:b}'; delete from apitoken.requested_ends");
  await runAsSuperuser(url, "delete from apitoken.blocked_owners; truncate apitoken.tokens");
}

test("with a full queue of notifications everything is written, and whoever listens looks instead", async () => {
  const postgres = await startPostgres({ settings: SMALL });
  onTestFinished(() => postgres.stop());
  const url = await postgres.createDatabase("tokens");
  await migrate({ url });
  const notifying =
    "select proname from pg_proc where pronamespace = 'apitoken'::regnamespace and prosrc ~ 'pg_notify'";
  expect(await runAsSuperuser(url, notifying)).toEqual([{ proname: "notify_change" }]);
  await runAsSuperuser(url, "create role stranger login password 'test'");
  const db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 4 });
  onTestFinished(() => db.close());
  const fence = await raiseEpoch(db, randomUUID(), "test");

  const early = await listen(db);
  await issueToken(db, fence, aNewTokenRow("first"), LIMIT);
  await runAsSuperuser(url, "update apitoken.tokens set scopes = '{a:b}'");
  await eventually(() => expect(early.changes).toContain("first"));

  const holder = await fillQueue(url);
  await writeEverything(url, db, fence);
  await eventually(() => expect(early.sweeps.length).toBeGreaterThanOrEqual(2), { timeoutMs: 15_000 });
  await eventually(() => expect(early.suspects.join()).toContain("slow-listener"));

  // One that begins only now, as a replica that takes over does.
  const late = await listen(db);
  await eventually(() => expect(late.sweeps.length).toBeGreaterThanOrEqual(1), { timeoutMs: 15_000 });

  await holder.query("commit");
  await issueToken(db, fence, aNewTokenRow("second"), LIMIT);
  await eventually(
    async () => {
      await runAsSuperuser(url, "update apitoken.tokens set description = description || 'x'");
      expect([early.changes.includes("second"), late.changes.includes("second")]).toEqual([true, true]);
    },
    { timeoutMs: 15_000 },
  );
  expect([early.lost, late.lost]).toEqual([[], []]);
}, 90_000);
