import { randomUUID } from "node:crypto";
import pg from "pg";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, type DatabaseRole, openDatabase } from "../../../src/postgres/database.ts";
import { raiseEpoch } from "../../../src/postgres/leader-epoch.ts";
import { endBlockedTokens, recordBlock } from "../../../src/postgres/owner-blocks.ts";
import { issueToken, type NewTokenRow, revokeTokens } from "../../../src/postgres/token-writes.ts";
import { createLogin, createTestDatabase, findRows, type TestLogin, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { controllerTest } from "../../support/fixtures.ts";
import { issueToken as issueApiToken } from "../../support/resources.ts";
import { aNewTokenRow, DUE, insertTokenRows, KEPT } from "../../support/token-rows.ts";

/*
 * A login that is in one role alone does whatever it may, and keeps the transaction open: nothing that it can lock may hold up
 * a revocation. Whoever adds a table or a function to the schema meets it here: both are found in the catalog.
 */

const LIMIT = { max: 100, onLimit: "RevokeOldest", scope: "Cluster" } as const;
const LONGEST_MS = 1_000;

let url: string;
let db: Database;
let login: TestLogin;
let attacker: pg.Client;

async function setUp(role: DatabaseRole): Promise<void> {
  url = await createTestDatabase();
  await insertTokenRows(url, [
    { prefix: "live", count: 3, ...KEPT.live },
    { prefix: "expired", count: 3, ...DUE.expired },
  ]);
  await addOldMonth(url);
  login = await createLogin(url, role);
  attacker = await connect(login);
  db = openDatabase({ url, role: "apitoken_controller", actor: "controller", maxConnections: 4 });
  await db.query({ text: "select" });
}

/** A month of the audit trail that may be dropped. */
async function addOldMonth(databaseUrl: string): Promise<void> {
  await runAsSuperuser(
    databaseUrl,
    `create table apitoken.security_events_2001_01 partition of apitoken.security_events
       for values from ('2001-01-01+00') to ('2001-02-01+00');
     insert into apitoken.security_events (event, actor, occurred_at) values ('Old', 'test', '2001-01-15+00')`,
  );
}

async function connect(login: TestLogin): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: login.url, statement_timeout: 2_000 });
  client.on("error", () => {});
  await client.connect();
  return client;
}

async function tearDown(): Promise<void> {
  await attacker.end();
  await db.close();
  await runAsSuperuser(url, `drop owned by ${login.name}; drop role ${login.name}`);
}

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

/** How a login calls each function that it may execute, to the greatest effect. */
const TOKEN =
  "(select t from apitoken.tokens t where id = (select min(id) from apitoken.tokens where name like 'victim%'))";
const EVERY_ID = "array(select id from apitoken.tokens order by issued_at desc limit 1000)";
const CALLS: Readonly<Record<string, string>> = {
  is_live: `select apitoken.is_live(${TOKEN}, now())`,
  grace_end: `select apitoken.grace_end(${TOKEN})`,
  accepted_until: `select apitoken.accepted_until(${TOKEN})`,
  is_accepted: `select apitoken.is_accepted(${TOKEN}, now())`,
  is_in_grace: `select apitoken.is_in_grace(${TOKEN}, now())`,
  is_current: `select apitoken.is_current(${TOKEN}, now())`,
  is_counted: `select apitoken.is_counted(${TOKEN}, now())`,
  current_actor: "select apitoken.current_actor()",
  can_notify: "select apitoken.can_notify()",
  find_issued: "select apitoken.find_issued('1:1:', 1000000)",
  note_uses: `select apitoken.note_uses(${EVERY_ID}, array_fill(now(), array[1000]), array_fill(null::inet, array[1000]))`,
  end_token: "select apitoken.end_token(id, hash, 'Leaked') from apitoken.tokens",
  report_anomalies: `select apitoken.report_anomalies(${EVERY_ID}, array_fill('NewNetwork'::text, array[1000]), array_fill(null::inet, array[1000]))`,
  count_uses: `select apitoken.count_uses(${EVERY_ID}, array_fill((now() at time zone 'UTC')::date, array[1000]), array_fill('Good'::text, array[1000]), array_fill(1::bigint, array[1000]))`,
  record_failures: `select apitoken.record_failures(${EVERY_ID}, array_fill('WrongSecret'::text, array[1000]), array_fill(null::inet, array[1000]))`,
  create_event_partitions: "select apitoken.create_event_partitions(60)",
  expired_event_partitions: "select apitoken.expired_event_partitions('1 month')",
  empty_event_partitions: "select apitoken.empty_event_partitions('1 month')",
  delete_dead_tokens:
    "select apitoken.delete_dead_tokens(array(select ctid from apitoken.tokens), 'infinity', 'infinity', false)",
  delete_dead_range: "select apitoken.delete_dead_range('(0,0)', '(1000,0)', 'infinity', 'infinity', true)",
  record_cleaned: "select apitoken.record_cleaned('TokensCleaned', 'Expired', '{}', '{}')",
  find_cleaned: "select apitoken.find_cleaned('x')",
};

const MODES = [
  "access share",
  "row share",
  "row exclusive",
  "share update exclusive",
  "share",
  "share row exclusive",
  "exclusive",
  "access exclusive",
];

async function findTables(): Promise<{ name: string; columns: string[] }[]> {
  return runAsSuperuser(
    url,
    `select format('apitoken.%I', c.relname) as name,
            array(select quote_ident(attname) from pg_attribute a where a.attrelid = c.oid and attnum > 0 and not attisdropped) as columns
     from pg_class c where c.relnamespace = 'apitoken'::regnamespace and c.relkind in ('r', 'p', 'v') order by 1`,
  );
}

describe.each(["apitoken_verifier", "apitoken_cleanup"] as const)(
  "a login that is only in %s delays no revocation",
  (role) => {
    beforeEach(() => setUp(role));
    afterEach(tearDown);

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

    test("with locks on tables", async () => {
      const tables = await findTables();
      await expectHarmless(tables.flatMap(({ name }) => MODES.map((mode) => `lock table ${name} in ${mode} mode`)));
    });

    test("with statements on rows", async () => {
      const tables = await findTables();
      const held = await expectHarmless(
        tables.flatMap(({ name, columns }) => [
          `select * from ${name}`,
          ...["update", "no key update", "share", "key share"].map(
            (strength) => `select * from ${name} for ${strength}`,
          ),
          `delete from ${name}`,
          `truncate ${name}`,
          `insert into ${name} default values`,
          `insert into ${name} select * from ${name}`,
          ...columns.map((column) => `update ${name} set ${column} = ${column}`),
        ]),
      );
      expect(held.length).toBeGreaterThan(2);
    });

    test("with functions", async () => {
      const functions = await runAsSuperuser<{ name: string }>(
        url,
        `select p.proname as name from pg_proc p
       where p.pronamespace = 'apitoken'::regnamespace and has_function_privilege($1, p.oid, 'execute')`,
        [login.name],
      );
      const names = new Set(functions.map(({ name }) => name));
      expect([...names].filter((name) => !(name in CALLS))).toEqual([]);
      const held = await expectHarmless([...names].map((name) => CALLS[name] ?? ""));
      expect(held.length).toBe(names.size);
    });

    test("with statements that fail only after they have a lock", async () => {
      await expectHarmless([
        "create temp table mine (id text references apitoken.tokens (id))",
        "create trigger mine before update on apitoken.tokens for each row execute function suppress_redundant_updates_trigger()",
        "comment on table apitoken.tokens is 'mine'",
        "create index on apitoken.tokens (id)",
        "analyze apitoken.tokens",
        "cluster apitoken.tokens",
        "create temp table mine (like apitoken.tokens including all)",
      ]);
    });
  },
);

/* The functions of the database are not all: the controller must get to them. */
controllerTest(
  "a block takes effect while a login of the cleanup keeps old months of the trail locked; the erasure waits, and says so",
  async ({ cluster, databaseUrl, resources }) => {
    const token = await issueApiToken(cluster, "held", { owner: "mallory" });
    await addOldMonth(databaseUrl);
    const user = await createLogin(databaseUrl, "apitoken_cleanup");
    const holder = await connect(user);
    const untilBlock = (type: "Effective" | "Erased", wanted: object) =>
      eventually(async () => expect(await resources.getBlockCondition("mallory", type)).toMatchObject(wanted), {
        timeoutMs: 20_000,
      });
    try {
      await holder.query("begin");
      await holder.query(CALLS.empty_event_partitions ?? "");
      await resources.applyBlock("mallory", { owner: "mallory" });
      await untilBlock("Effective", { status: "True", reason: "Blocked" });
      expect(await findRows(databaseUrl, "held")).toMatchObject([{ is_live: false }]);
      expect(await verifies(cluster, databaseUrl, token)).toBe(false);

      await resources.applyBlock("mallory", { owner: "mallory", erase: true });
      await untilBlock("Erased", {
        status: "False",
        reason: "DatabaseUnavailable",
        message: expect.stringContaining(user.name),
      });
      await untilBlock("Effective", { status: "True", reason: "Blocked" });
      expect(await findRows(databaseUrl, "held")).toEqual([]);
    } finally {
      await holder.query("rollback").catch(() => {});
      await holder.end();
    }
    await untilBlock("Erased", { status: "True", reason: "Erased" });
    await runAsSuperuser(databaseUrl, `drop owned by ${user.name}; drop role ${user.name}`);
  },
  60_000,
);
