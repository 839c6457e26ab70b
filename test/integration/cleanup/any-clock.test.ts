import fc from "fast-check";
import pg from "pg";
import { expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { type Moment, startStatementProxy } from "../../support/statement-proxy.ts";
import { runCleanup, startCleanup } from "./program.ts";
import { confirmed, execute, findAll, GRANT_APP, writeConfig } from "./team-table.ts";

/*
 * A team's table has no row-level security as the tokens have, so only the program protects its live rows. A trigger
 * records each deleted row and the time, so that the database itself is the judge.
 */

const ROWS = 400;
const CLOCK = new URL("../../support/shift-clock.mjs", import.meta.url).href;

/** Columns of several types. `at` converts a moment to the column's value, `time` the column `value` to a moment. */
const SHAPES = {
  timestamptz: { setting: "", at: (moment: string) => moment, time: (value: string) => value },
  timestamp: {
    setting: "timezone: Asia/Kathmandu,",
    at: (moment: string) => `((${moment}) at time zone 'Asia/Kathmandu')`,
    time: (value: string) => `(${value} at time zone 'Asia/Kathmandu')`,
  },
  bigint: {
    setting: "epoch: milliseconds,",
    at: (moment: string) => `floor(extract(epoch from ${moment}) * 1000)::bigint`,
    time: (value: string) => `to_timestamp(${value} / 1000.0)`,
  },
} as const;
type Shape = keyof typeof SHAPES;

/** The rows, in minutes from now. Expired rows are kept for 30 minutes, revoked ones for 20. */
const KINDS = {
  expired: ["-31 minutes", undefined],
  "just-expired": ["-29 minutes", undefined],
  live: ["5 minutes", undefined],
  revoked: ["1 day", "-21 minutes"],
  "just-revoked": ["1 day", "-19 minutes"],
  "revoked-later": ["1 day", "5 minutes"],
} as const;

const SET: Readonly<Record<string, readonly [kind: keyof typeof KINDS, column: string, value: string | null]>> = {
  extend: ["expired", "expires_at", "1 hour"],
  extendALittle: ["expired", "expires_at", "-29 minutes"],
  unrevoke: ["revoked", "revoked_at", null],
  revoke: ["live", "revoked_at", "0 minutes"],
  revokeAsIfLongAgo: ["live", "revoked_at", "-1 hour"],
  expire: ["live", "expires_at", "0 minutes"],
};

interface Write {
  readonly kind: string;
  readonly pick: number;
  readonly isRolledBack: boolean;
  readonly holdMs: number;
}

const aWrite: fc.Arbitrary<Write> = fc.record({
  kind: fc.constantFrom("insert", ...Object.keys(SET)),
  pick: fc.integer({ min: 1, max: ROWS }),
  isRolledBack: fc.boolean(),
  holdMs: fc.integer({ min: 0, max: 60 }),
});

async function fill(url: string, shape: Shape): Promise<void> {
  const { at } = SHAPES[shape];
  const value = (offset: string | undefined) => (offset === undefined ? "null" : at(`now() + interval '${offset}'`));
  await execute(
    url,
    "create schema app",
    `create table app.sessions (id text primary key, expires_at ${shape} not null, revoked_at ${shape}, padding text default repeat('x', 400)) with (fillfactor = 10)`,
    `create table app.graveyard as select id, expires_at, revoked_at, now() as deleted_at from app.sessions`,
    `create function app.bury() returns trigger language plpgsql security definer as $$ begin
       insert into app.graveyard values (old.id, old.expires_at, old.revoked_at, clock_timestamp()); return null; end $$`,
    "create trigger bury after delete on app.sessions for each row execute function app.bury()",
    ...Object.entries(KINDS).map(
      ([kind, [expires, revoked]]) =>
        `insert into app.sessions select '${kind}-' || n, ${value(expires)}, ${value(revoked)} from generate_series(1, ${ROWS}) n`,
    ),
    ...GRANT_APP,
  );
}

/** Makes one write in its own transaction; returns the ids of rows that it has inserted. */
async function write(client: pg.Client, shape: Shape, { kind, pick, isRolledBack, holdMs }: Write): Promise<string[]> {
  const { at } = SHAPES[shape];
  await client.query("begin");
  const inserted: string[] = [];
  if (kind === "insert") {
    const id = `inserted-${process.hrtime.bigint()}`;
    await client.query(`insert into app.sessions values ($1, ${at("now() + interval '1 minute'")})`, [id]);
    if (!isRolledBack) inserted.push(id);
  } else {
    const [prefix, column, value] = SET[kind] ?? ["live", "expires_at", "1 hour"];
    const set = value === null ? "null" : at(`now() + interval '${value}'`);
    await client.query(`update app.sessions set ${column} = ${set} where id = $1`, [`${prefix}-${pick}`]);
  }
  if (holdMs > 0) await client.query("select pg_sleep($1)", [holdMs / 1_000]);
  await client.query(isRolledBack ? "rollback" : "commit");
  return inserted;
}

async function setDefaults(url: string, zone: string, isolation: string): Promise<void> {
  const database = new URL(url).pathname.slice(1);
  await execute(
    url,
    `alter database ${database} set timezone = '${zone}'`,
    `alter role postgres in database ${database} set datestyle = 'SQL, DMY'`,
    `alter role postgres in database ${database} set default_transaction_isolation = '${isolation}'`,
    `alter role postgres in database ${database} set standard_conforming_strings = off`,
  );
}

const scenario = fc.record({
  shape: fc.constantFrom<Shape>("timestamptz", "timestamp", "bigint"),
  clockShiftMs: fc.constantFrom(3_600_000, -3_600_000),
  zone: fc.constantFrom("Pacific/Kiritimati", "America/St_Johns", "Pacific/Pago_Pago"),
  isolation: fc.constantFrom("repeatable read", "serializable"),
  sessions: fc.array(fc.array(aWrite, { minLength: 5, maxLength: 20 }), { minLength: 3, maxLength: 3 }),
  kills: fc.array(
    fc.record({
      batch: fc.integer({ min: 1, max: 6 }),
      moment: fc.constantFrom<Moment>(
        "before it is sent",
        "while the server runs it",
        "after it, before the answer arrives",
      ),
    }),
    { minLength: 1, maxLength: 2 },
  ),
});

test("with any pod clock, session defaults, concurrent writes and kills, each deleted row was due and is in the trail", async () => {
  await fc.assert(
    fc.asyncProperty(scenario, async ({ shape, clockShiftMs, zone, isolation, sessions, kills }) => {
      const url = await createTestDatabase();
      await fill(url, shape);
      await setDefaults(url, zone, isolation);
      const proxy = await startStatementProxy(url, "delete from only");
      const { setting, time } = SHAPES[shape];
      const config = writeConfig(
        confirmed(
          `targets: [{ table: app.sessions, expiresAt: expires_at, revokedAt: revoked_at, ${setting} audit: rows, auditKeys: plain, retention: { expired: 30m, revoked: 20m } }]`,
        ),
      );
      const args = ["-o", "json", "--config", config];
      const env = {
        APITOKEN_CLEANUP_BATCH_TARGET: "1ms",
        NODE_OPTIONS: `--import ${CLOCK}`,
        CLOCK_SHIFT_MS: String(clockShiftMs),
        TZ: "Asia/Tokyo",
      };
      const writing = Promise.all(
        sessions.map(async (writes) => {
          const client = new pg.Client({
            connectionString: url,
            options: "-c default_transaction_isolation=read\\ committed",
          });
          await client.connect();
          const inserted: string[] = [];
          for (const each of writes) inserted.push(...(await write(client, shape, each)));
          await client.end();
          return inserted;
        }),
      );
      for (const { batch, moment } of kills) {
        const program = startCleanup(proxy.url, args, env);
        // The first table is that of the tokens, with at most one batch.
        proxy.meetNext(batch, moment, () => program.process.kill("SIGKILL"));
        await program.ended;
        const atWork =
          "select pid from pg_stat_activity where application_name = 'cleanup' and datname = current_database()";
        await eventually(async () => (await findAll(url, atWork)).length === 0);
      }
      const inserted = (await writing).flat();
      await proxy.close();
      const last = await runCleanup(url, args, env);
      expect(last.exitCode, last.stderr).toBe(0);

      const due = (rows: string, now: string) =>
        `${time(`${rows}.expires_at`)} <= ${now} - interval '30 minutes' or ${time(`${rows}.revoked_at`)} <= ${now} - interval '20 minutes'`;
      const spared = `select id from app.graveyard where (${due("graveyard", "deleted_at")}) is not true`;
      expect(await findAll(url, spared)).toEqual([]);
      expect(
        await findAll(url, `select id from app.sessions where ${due("sessions", "now() - interval '1 minute'")}`),
      ).toEqual([]);

      const gone = await findAll(url, "select id from app.graveyard");
      const there = await findAll(url, "select id from app.sessions");
      const filled = Object.keys(KINDS).flatMap((kind) =>
        Array.from({ length: ROWS }, (_, index) => `${kind}-${index + 1}`),
      );
      expect([...gone, ...there].sort()).toEqual([...filled, ...inserted].sort());
      expect(gone.length).toBeGreaterThan(ROWS);
      expect(await findAll(url, "select row_key from apitoken.cleaned_rows where table_name = 'app.sessions'")).toEqual(
        gone,
      );
      expect(await findAll(url, "select sum(deleted)::integer from apitoken.cleanup_runs")).toEqual([
        String(gone.length),
      ]);
    }),
    { numRuns: 5, endOnFailure: true },
  );
}, 120_000);

test("if the pod's clock is days off, a run deletes nothing", async () => {
  const url = await createTestDatabase();
  await fill(url, "timestamptz");
  const config = writeConfig("targets: [{ table: app.sessions, expiresAt: expires_at, retention: { expired: 30m } }]");
  const env = { NODE_OPTIONS: `--import ${CLOCK}`, CLOCK_SHIFT_MS: String(3 * 86_400_000) };
  const { exitCode, stdout } = await runCleanup(url, ["--config", config], env);
  expect(exitCode).toBe(1);
  expect(stdout).toContain("The database's clock is 4320 minutes behind this machine's");
  const [left] = await runAsSuperuser<{ count: string }>(url, "select count(*) from app.sessions");
  expect(left?.count).toBe(String(Object.keys(KINDS).length * ROWS));
});
