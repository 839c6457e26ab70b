import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { verifyToken } from "../../../local/verify-token.ts";
import { type DatabaseRole, openDatabase } from "../../../src/postgres/database.ts";
import { foldUses } from "../../../src/postgres/inboxes.ts";
import { findTokens } from "../../../src/postgres/verification.ts";
import { createTokenHasher } from "../../../src/runtime/token-hash.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createLogin, createTestDatabase, type TestLogin } from "../../support/database.ts";
import { insertTokenRows, KEPT } from "../../support/token-rows.ts";

/*
 * What the database itself refuses to logins that may do no more than their program. The cleanup's:
 * cleanup/row-security.
 */

let url: string;
let login: TestLogin;
let session: pg.Client;

async function logIn(role: DatabaseRole): Promise<void> {
  url = await createTestDatabase();
  await insertTokenRows(url, [{ prefix: "live", count: 2, ...KEPT.live }]);
  login = await createLogin(url, role);
  session = new pg.Client({ connectionString: login.url });
  await session.connect();
}

afterEach(async () => {
  await session.end();
  await runAsSuperuser(url, `drop role ${login.name}`);
});

async function expectRefused(statement: string): Promise<void> {
  const before = await runAsSuperuser(url, "select * from apitoken.tokens order by id");
  await expect(session.query(statement)).rejects.toMatchObject({ code: "42501" });
  expect(await runAsSuperuser(url, "select * from apitoken.tokens order by id")).toEqual(before);
}

describe("the verifier", () => {
  beforeEach(() => logIn("apitoken_verifier"));

  test.each([
    ["revoke a token", "update apitoken.tokens set revoked_at = now()"],
    ["extend a token", "update apitoken.tokens set expires_at = now() + interval '1 year'"],
    ["widen a token", "update apitoken.tokens set scopes = '{everything}'"],
    ["hand a token to somebody else", "update apitoken.tokens set owner = 'mallory'"],
    ["note a use by hand", "update apitoken.tokens set last_used_at = now()"],
    ["invent a use", "insert into apitoken.token_uses (token_id, used_at) values ('aaaaaaaaaaaa', now())"],
    [
      "count a use by hand",
      "insert into apitoken.token_usage values ('aaaaaaaaaaaa', (now() at time zone 'UTC')::date, 'Good', 1)",
    ],
    ["forget what was counted", "delete from apitoken.token_usage"],
    ["invent an anomaly", "insert into apitoken.anomalies (token_id, kind) values ('aaaaaaaaaaaa', 'NewNetwork')"],
    ["withdraw an end", "delete from apitoken.requested_ends"],
    ["lock a token", "select id from apitoken.tokens for key share"],
    ["swap a hash", "update apitoken.tokens set hash = '\\x00'"],
    ["issue a token", "insert into apitoken.tokens (id) values ('aaaaaaaaaaaa')"],
    ["delete a token", "delete from apitoken.tokens"],
    ["empty the table", "truncate apitoken.tokens"],
    ["lift a block", "delete from apitoken.blocked_owners"],
    ["block an owner", "insert into apitoken.blocked_owners select * from apitoken.blocked_owners"],
    ["read the audit trail", "select * from apitoken.security_events"],
    ["read of runs of the cleanup", "select * from apitoken.cleanup_runs"],
    ["read the fence", "select * from apitoken.leader_epoch"],
    ["read which keys there are", "select * from apitoken.keys"],
    ["lift the row-level security", "alter table apitoken.tokens disable row level security"],
    ["make a table", "create table apitoken.mine (id int)"],
    ["take another role", "set role apitoken_controller"],
  ])("cannot %s", async (_what, statement) => {
    await expectRefused(statement);
  });

  test("reads nothing from which a token could be made: a hash under a key that the database does not have", async () => {
    const { rows, fields } = await session.query("select * from apitoken.tokens");
    expect(rows).toHaveLength(2);
    const suspects = fields.map(({ name }) => name).filter((name) => /secret|plain|password|pepper/i.test(name));
    expect(suspects).toEqual([]);
    expect(JSON.stringify(rows)).not.toMatch(/apt_/);
  });

  test("can do what it is for", async () => {
    const db = openDatabase({ url: login.url, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
    try {
      expect(
        await verifyToken({ db, keyring: createKeyring(), hasher: createTokenHasher() }, "no token"),
      ).toBeUndefined();
    } finally {
      await db.close();
    }
  });

  const find = (text: string) => runAsSuperuser<Record<string, unknown>>(url, text);
  const ids = async () => (await find("select id from apitoken.tokens order by id")).map(({ id }) => id as string);

  test("notes uses, at most one a minute for each token and none in the future", async () => {
    const [first, second] = await ids();
    const note =
      "select apitoken.note_uses($1, array[now(), now() + interval '1 hour', now()], array[null, '10.0.0.1', null]::inet[])";
    await session.query(note, [[first, second, "unknown00000"]]);
    await session.query(note, [[first, second, "unknown00000"]]);
    expect(await find("select token_id, host(address) as address from apitoken.token_uses order by token_id")).toEqual([
      { token_id: first, address: null },
      { token_id: second, address: "10.0.0.1" },
    ]);
    expect(await find("select from apitoken.token_uses where used_at > clock_timestamp()")).toEqual([]);

    const db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 1 });
    onTestFinished(() => db.close());
    expect(await foldUses(db, randomUUID())).toEqual({ taken: 2, news: [] });
    expect(await foldUses(db, randomUUID())).toEqual({ taken: 0, news: [] });
    expect(await find("select from apitoken.tokens where last_used_at > now() - interval '1 minute'")).toHaveLength(2);
    await session.query(note, [[first, second, null]]);
    expect(await find("select from apitoken.token_uses")).toEqual([]);
  });

  test("ends a token for whoever proves to hold it, and learns nothing from the answer", async () => {
    const [first = "", second = ""] = await ids();
    const end = "select apitoken.end_token($1, $2, 'RevokedByHolder') as answer";
    const [{ hash } = {}] = await find(`select hash from apitoken.tokens where id = '${first}'`);
    const answers = [
      await session.query(end, [second, hash]),
      await session.query(end, ["unknown00000", hash]),
      await session.query(end, [first, hash]),
      await session.query(end, [first, hash]),
    ];
    expect(new Set(answers.map(({ rows }) => JSON.stringify(rows)))).toHaveProperty("size", 1);
    expect(await find("select token_id, reason from apitoken.requested_ends")).toEqual([
      { token_id: first, reason: "RevokedByHolder" },
    ]);
    const db = openDatabase({ url, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
    onTestFinished(() => db.close());
    const { items } = await findTokens(db, [first, second]);
    const ended = items.filter(({ token }) => token.isEndRequested).map(({ token }) => token.id);
    expect(ended).toEqual([first]);
  });

  test("records a failure once a minute, of tokens that exist", async () => {
    const [first] = await ids();
    for (const id of [first, first, "unknown00000"]) {
      await session.query("select apitoken.record_failures(array[$1], '{WrongSecret}', '{10.0.0.1}')", [id]);
    }
    expect(
      await find(
        "select token_id, reason, database_user, host(address) as address from apitoken.security_events where event = 'VerificationFailed'",
      ),
    ).toEqual([{ token_id: first, reason: "WrongSecret", database_user: login.name, address: "10.0.0.1" }]);
  });

  test.each([
    ["more uses than a call may have", "select apitoken.note_uses(array_fill('x'::text, array[1001]), '{}', '{}')"],
    [
      "more failures than a call may have",
      "select apitoken.record_failures('{}', array_fill('Expired'::text, array[1001]), '{}')",
    ],
    ["a failure without a reason", "select apitoken.record_failures('{a}', null, null)"],
    [
      "more counts than a call may have",
      "select apitoken.count_uses('{}', '{}', '{}', array_fill(1::bigint, array[1001]))",
    ],
    ["a result that is none", "select apitoken.count_uses('{a}', '{today}', '{Because}', '{1}')"],
    ["a count without a result", "select apitoken.count_uses('{a}', '{today}', '{}', '{1}')"],
    [
      "more anomalies than a call may have",
      "select apitoken.report_anomalies('{}', array_fill('NewNetwork'::text, array[1001]), '{}')",
    ],
    ["an anomaly of a kind of their own", "select apitoken.report_anomalies('{a}', '{Odd}', '{}')"],
    ["an anomaly without a kind", "select apitoken.report_anomalies('{a}', '{null}', '{null}')"],
    ["a reason of their own", "select apitoken.end_token('a', '', 'Because')"],
    ["no reason", "select apitoken.end_token(id, hash, null) from apitoken.tokens"],
    ["a reason of a failure that is none", "select apitoken.record_failures('{a}', '{it was wrong}', '{}')"],
  ])("cannot pass %s", async (_what, statement) => {
    await expect(session.query(statement)).rejects.toMatchObject({ code: "22023" });
  });
});

describe("the controller", () => {
  beforeEach(() => logIn("apitoken_controller"));

  test.each([
    ["delete a token: it revokes, and the cleanup deletes", "delete from apitoken.tokens"],
    ["empty the table", "truncate apitoken.tokens"],
    ["write the audit trail by hand", "insert into apitoken.security_events select * from apitoken.security_events"],
    ["change the audit trail", "update apitoken.security_events set owner = 'nobody'"],
    ["delete from the audit trail", "delete from apitoken.security_events"],
    ["empty the audit trail's partitions", "select apitoken.empty_event_partitions('31 days')"],
    ["delete rows as the cleanup does", "select apitoken.delete_dead_tokens('{}', 'infinity', 'infinity', true)"],
    ["end a token as its holder does", "select apitoken.end_token('a', '', 'Leaked')"],
    ["forget a run of the cleanup", "delete from apitoken.cleanup_runs"],
    ["forget a key", "delete from apitoken.keys"],
    ["turn the fence back", "delete from apitoken.leader_epoch"],
    ["stop the triggers", "alter table apitoken.tokens disable trigger all"],
    ["pretend another schema", "update apitoken.schema_version set version = 99"],
    ["make a table", "create table apitoken.mine (id int)"],
  ])("cannot %s", async (_what, statement) => {
    await expectRefused(statement);
  });
});
