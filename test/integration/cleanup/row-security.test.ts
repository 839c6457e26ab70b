import pg from "pg";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createLogin, createTestDatabase, type TestLogin } from "../../support/database.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { findNames, insertTokens, runCleanup } from "./program.ts";

/* What the database itself refuses to a login that may do no more than the cleanup, whatever statement it sends. */

let url: string;
let login: TestLogin;
let session: pg.Client;

beforeEach(async () => {
  url = await createTestDatabase();
  await insertTokens(url, [
    { prefix: "live", count: 3, ...KEPT.live },
    { prefix: "superseded", count: 3, ...KEPT.superseded },
    { prefix: "expired", count: 3, ...DUE.expired },
    { prefix: "revoked", count: 3, ...DUE.revoked },
  ]);
  login = await createLogin(url, "apitoken_cleanup");
  session = new pg.Client({ connectionString: login.url });
  await session.connect();
});

afterEach(async () => {
  await session.end();
  await runAsSuperuser(url, `drop role ${login.name}`);
});

const LIVE = ["live-1", "live-2", "live-3", "superseded-1", "superseded-2", "superseded-3"];

test("told to delete everything, the function for it leaves every live row", async () => {
  const { rows } = await session.query(
    `select name from apitoken.delete_dead_tokens(array(select ctid from apitoken.tokens), 'infinity', 'infinity', false)`,
  );
  expect(rows).toHaveLength(6);
  expect(await findNames(url)).toEqual(LIVE);
});

test("nor does the function for whole blocks", async () => {
  const { rows } = await session.query(
    "select expired + revoked as deleted from apitoken.delete_dead_range('(0,0)', '(1000,0)', 'infinity', 'infinity', true)",
  );
  expect(rows).toEqual([{ deleted: "6" }]);
  expect(await findNames(url)).toEqual(LIVE);
});

test("dead rows within their retention stay, too", async () => {
  const { rows } = await session.query(
    `select name from apitoken.delete_dead_tokens(array(select ctid from apitoken.tokens), '-infinity', '-infinity', true)`,
  );
  expect(rows).toEqual([]);
});

test("even a role that was granted DELETE leaves every live row", async () => {
  await runAsSuperuser(url, `grant delete on apitoken.tokens to ${login.name}`);
  expect((await session.query("delete from apitoken.tokens")).rowCount).toBe(6);
  expect(await findNames(url)).toEqual(LIVE);
  await runAsSuperuser(url, `revoke delete on apitoken.tokens from ${login.name}`);
});

test.each([
  ["delete a row directly", "delete from apitoken.tokens"],
  ["lock a row", "select name from apitoken.tokens for update"],
  ["lock out everybody", "do $$ begin lock table apitoken.tokens in access exclusive mode; end $$"],
  ["write the audit trail by hand", "insert into apitoken.security_events (event, actor) values ('TokenIssued', 'me')"],
  ["invent an event", "select apitoken.record_cleaned('TokenIssued', 'none', '{}', null)"],
  ["make a dead row live", "update apitoken.tokens set expires_at = now() + interval '1 day'"],
  ["revoke a row", "update apitoken.tokens set revoked_at = now()"],
  ["change a dead row", "update apitoken.tokens set last_used_at = now()"],
  ["issue a token", "insert into apitoken.tokens (id) values ('aaaaaaaaaaaa')"],
  ["empty the table", "truncate apitoken.tokens"],
  ["lift the row-level security", "alter table apitoken.tokens disable row level security"],
  ["change the audit trail", "update apitoken.security_events set owner = 'nobody'"],
  ["delete from the audit trail", "delete from apitoken.security_events"],
  ["empty a partition of the audit trail that is not past a month", "select apitoken.empty_event_partitions('1 day')"],
  [
    "empty one with a retention whose months and days cancel each other out",
    "select apitoken.empty_event_partitions('-1000 months 30030 days')",
  ],
  ["empty one with no retention", "select apitoken.empty_event_partitions(null)"],
  ["drop a partition of the audit trail", "select apitoken.drop_empty_partitions('security_events')"],
  ["forget a run", "delete from apitoken.cleanup_runs"],
  ["read what the controller alone writes", "select * from apitoken.leader_epoch"],
])("it cannot %s", async (_what, statement) => {
  const before = await runAsSuperuser(url, "select * from apitoken.tokens order by id");
  await expect(session.query(statement)).rejects.toMatchObject({ code: expect.stringMatching(/^(42501|22023)$/) });
  expect(await runAsSuperuser(url, "select * from apitoken.tokens order by id")).toEqual(before);
});

test("the role's rights are enough for the cleanup", async () => {
  const { exitCode, report } = await runCleanup(login.url, ["-o", "json"]);
  expect(exitCode).toBe(0);
  expect(report.targets[0]?.deleted).toMatchObject({ expired: 3, revoked: 3 });
  expect(await findNames(url)).toEqual(LIVE);
});
