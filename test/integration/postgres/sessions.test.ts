import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, type DatabaseOptions, openDatabase } from "../../../src/postgres/database.ts";
import { DatabaseLockedError, OwnerBusyError } from "../../../src/postgres/errors.ts";
import { raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { issueToken, revokeTokens } from "../../../src/postgres/token-writes.ts";
import { createLogin, createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";

/* What a session of the controller is, whatever DATABASE_URL and the defaults of the database and the login say. */

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;

let url: string;
let login: string;
let loginUrl: string;
let undo: (() => unknown)[] = [];

beforeEach(async () => {
  url = await createTestDatabase();
  ({ name: login, url: loginUrl } = await createLogin(url, "apitoken_controller"));
  undo.push(() => runAsSuperuser(url, `drop role ${login}`));
});
afterEach(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
});

function open(address: string, options: Partial<DatabaseOptions> = {}): Database {
  const db = openDatabase({ url: address, role: "apitoken_controller", actor: "me", maxConnections: 2, ...options });
  undo.push(() => db.close());
  return db;
}

const READ = {
  text: `select current_user::text as role, current_setting('apitoken.actor', true) as actor,
           current_setting('application_name') as name, current_setting('statement_timeout') as statement_timeout,
           current_setting('lock_timeout') as lock_timeout, current_setting('transaction_isolation') as isolation,
           current_setting('row_security') as row_security, current_setting('datestyle') as datestyle`,
};
const EXPECTED = {
  role: "apitoken_controller",
  actor: "me",
  name: "me",
  statement_timeout: "10s",
  lock_timeout: "500ms",
  isolation: "read committed",
  row_security: "on",
  datestyle: "ISO, MDY",
};

const HOSTILE = {
  "apitoken.actor": "somebody",
  application_name: "something",
  statement_timeout: "0",
  lock_timeout: "0",
  default_transaction_isolation: "serializable",
  row_security: "off",
  datestyle: "SQL, DMY",
};

test("options in DATABASE_URL take nothing away", async () => {
  const address = new URL(loginUrl);
  const options = Object.entries(HOSTILE).map(([name, value]) => `-c ${name}=${value.replaceAll(" ", "\\ ")}`);
  address.searchParams.set("options", options.join(" "));
  expect(await open(address.href).query(READ)).toEqual([EXPECTED]);
});

test("nor do settings of the login", async () => {
  for (const [name, value] of Object.entries(HOSTILE)) {
    await runAsSuperuser(url, `alter role ${login} set ${name} = '${value}'`);
  }
  expect(await open(loginUrl).query(READ)).toEqual([EXPECTED]);
});

test("a login that is not a member of the role is refused by Postgres", async () => {
  await expect(open(loginUrl, { role: "apitoken_cleanup" }).query(READ)).rejects.toMatchObject({ code: "42501" });
});

test("writes in a transaction that is not read committed are refused", async () => {
  const session = new pg.Client({ connectionString: loginUrl });
  await session.connect();
  undo.push(() => session.end());
  for (const isolation of ["repeatable read", "serializable"]) {
    await session.query(`begin isolation level ${isolation}`);
    await expect(session.query("select apitoken.is_leader($1, 1)", [randomUUID()])).rejects.toMatchObject({
      code: "25001",
      message: expect.stringContaining(isolation.toUpperCase()),
    });
    await session.query("rollback");
  }
});

describe("a lock that somebody holds", () => {
  async function hold(statement: string): Promise<number> {
    const holder = new pg.Client({ connectionString: url, application_name: "a careless person" });
    await holder.connect();
    undo.push(() => holder.end());
    await holder.query("begin");
    await holder.query(statement);
    const { rows } = await holder.query<{ pid: number }>("select pg_backend_pid() as pid");
    return rows[0]?.pid ?? 0;
  }

  test("on a token: the statement gives up soon, and says who holds it", async () => {
    const db = open(loginUrl);
    const fence = await raiseEpoch(db, randomUUID(), "test");
    const row = aNewTokenRow("locked");
    await issueToken(db, fence, row, LIMIT);
    const pid = await hold(`select from apitoken.tokens where id = '${row.id}' for share`);
    const startedAt = performance.now();
    const error = await revokeTokens(db, fence, [row.id], "RevokedBySpec").catch((thrown: unknown) => thrown);
    expect(performance.now() - startedAt).toBeLessThan(1_000);
    expect(error).toBeInstanceOf(DatabaseLockedError);
    expect(error).toMatchObject({
      faultCode: "APITOKEN_E_DATABASE_LOCKED",
      message: expect.stringContaining(`server process ${pid} (application "a careless person", login "postgres")`),
    });
  });

  test("on the queue of an owner: others are not held up, and each waiter names the holder, not the waiter before it", async () => {
    const db = open(loginUrl, { maxConnections: 4 });
    const fence = await raiseEpoch(db, randomUUID(), "test");
    const pid = await hold("select apitoken.lock_owner('alice')");
    const wait = (name: string) =>
      issueToken(db, fence, aNewTokenRow(name, { owner: "alice" }), LIMIT).catch((thrown: unknown) => thrown);
    // The connection that asks is opened when the first statement is slow, and may be too late for it.
    await eventually(async () => {
      const waiters = ["first", "second", "third"].map(wait);
      await issueToken(db, fence, aNewTokenRow("other", { owner: "bob" }), LIMIT);
      for (const error of await Promise.all(waiters)) {
        expect(error).toBeInstanceOf(OwnerBusyError);
        expect(error).toMatchObject({ blockers: expect.stringContaining(`server process ${pid} `) });
      }
    });
  });
});
