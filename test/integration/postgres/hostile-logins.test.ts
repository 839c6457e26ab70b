import { randomBytes, randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { endBlockedTokens, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, type NewTokenRow, revokeTokens } from "../../../src/postgres/token-writes.ts";
import { createTestDatabase } from "../../support/database.ts";
import { aNewTokenRow, DUE, insertTokenRows, KEPT } from "../../support/token-rows.ts";

/*
 * A login that is in one role alone does whatever it may, and keeps the transaction open: nothing that it can lock may hold up
 * a revocation.
 */

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;
const LONGEST_MS = 1_000;

let url: string;
let db: Database;
let login: string;
let loginUrl: string;
let attacker: pg.Client;

async function setUp(role: string): Promise<void> {
  url = await createTestDatabase();
  await insertTokenRows(url, [
    { prefix: "live", count: 3, ...KEPT.live },
    { prefix: "expired", count: 3, ...DUE.expired },
  ]);
  // A month of the audit trail that may be dropped.
  await runAsSuperuser(
    url,
    `create table apitoken.security_events_2001_01 partition of apitoken.security_events
       for values from ('2001-01-01+00') to ('2001-02-01+00');
     insert into apitoken.security_events (event, actor, occurred_at) values ('Old', 'test', '2001-01-15+00')`,
  );
  login = `login_${randomBytes(6).toString("hex")}`;
  await runAsSuperuser(url, `create role ${login} login password 'test' in role ${role}`);
  const address = new URL(url);
  address.username = login;
  address.password = "test";
  loginUrl = address.href;
  attacker = await connect();
  db = openDatabase({ url, role: "apitoken_controller", actor: "controller", maxConnections: 4 });
  await db.query({ text: "select" });
}

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: loginUrl, statement_timeout: 2_000 });
  client.on("error", () => {});
  await client.connect();
  return client;
}

afterEach(async () => {
  await attacker.end();
  await db.close();
  await runAsSuperuser(url, `drop owned by ${login}; drop role ${login}`);
});

const clusterId = randomUUID();
let count = 0;

/** A token that the controller has issued before the attack. */
async function issueVictim(owner: string): Promise<NewTokenRow> {
  count += 1;
  const row = aNewTokenRow(`victim-${count}`, { owner });
  await issueToken(db, await raiseEpoch(db, clusterId, "test"), row, LIMIT);
  return row;
}

/** What a leader that has just taken over does to end tokens, and to issue others instead. */
async function endTokens(revoked: NewTokenRow, blocked: NewTokenRow): Promise<void> {
  const fence = await raiseEpoch(db, clusterId, "test");
  await revokeTokens(db, fence, [revoked.id], "RevokedBySpec");
  await issueToken(db, fence, aNewTokenRow("next", { owner: "alice" }), LIMIT);
  const { name, owner } = blocked;
  const uid = randomUUID();
  await recordBlock(db, fence, { uid, name, owner, reason: "", effectiveAt: new Date(0) });
  await endBlockedTokens(db, fence, uid);
  const rest = await runAsSuperuser(
    url,
    "select from apitoken.tokens t where id = any($1) and apitoken.is_accepted(t, now())",
    [[revoked.id, blocked.id]],
  );
  if (rest.length > 0) throw new Error("a token is still accepted");
}

/** Runs a statement as the login, keeps its transaction open, and returns how long it then takes to end tokens. */
async function measureUnder(statement: string): Promise<{ took: number; problem?: string } | undefined> {
  const victims = [await issueVictim("alice"), await issueVictim(`bob-${count}`)] as const;
  await attacker.query("begin");
  try {
    await attacker.query(statement);
  } catch {
    await attacker.query("rollback");
    return undefined;
  }
  const startedAt = performance.now();
  const outcome = await endTokens(...victims).then(
    () => ({}),
    (error: Error) => ({ problem: error.message }),
  );
  const took = performance.now() - startedAt;
  await attacker.query("rollback");
  return { took, ...outcome };
}

async function expectHarmless(statements: readonly string[]): Promise<string[]> {
  const held: string[] = [];
  const harmful: unknown[] = [];
  for (const statement of statements) {
    const result = await measureUnder(statement);
    if (result === undefined) continue;
    held.push(statement);
    if (result.problem !== undefined || result.took > LONGEST_MS) harmful.push({ statement, ...result });
  }
  expect(harmful).toEqual([]);
  return held;
}

describe.each(["apitoken_verifier", "apitoken_cleanup"])("a login that is only in %s delays no revocation", (role) => {
  beforeEach(() => setUp(role));

  test("with advisory locks", async () => {
    const keys = [
      `hashtextextended('apitoken.leader ${clusterId}', 0)`,
      "hashtextextended('apitoken.owner alice', 0)",
      "hashtextextended('apitoken.create_event_partitions', 0)",
      "hashtextextended('apitoken.cleanup', 0)",
    ];
    const held = await expectHarmless([
      ...keys.map((key) => `select pg_advisory_lock(${key})`),
      ...keys.map((key) => `select pg_advisory_xact_lock_shared(${key})`),
    ]);
    expect(held).toHaveLength(2 * keys.length);
  });
});
