import { randomBytes } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { createTokenHasher } from "../../../src/runtime/token-hash.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { verifyToken } from "../../../src/verifier/lookup.ts";
import { createTestDatabase } from "../../support/database.ts";
import { insertTokenRows, KEPT } from "../../support/token-rows.ts";

/*
 * What the database itself refuses to logins that may do no more than their program. The cleanup's:
 * cleanup/row-security.
 */

let url: string;
let loginName: string;
let session: pg.Client;

async function logIn(role: string): Promise<string> {
  url = await createTestDatabase();
  await insertTokenRows(url, [{ prefix: "live", count: 2, ...KEPT.live }]);
  await runAsSuperuser(url, `create role ${loginName} login password 'test' in role ${role}`);
  const login = new URL(url);
  login.username = loginName;
  login.password = "test";
  session = new pg.Client({ connectionString: login.href });
  await session.connect();
  return login.href;
}

beforeEach(() => {
  loginName = `login_${randomBytes(6).toString("hex")}`;
});
afterEach(async () => {
  await session.end();
  await runAsSuperuser(url, `drop role ${loginName}`);
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
    const login = new URL(url);
    login.username = loginName;
    login.password = "test";
    const db = openDatabase({ url: login.href, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
    try {
      expect(
        await verifyToken({ db, keyring: createKeyring(), hasher: createTokenHasher() }, "no token"),
      ).toBeUndefined();
    } finally {
      await db.close();
    }
    expect((await session.query("update apitoken.tokens set last_used_at = now()")).rowCount).toBe(2);
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
    ["drop the audit trail's partitions", "select apitoken.drop_event_partitions('31 days')"],
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
