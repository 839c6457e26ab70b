import { createHash } from "node:crypto";
import pg from "pg";
import { beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createTestDatabase } from "../../support/database.ts";
import { isTrue, runCleanup } from "./program.ts";
import { confirmed, createSessions, execute, GRANT_APP, writeConfig } from "./team-table.ts";

let url: string;

beforeEach(async () => {
  url = await createTestDatabase();
  await createSessions(url, 100);
});

const validate = (yaml: string, ...args: string[]) =>
  runCleanup(url, ["validate", "--config", writeConfig(yaml), ...args]);

test("a valid configuration shows what a run would do, with which index, and nothing is written", async () => {
  const { exitCode, stdout } = await validate("targets: [{ table: app.sessions, expiresAt: expires_at }]");
  expect(exitCode).toBe(0);
  const [from, to] = [stdout.indexOf("app.sessions\n"), stdout.indexOf("  would go first")];
  expect(stdout.slice(from, to)).toBe(`app.sessions
                               rows           due     due after
  live                          100
    without an expiry             0
  expired                       200           100            7d
  revoked                         0                          7d
  total                         300           100
  held                            0
  audit summary; key id
`);
  expect(stdout).toContain('note: dead rows by "expires_at" are found with index sessions_expires_at_idx');
  expect(stdout).not.toContain("error:");
  expect(stdout).not.toContain("warning:");
  const [written] = await runAsSuperuser(
    url,
    "select (select count(*) from app.sessions)::integer as rows, (select count(*) from apitoken.cleanup_runs)::integer as runs",
  );
  expect(written).toEqual({ rows: 300, runs: 0 });
});

test("a missing index is a warning with a command that fixes it", async () => {
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at, revokedAt: revoked_at }]";
  const { exitCode, stdout } = await validate(yaml);
  expect(exitCode).toBe(0);
  const [command] = /create index concurrently .*/.exec(stdout) ?? [];
  expect(command).toBe('create index concurrently on "app"."sessions" ("revoked_at") where "revoked_at" is not null');
  await execute(url, String(command));
  expect((await validate(yaml)).stdout).not.toContain("warning:");
});

test("three rows are shown that would go first, with their keys as in the trail, why and since when", async () => {
  await execute(
    url,
    "create table app.tokens (token text primary key, expires_at timestamptz, revoked_at timestamptz)",
    `insert into app.tokens values ('secret-1', '2024-02-01 10:00:00.5Z', null), ('secret-2', '2031-01-01Z', '2024-01-01Z'),
       ('secret-3', '2024-03-01Z', null), ('secret-4', '2024-04-01Z', null), ('live', 'infinity', null)`,
    ...GRANT_APP,
  );
  const target = "table: app.tokens, expiresAt: expires_at, revokedAt: revoked_at, firstRunMaxFraction: 1";
  const sha = (text: string) => `sha256:${createHash("sha256").update(text).digest("hex")}`;
  const hidden = await validate(`targets: [{ ${target} }]`);
  const lines = hidden.stdout.split("\n").map((line) => line.trim().replaceAll(/ {2,}/g, " | "));
  const start = lines.lastIndexOf("would go first | is | since");
  expect(lines.slice(start + 1, start + 5)).toEqual([
    `${sha("secret-2")} | revoked | 2024-01-01 00:00:00 UTC`,
    `${sha("secret-1")} | expired | 2024-02-01 10:00:00 UTC`,
    `${sha("secret-3")} | expired | 2024-03-01 00:00:00 UTC`,
    expect.stringMatching(/^warning: /),
  ]);
  expect(hidden.stdout).not.toContain("secret");
  const plain = await validate(`targets: [{ ${target}, auditKeys: plain }]`, "-o", "json");
  expect(JSON.parse(plain.stdout).targets[1]).toMatchObject({
    table: "app.tokens",
    counts: { total: 5, live: 1, withoutExpiry: 1, expired: 3, revoked: 1, due: { expired: 3, revoked: 1 }, held: 0 },
    samples: [
      { key: "secret-2", reason: "revoked", diedAt: "2024-01-01 00:00:00+00" },
      { key: "secret-1", reason: "expired", diedAt: "2024-02-01 10:00:00+00" },
      { key: "secret-3", reason: "expired", diedAt: "2024-03-01 00:00:00+00" },
    ],
  });
});

test("the rows that go by ON DELETE CASCADE are counted by table, and held rows too", async () => {
  await execute(
    url,
    "create table app.devices (id bigint primary key, session bigint references app.sessions on delete cascade)",
    "create table app.usage (session bigint references app.sessions)",
    "insert into app.devices select n, n from generate_series(1, 300) n",
    "insert into app.usage select n from generate_series(1, 10) n",
    ...GRANT_APP,
  );
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at, cascade: [app.devices] }]";
  const { exitCode, stdout } = await validate(yaml);
  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^ {2}held +10$/m);
  expect(stdout).toMatch(/^ {2}with them: app\.devices +300 +90$/m);
  const json = JSON.parse((await validate(yaml, "-o", "json")).stdout);
  expect(json.targets[1]).toMatchObject({
    cascades: [{ table: "app.devices", rows: 90, total: 300 }],
    counts: { held: 10 },
  });
});

test("what is odd is an error, with a line to copy; once that is in the configuration, it is a note", async () => {
  await execute(url, "insert into app.sessions select n, 'x', '2001-01-01' from generate_series(1001, 1040) n");
  const yaml = (confirm: string) => `targets:\n  - table: app.sessions\n    expiresAt: expires_at\n${confirm}`;
  const odd = await validate(yaml(""));
  expect(odd.exitCode).toBe(2);
  expect(odd.stdout).toContain(
    "error: this looks odd, and a first run would be refused: 40 of 140 rows that are due have the same",
  );
  const [line] = /^ {4}confirm: [0-9a-f]{12}$/m.exec(odd.stdout) ?? [];
  const json = JSON.parse((await validate(yaml(""), "-o", "json")).stdout).targets[1];
  expect(`    confirm: ${json.confirm}`).toBe(line);
  expect(json).toMatchObject({ definition: json.confirm, isConfirmed: false });

  const sure = await validate(yaml(`${line}\n`));
  expect(sure.exitCode).toBe(0);
  expect(sure.stdout).toContain("note: odd, and confirmed: 40 of 140 rows");
  expect(sure.stdout).not.toContain("add this line");
  expect((await runCleanup(url, ["--config", writeConfig(yaml(`${line}\n`))])).exitCode).toBe(0);
});

test("a definition with which a run has cleaned is not odd any more", async () => {
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at }]";
  expect((await runCleanup(url, ["--config", writeConfig(yaml)])).exitCode).toBe(0);
  await execute(url, "insert into app.sessions select n, 'x', '2001-01-01' from generate_series(1001, 1040) n");
  expect((await validate(yaml)).exitCode).toBe(0);
});

test("what the cap would refuse is an error", async () => {
  await execute(
    url,
    "insert into app.sessions select n, 'x', timestamptz '2001-01-01' + n * interval '1 hour' from generate_series(1001, 9000) n",
  );
  const yaml = "targets: [{ table: app.sessions, expiresAt: expires_at, firstRunMaxFraction: 1 }]";
  const { exitCode, stdout } = await validate(yaml);
  expect(exitCode).toBe(2);
  expect(stdout).toContain("error: a run would be refused by the cap: 8100 of 8300 rows of app.sessions (97.5 %)");
  expect((await validate(yaml, "--max-fraction", "0.98")).exitCode).toBe(0);
  const json = await validate(yaml, "-o", "json");
  expect(JSON.parse(json.stdout).targets[1]).toMatchObject({
    maxFraction: 0.9,
    cap: expect.stringContaining("97.5 %"),
  });
});

test("an index is not recommended for a virtual generated column, because Postgres refuses it", async ({ skip }) => {
  skip(await isTrue(url, "current_setting('server_version_num')::integer < 180000"));
  await execute(
    url,
    "create table app.grants (id bigint primary key, payload jsonb not null)",
    "alter table app.grants add at bigint generated always as ((payload ->> 'exp')::bigint) virtual",
    "alter table app.grants add kept bigint generated always as ((payload ->> 'exp')::bigint) stored",
    "insert into app.grants select n, jsonb_build_object('exp', n * 100000) from generate_series(1, 10) n",
    ...GRANT_APP,
  );
  const config = (column: string) =>
    confirmed(`targets: [{ table: app.grants, expiresAt: ${column}, epoch: seconds, maxFraction: 1 }]`);
  const { exitCode, stdout } = await validate(config("at"));
  expect(exitCode, stdout).toBe(0);
  expect(stdout).not.toContain("create index");
  expect(stdout).toContain(
    'warning: Postgres has no index on "at", a virtual generated column: a table of more than 1 GiB is read through ' +
      "to find its dead rows; a generated column that is stored can have an index\n",
  );
  expect((await validate(config("kept"))).stdout).toContain('create index concurrently on "app"."grants" ("kept")');
});

test("a partition that would be dropped is named", async () => {
  await createAppOwnedParts();
  const { stdout } = await validate(
    "targets: [{ table: own.parts, expiresAt: at, firstRunMaxFraction: 1, maxFraction: 1 }]",
  );
  expect(stdout).toContain("  partition to drop: own.old\n");
});

async function createAppOwnedParts(): Promise<void> {
  await execute(
    url,
    "create schema own authorization apitoken_cleanup",
    "create table own.parts (at timestamptz) partition by range (at)",
    "create table own.old partition of own.parts for values from ('2001-01-01') to ('2002-01-01')",
    "alter table own.parts owner to apitoken_cleanup",
    "alter table own.old owner to apitoken_cleanup",
    "insert into own.parts select timestamptz '2001-06-01' + n * interval '1 hour' from generate_series(1, 20) n",
  );
}

test("a table that cannot be counted is an error of its own, and the others are shown", async () => {
  await execute(
    url,
    "create type app.state as enum ('old')",
    "create table app.labels (id bigint primary key, expires_at timestamptz, state app.state)",
    "create table app.locked (id bigint primary key, expires_at timestamptz)",
    ...GRANT_APP,
  );
  const holder = new pg.Client(url);
  await holder.connect();
  try {
    await holder.query("begin; lock table app.locked in access exclusive mode");
    const { exitCode, stdout } = await runCleanup(
      url,
      [
        "validate",
        "--config",
        writeConfig(
          `targets: [{ table: app.locked, expiresAt: expires_at }, { table: app.sessions, expiresAt: expires_at },
             { table: app.labels, expiresAt: expires_at, where: "state = 'new'" }]`,
        ),
      ],
      { APITOKEN_CLEANUP_LOCK_TIMEOUT: "100ms" },
    );
    expect(exitCode).toBe(2);
    expect(stdout).toMatch(/^app\.locked\n {2}error: it cannot be counted: Another session holds a lock/m);
    expect(stdout).toMatch(
      /^app\.labels\n {2}error: where: state is of type app\.state: invalid input value for enum/m,
    );
    expect(stdout).toMatch(/^app\.sessions\n(.*\n){3} {2}expired +200 +100 +7d$/m);
  } finally {
    await holder.end();
  }
});

const TABLES = [
  "create view app.seen as select * from app.sessions",
  "create materialized view app.kept as select * from app.sessions",
  "create foreign data wrapper nothing",
  "create server elsewhere foreign data wrapper nothing",
  "create foreign table app.remote (id integer, expires_at timestamptz) server elsewhere",
  "create table app.closed (id integer primary key, expires_at timestamptz)",
  "create table app.readable (id integer primary key, expires_at timestamptz)",
  "grant select on app.readable to apitoken_cleanup",
  "create schema secret",
  "create table secret.sessions (id integer primary key, expires_at timestamptz)",
  "create table app.parts (id integer, expires_at timestamptz) partition by range (expires_at)",
  "create table app.part partition of app.parts for values from ('2001-01-01') to ('2002-01-01')",
  "grant select, delete, update on app.parts to apitoken_cleanup",
  "create table app.local (id integer primary key, expires_at timestamp, day date, n bigint, words text, state integer)",
  "create table app.keyless (id integer, expires_at timestamptz)",
  "grant select, delete, update on app.local, app.keyless to apitoken_cleanup",
  'create table app."DeviceCodes" (id integer primary key, e timestamptz)',
  "create table app.owned (id integer primary key, session bigint references app.sessions)",
] as const;

test.each([
  ["an unknown table", "table: app.missing, expiresAt: e", "there is no table app.missing in this database"],
  [
    "an unknown schema",
    "table: missing.sessions, expiresAt: e",
    "there is no table missing.sessions in this database, but",
  ],
  [
    "a table whose quotes YAML has taken",
    'table: "app.DeviceCodes", expiresAt: e',
    `no table app.devicecodes in this database, but app."DeviceCodes"; in YAML, write it with two kinds of quotes: 'app."DeviceCodes"'`,
  ],
  ["an unknown column", "table: app.sessions, expiresAt: expiry", 'no column "expiry"; it has id, user_id, expires_at'],
  [
    "an unknown key",
    "table: app.local, expiresAt: n, epoch: seconds, key: [uid]",
    'key: app.local has no column "uid"',
  ],
  [
    "an unknown owner",
    "table: app.local, expiresAt: n, epoch: seconds, owner: whom",
    'owner: app.local has no column "whom"',
  ],
  ["a column of a wrong type", "table: app.local, expiresAt: words", '"words" is of type text; it must be timestamptz'],
  ["a time without a zone", "table: app.local, expiresAt: expires_at", "say in timezone"],
  ["a day without a zone", "table: app.local, expiresAt: day", "say in timezone"],
  [
    "an unknown time zone",
    "table: app.local, expiresAt: day, timezone: Mars/Olympus",
    'has no time zone "Mars/Olympus"',
  ],
  [
    "a hostile time zone",
    `table: app.local, expiresAt: day, timezone: "'; drop table app.local; --"`,
    "has no time zone",
  ],
  [
    "an offset that Postgres reads the other way round",
    "table: app.local, expiresAt: day, timezone: UTC+3",
    "has no time zone",
  ],
  ["a number without a unit", "table: app.local, expiresAt: n", "say in epoch"],
  [
    "a number compared with a text",
    `table: app.local, expiresAt: n, epoch: seconds, revoked: "state = 'x'"`,
    "cannot be compared",
  ],
  ["a view", "table: app.seen, expiresAt: expires_at", "app.seen is a view"],
  ["a materialized view", "table: app.kept, expiresAt: expires_at", "app.kept is a materialized view"],
  ["a foreign table", "table: app.remote, expiresAt: expires_at", "app.remote is a foreign table"],
  [
    "no right at all",
    "table: app.closed, expiresAt: expires_at",
    'grant select, delete, update ("id") on "app"."closed" to apitoken_cleanup',
  ],
  [
    "no right to delete",
    "table: app.readable, expiresAt: expires_at",
    'grant delete, update ("id") on "app"."readable" to apitoken_cleanup',
  ],
  [
    "a closed schema",
    "table: secret.sessions, expiresAt: expires_at",
    'grant usage on schema "secret" to apitoken_cleanup',
  ],
  [
    "a closed partition",
    "table: app.parts, expiresAt: expires_at",
    "grant select, delete, update on app.part to apitoken_cleanup",
  ],
  ["keys to record, and no key", "table: app.keyless, expiresAt: expires_at, audit: rows", "no primary key"],
  [
    "a table that refers to it and is closed",
    "table: app.sessions, expiresAt: expires_at",
    'grant select on "app"."owned" to apitoken_cleanup',
  ],
])("%s is an error that names it, with exit code 2", async (_fault, target, message) => {
  await execute(url, ...TABLES);
  const { exitCode, stdout } = await validate(`targets: [{ ${target} }]`);
  expect(exitCode).toBe(2);
  expect(stdout).toMatch(/^ {2}error: /m);
  expect(stdout).toContain(message);
});

test("a target with an error is so in JSON too, and a run fails for it alone", async () => {
  const yaml =
    "targets: [{ table: app.missing, expiresAt: e }, { table: app.sessions, expiresAt: expires_at, audit: none }]";
  const message = "there is no table app.missing in this database";
  const json = await validate(yaml, "-o", "json");
  expect(json.exitCode).toBe(2);
  const [, missing, sessions] = JSON.parse(json.stdout).targets;
  expect(missing).toMatchObject({ name: "app.missing", findings: [{ level: "error", message }] });
  expect(missing).not.toHaveProperty("counts");
  expect(sessions).toMatchObject({ name: "app.sessions", audit: "none", key: ["id"], counts: { total: 300 } });
  const run = await runCleanup(url, ["--config", writeConfig(yaml)]);
  expect(run.exitCode).toBe(1);
  expect(run.stdout).toContain(message);
});

test("every grant that it asks for is enough", async () => {
  await execute(url, ...TABLES);
  const yaml =
    "targets: [{ table: app.closed, expiresAt: expires_at }, { table: secret.sessions, expiresAt: expires_at }, { table: app.parts, expiresAt: expires_at }]";
  for (let round = 0; round < 3; round += 1) {
    const { stdout } = await validate(yaml);
    const grants = [...stdout.matchAll(/^ {2}error: .*?(grant .*)$/gm)].map(([, grant]) => String(grant));
    await execute(url, ...grants);
  }
  expect((await validate(yaml)).exitCode).toBe(0);
});

test("without a file, and with one that cannot be read", async () => {
  expect((await runCleanup(url, ["validate"])).exitCode).toBe(0);
  const missing = await runCleanup(url, ["validate", "--config", "/nowhere/cleanup.yaml"]);
  expect(missing.exitCode).toBe(2);
  expect(missing.stderr).toContain("cannot read the configuration file: ENOENT");
});
