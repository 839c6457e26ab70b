import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, type DatabaseRole, openDatabase } from "../../../src/postgres/database.ts";
import { takeAnomalies } from "../../../src/postgres/inboxes.ts";
import { type Fence, raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { eraseBlockedOwner, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, type NewTokenRow, updateToken } from "../../../src/postgres/token-writes.ts";
import { ANOMALY_KINDS } from "../../../src/token/reasons.ts";
import { FAILURE_REASONS } from "../../../src/token/verdict.ts";
import { createLogin, createTestDatabase, type TestLogin } from "../../support/database.ts";
import { aNewTokenRow } from "../../support/token-rows.ts";

/*
 * What a stolen login writes through the functions that its role may call: a little, and nothing that it chooses freely.
 */

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;
const PSEUDONYM = `erased-${"0a".repeat(16)}`;

let url: string;
let db: Database;
let fence: Fence;
let login: TestLogin;
let session: pg.Client;
let id: string;

async function logIn(role: DatabaseRole): Promise<void> {
  url = await createTestDatabase();
  db = openDatabase({ url, role: "apitoken_controller", actor: "controller", maxConnections: 2 });
  fence = await raiseEpoch(db, randomUUID(), "test");
  id = (await issue("mallory")).id;
  login = await createLogin(url, role);
  session = new pg.Client({ connectionString: login.url });
  await session.connect();
}

async function issue(owner: string, rest: Partial<NewTokenRow> = {}): Promise<NewTokenRow> {
  const row = aNewTokenRow(`of-${owner}`, { owner, ...rest });
  await issueToken(db, fence, row, LIMIT);
  return row;
}

const find = (text: string, values: unknown[] = []) => runAsSuperuser<Record<string, unknown>>(url, text, values);

afterEach(async () => {
  await session.end();
  await db.close();
  await runAsSuperuser(url, `drop role ${login.name}`);
});

describe("the verifier", () => {
  beforeEach(() => logIn("apitoken_verifier"));

  const note = (times: string[], ids = times.map(() => id)) =>
    session.query("select apitoken.note_uses($1, $2, array_fill(null::inet, array[$3::integer]))", [
      ids,
      times,
      times.length,
    ]);
  const uses = () => find("select from apitoken.token_uses");

  test.each(["-infinity", "infinity", "4713-01-01 BC", "294276-12-31"])(
    "a use at %s counts as one of the last hour",
    async (at) => {
      await note([at]);
      expect(await uses()).toHaveLength(1);
      expect(
        await find(
          "select from apitoken.token_uses where used_at between now() - interval '61 minutes' and clock_timestamp()",
        ),
      ).toHaveLength(1);
    },
  );

  test("a token that is reported a thousand times adds one row", async () => {
    await note(Array.from({ length: 1_000 }, () => new Date().toISOString()));
    expect(await uses()).toHaveLength(1);
    await note(Array.from({ length: 1_000 }, (_, n) => new Date(Date.now() - n * 3_600_000).toISOString()));
    expect(await uses()).toHaveLength(1);
  });

  test("ever earlier or ever later uses add a row for each minute of an hour at most", async () => {
    for (let minute = 200; minute >= 0; minute -= 1) {
      await note([new Date(Date.now() - minute * 60_000).toISOString()]);
    }
    const rows = await uses();
    expect(rows.length).toBeLessThanOrEqual(62);
    for (let minute = 0; minute < 200; minute += 1) {
      await note([new Date(Date.now() - minute * 60_000).toISOString()]);
    }
    expect((await uses()).length).toBe(rows.length);
  });

  test("no list of a call may be longer than a thousand", async () => {
    const text = "select apitoken.note_uses('{}', array_fill(now(), array[1001]), '{}')";
    await expect(session.query(text)).rejects.toMatchObject({ code: "22023" });
  });

  const failures = () =>
    find("select reason, actor from apitoken.security_events where event = 'VerificationFailed' and token_id = $1", [
      id,
    ]);
  const recordFailure = (reason: string) =>
    session.query("select apitoken.record_failures(array[$1], array[$2], '{10.0.0.1}')", [id, reason]);

  test.each(FAILURE_REASONS)("a failure is recorded with the reason %s, and for a minute no other", async (reason) => {
    await recordFailure(reason);
    for (const other of FAILURE_REASONS) await recordFailure(other);
    expect(await failures()).toMatchObject([{ reason }]);
  });

  test("a failure with a reason of its own is refused", async () => {
    await expect(recordFailure("Invented")).rejects.toMatchObject({ code: "22023" });
    await expect(
      session.query("select apitoken.record_failures(array[$1], '{null}', '{null}')", [id]),
    ).rejects.toMatchObject({
      code: "22023",
    });
    expect(await failures()).toEqual([]);
  });

  const countUses = (ids: string[], day: string, number: string) =>
    session.query(
      "select apitoken.count_uses($1, array_fill($2::date, array[$4::integer]), array_fill('Good'::text, array[$4]), array_fill($3::bigint, array[$4]))",
      [ids, day, number, ids.length],
    );

  /** The database counts by days in UTC, and a session may be in another time zone, where it is still yesterday. */
  const TODAY = "(now() at time zone 'UTC')::date";

  test("a token that does not exist is not counted, and neither is a number that is none", async () => {
    await countUses(["unknown00000"], "today", "1");
    for (const number of ["0", "-5"]) await countUses([id], "today", number);
    expect(await find("select from apitoken.token_usage")).toEqual([]);
  });

  test.each(["-infinity", "4713-01-01 BC", "infinity", "5874897-12-31"])(
    "a count of the day %s adds to one of the last week",
    async (day) => {
      await countUses([id, id], day, "2");
      expect(await find(`select uses from apitoken.token_usage where day between ${TODAY} - 8 and ${TODAY}`)).toEqual([
        { uses: "4" },
      ]);
    },
  );

  test("counts of any size stay numbers", async () => {
    const most = "9223372036854775807";
    await find(`insert into apitoken.token_usage values ($1, ${TODAY}, 'Good', $2)`, [id, most]);
    const [row] = await find(`select ${TODAY}::text as today`);
    await countUses(
      Array.from({ length: 1_000 }, () => id),
      String(row?.today),
      most,
    );
    expect(await find("select uses::text from apitoken.token_usage")).toEqual([{ uses: "9000000000000000000" }]);
  });

  test.each(ANOMALY_KINDS)("an anomaly of the kind %s is recorded once a day, and passed on once", async (kind) => {
    for (let time = 0; time < 3; time += 1) {
      await session.query("select apitoken.report_anomalies(array[$1, $1], array[$2, $2], '{10.0.0.1,10.0.0.2}')", [
        id,
        kind,
      ]);
    }
    const events = "select reason, host(address) as address from apitoken.security_events where event = 'UnusualUse'";
    expect(await find(events)).toEqual([{ reason: kind, address: "10.0.0.1" }]);
    expect(await takeAnomalies(db, randomUUID())).toEqual([]);
    expect(await takeAnomalies(db, fence.clusterId)).toMatchObject([{ tokenId: id, kind, address: "10.0.0.1" }]);
    expect(await takeAnomalies(db, fence.clusterId)).toEqual([]);
  });

  test("anomalies that no controller takes are forgotten after a day", async () => {
    await session.query("select apitoken.report_anomalies(array[$1], '{NewNetwork}', '{null}')", [id]);
    await find("update apitoken.anomalies set noticed_at = now() - interval '25 hours'");
    expect(await takeAnomalies(db, randomUUID())).toEqual([]);
    expect(await find("select from apitoken.anomalies")).toEqual([]);
  });

  test("an actor of any length adds a short one to the trail", async () => {
    await session.query("select set_config('apitoken.actor', repeat('x', 1000000), false)");
    await recordFailure("Expired");
    const [failure] = await failures();
    expect(String(failure?.actor).length).toBeLessThan(300);
  });
});

describe("the controller", () => {
  beforeEach(() => logIn("apitoken_controller"));

  const uid = randomUUID();
  const block = (owner: string) =>
    recordBlock(db, fence, { uid, name: "leaver", owner, reason: "", effectiveAt: new Date(0) });
  const owners = async () =>
    (await find("select distinct owner from apitoken.security_events order by 1")).map(({ owner }) => owner);

  test.each(["alice", "erased-", `${PSEUDONYM}0`, PSEUDONYM.toUpperCase(), `${PSEUDONYM}\n`, ""])(
    "cannot put %j in place of a name in the trail",
    async (name) => {
      await block("mallory");
      const erase = "select apitoken.erase_blocked_owner($1, $2, $3, $4, 1000)";
      await find("update apitoken.tokens set revoked_at = now()");
      await expect(session.query(erase, [fence.epoch, fence.clusterId, uid, name])).rejects.toMatchObject({
        code: "22023",
      });
      expect(await owners()).toEqual(["mallory"]);
    },
  );

  test("deletes no token that is accepted while it erases", async () => {
    const dead = await issue("mallory");
    await find("update apitoken.tokens set revoked_at = now() where id = $1", [dead.id]);
    await block("mallory");
    await eraseBlockedOwner(db, fence, uid, PSEUDONYM);
    expect(await find("select id from apitoken.tokens")).toEqual([{ id }]);
  });
});

test("whoever chooses an owner's name cannot choose behind whom it waits", async () => {
  await logIn("apitoken_controller");
  const colliding = await find(
    `select 'eve-' || n as owner from generate_series(1, 100000) n
     where hashtextextended('eve-' || n, 0) & 4095 = hashtextextended('alice', 0) & 4095 limit 5`,
  );
  await session.query("begin");
  await session.query("select apitoken.lock_owner('alice')");
  const outcomes = await Promise.allSettled(colliding.map(({ owner }) => issue(String(owner))));
  await session.query("rollback");
  // Two of them may meet alice's queue by chance once in many million runs.
  expect(outcomes.filter(({ status }) => status === "fulfilled").length).toBeGreaterThanOrEqual(4);
});

test("an erased name is in no event, not even of a token that has passed to another owner", async () => {
  await logIn("apitoken_controller");
  const row = await issue("trent", { requestedBy: "trent" });
  await updateToken(db, fence, row.id, { ...row, owner: "ursula" });
  await updateToken(db, fence, row.id, { ...row, owner: "ursula", scopes: ["a:b"] });
  expect(
    await find(
      "select owner, detail -> 'ownerChanged' as changed from apitoken.security_events where event = 'TokenChanged' order by id",
    ),
  ).toEqual([
    { owner: "ursula", changed: true },
    { owner: "ursula", changed: false },
  ]);
  const uid = randomUUID();
  await recordBlock(db, fence, { uid, name: "leaver", owner: "trent", reason: "", effectiveAt: new Date(0) });
  while (!(await eraseBlockedOwner(db, fence, uid, PSEUDONYM)).isComplete);
  const named = await find(
    "select event, owner, detail from apitoken.security_events e where (to_jsonb(e) - 'name')::text ~ 'trent'",
  );
  expect(named).toEqual([]);
});
