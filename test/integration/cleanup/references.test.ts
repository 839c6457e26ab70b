import { beforeEach, describe, expect, test } from "vitest";
import { createTestDatabase } from "../../support/database.ts";
import { isTrue, runCleanup } from "./program.ts";
import { confirmed, DEAD, execute, findAll, GRANT_APP, LIVE, writeConfig } from "./team-table.ts";

let url: string;
const YAML = "targets: [{ table: app.tokens, expiresAt: expires_at, audit: rows, maxFraction: 1 }]";
const run = (yaml = YAML, ...args: string[]) =>
  runCleanup(url, ["-o", "json", "--config", writeConfig(confirmed(yaml)), ...args]);

beforeEach(async () => {
  url = await createTestDatabase();
  await execute(url, "create schema app");
});

describe("a table that others refer to", () => {
  /** 60 tokens: 1 to 20 are dead, the others live. */
  async function createTokens(...statements: readonly string[]): Promise<void> {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, expires_at timestamptz)",
      `insert into app.tokens select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, ${LIVE} from generate_series(21, 60) n`,
      ...statements,
      ...GRANT_APP,
    );
  }

  /** Logins that refer to tokens by two columns, the first of which must not be null. */
  const createRealms = (action: string) => [
    "alter table app.tokens add realm text not null default 'a', add unique (realm, id)",
    `create table app.logins (id bigint primary key, realm text not null default 'a', token bigint default 60,
       foreign key (realm, token) references app.tokens (realm, id) on delete ${action})`,
    "insert into app.logins values (1, 'a', 3), (2, 'a', 30)",
  ];
  /** Tokens that refer to a row of a child table of theirs, the row that would go with each of them. */
  const createCircle = (action: string, ...statements: readonly string[]) => [
    "create table app.devices (id bigint primary key, token bigint not null references app.tokens on delete cascade)",
    "insert into app.devices select n, n from generate_series(1, 60) n",
    "alter table app.tokens add device bigint",
    "update app.tokens set device = id",
    `alter table app.tokens alter device set not null, add foreign key (device) references app.devices on delete ${action}`,
    ...statements,
  ];
  const cases: { name: string; statements: string[]; yaml?: string; held: string[]; since?: number }[] = [
    {
      name: "sessions whose device is used stay, behind a cascade",
      statements: [
        "create table app.devices (id bigint primary key, token bigint references app.tokens on delete cascade)",
        "create table app.usages (id bigint primary key, device bigint references app.devices)",
        "insert into app.devices select n, n from generate_series(1, 40) n",
        "insert into app.usages values (1, 3), (2, 4), (3, 30)",
      ],
      yaml: "cascade: [app.devices]",
      held: ["3", "4"],
    },
    {
      name: "rows that ON DELETE SET NULL cannot release, because the column must not be null, stay",
      statements: [
        "create table app.logins (id bigint primary key, token bigint not null references app.tokens on delete set null)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "ON DELETE SET NULL for a list of columns releases rows although another column must not be null",
      statements: createRealms("set null (token)"),
      held: [],
      since: 15,
    },
    {
      name: "ON DELETE SET DEFAULT for a list of columns releases rows although another column must not be null",
      statements: createRealms("set default (token)"),
      held: [],
      since: 15,
    },
    {
      name: "rows that ON DELETE SET NULL for a list of columns cannot release, because one of them must not be null, stay",
      statements: createRealms("set null (realm, token)"),
      held: ["3"],
      since: 15,
    },
    {
      name: "rows that ON DELETE SET NULL for all columns cannot release, because one of them must not be null, stay",
      statements: createRealms("set null"),
      held: ["3"],
    },
    ...["no action", "restrict", "set null"].map((action) => ({
      name: `a row that refers to what goes with it does not keep itself, with ON DELETE ${action}`,
      statements: createCircle(action),
      yaml: "cascade: [app.devices]",
      held: [],
    })),
    {
      name: "a row stays if another one refers to what would go with it, although it refers to that, too",
      statements: createCircle("no action", "update app.tokens set device = 3 where id = 50"),
      yaml: "cascade: [app.devices]",
      held: ["3"],
    },
    {
      name: "a row stays if another one refers to what would go with it at a lower level, although it refers to that, too",
      statements: [
        "create table app.devices (id bigint primary key, token bigint not null references app.tokens on delete cascade)",
        "insert into app.devices select n, n from generate_series(1, 60) n",
        "create table app.uses (id bigint primary key, device bigint not null references app.devices on delete cascade)",
        "insert into app.uses select n, n from generate_series(1, 60) n",
        "alter table app.tokens add use bigint references app.uses",
        "update app.tokens set use = case id when 50 then 3 else id end",
      ],
      yaml: "cascade: [app.devices, app.uses]",
      held: ["3"],
    },
    {
      name: "rows that ON DELETE SET DEFAULT cannot release, because the default does not exist, stay",
      statements: [
        "create table app.logins (id bigint primary key, token bigint default 0 references app.tokens on delete set default)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "rows that ON DELETE SET NULL cannot release, because of a check, stay",
      statements: [
        "create table app.logins (id bigint primary key, token bigint references app.tokens on delete set null, check (token is not null))",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a domain that takes no null keeps rows, too",
      statements: [
        "create domain app.token_id as bigint not null",
        "create table app.logins (id bigint primary key, token app.token_id references app.tokens on delete set null)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a foreign key that is deferred keeps rows like any other",
      statements: [
        "create table app.logins (id bigint primary key, token bigint references app.tokens deferrable initially deferred)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a foreign key that is not valid yet keeps rows like any other",
      statements: [
        "create table app.logins (id bigint primary key, token bigint)",
        "insert into app.logins values (1, 3), (2, 30), (3, 999)",
        "alter table app.logins add foreign key (token) references app.tokens not valid",
      ],
      held: ["3"],
    },
    {
      name: "rows to which a partition of another table refers stay",
      statements: [
        "create table app.logins (id bigint, token bigint) partition by range (id)",
        "create table app.logins_1 partition of app.logins for values from (0) to (10)",
        "alter table app.logins_1 add foreign key (token) references app.tokens",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "rows to which a partitioned table refers stay",
      statements: [
        "create table app.logins (id bigint, token bigint references app.tokens) partition by range (id)",
        "create table app.logins_1 partition of app.logins for values from (0) to (10)",
        "insert into app.logins values (1, 3), (2, 30)",
      ],
      held: ["3"],
    },
    {
      name: "a key of several columns, one of which is null, keeps nothing",
      statements: [
        "alter table app.tokens add realm text default 'a'",
        "create unique index on app.tokens (id, realm)",
        "create table app.logins (id bigint primary key, realm text, token bigint, foreign key (token, realm) references app.tokens (id, realm))",
        "insert into app.logins values (1, null, 3), (2, 'a', 4), (3, 'a', 40)",
      ],
      held: ["4"],
    },
    {
      name: "rows stay to which a table behind three cascades is referred",
      statements: [
        "create table app.a (id bigint primary key, token bigint references app.tokens on delete cascade)",
        "create table app.b (id bigint primary key, a bigint references app.a on delete cascade)",
        "create table app.c (id bigint primary key, b bigint references app.b on delete cascade)",
        "create table app.d (id bigint primary key, c bigint references app.c on delete restrict)",
        "insert into app.a select n, n from generate_series(1, 40) n",
        "insert into app.b select n, n from generate_series(1, 40) n",
        "insert into app.c select n, n from generate_series(1, 40) n",
        "insert into app.d values (1, 5), (2, 33)",
      ],
      yaml: "cascade: [app.a, app.b, app.c]",
      held: ["5"],
    },
    {
      name: "a row that two cascades take along does not keep itself",
      statements: [
        "create table app.devices (id bigint primary key, token bigint references app.tokens on delete cascade)",
        "create table app.usages (id bigint primary key, token bigint references app.tokens on delete cascade, device bigint references app.devices on delete cascade)",
        "insert into app.devices select n, n from generate_series(1, 40) n",
        "insert into app.usages select n, n, n from generate_series(1, 40) n",
      ],
      yaml: "cascade: [app.devices, app.usages]",
      held: [],
    },
  ];

  test.for(cases)("$name", async ({ statements, yaml, held, since = 0 }, { skip }) => {
    skip(await isTrue(url, `current_setting('server_version_num')::integer < ${since * 10_000}`));
    await createTokens(...statements);
    const config = `targets: [{ table: app.tokens, expiresAt: expires_at, audit: rows, maxFraction: 1${yaml === undefined ? "" : `, ${yaml}`} }]`;
    const { exitCode, report } = await run(config);
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.tokens where id <= 20")).toEqual(held);
    expect(await findAll(url, "select count(*) from app.tokens where id > 20")).toEqual(["40"]);
    expect(report.targets[1]).toMatchObject({
      deleted: { expired: 20 - held.length },
      after: { due: { expired: 0 }, held: held.length },
    });
  });

  test("a foreign key to one partition keeps the rows of that partition only", async () => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, expires_at timestamptz) partition by range (id)",
      "create table app.tokens_1 partition of app.tokens for values from (0) to (10)",
      "create table app.tokens_2 partition of app.tokens for values from (10) to (100)",
      `insert into app.tokens select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, ${LIVE} from generate_series(21, 60) n`,
      "create table app.logins (id bigint primary key, token bigint references app.tokens_1)",
      "insert into app.logins values (1, 3)",
      ...GRANT_APP,
    );
    const { exitCode, report } = await run();
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from app.tokens where id <= 20")).toEqual(["3"]);
    expect(report.targets[1]).toMatchObject({ before: { held: 1, due: { expired: 19 } }, deleted: { expired: 19 } });
  });

  test("a foreign key to a table that others inherit from keeps the table's own rows only", async () => {
    await execute(
      url,
      "create table app.tokens (id bigint primary key, expires_at timestamptz)",
      "create table app.child (primary key (id)) inherits (app.tokens)",
      `insert into app.tokens select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.child select n, ${DEAD} from generate_series(1, 20) n`,
      `insert into app.tokens select n, ${LIVE} from generate_series(21, 60) n`,
      "create table app.logins (id bigint primary key, token bigint references app.tokens)",
      "create table app.others (id bigint primary key, token bigint references app.child)",
      "insert into app.logins values (1, 3)",
      "insert into app.others values (1, 4)",
      ...GRANT_APP,
    );
    const { exitCode, report } = await run();
    expect({ exitCode, message: report.message }).toEqual({ exitCode: 0, message: undefined });
    expect(await findAll(url, "select id from only app.tokens where id <= 20")).toEqual(["3"]);
    expect(await findAll(url, "select id from app.child where id <= 20")).toEqual(["4"]);
    expect(report.targets[1]).toMatchObject({ before: { held: 2 }, deleted: { expired: 38 } });
  });

  test("a table in another schema that refers to it, without rights, is an error with the commands", async () => {
    await createTokens(
      "create schema hidden",
      'create table hidden."Log" (id bigint primary key, token bigint references app.tokens)',
    );
    const { exitCode, report } = await run();
    expect(exitCode).toBe(1);
    expect(report.targets[1]).toMatchObject({ outcome: "failed", code: "APITOKEN_E_TARGET_INVALID" });
    expect(report.targets[1]?.message).toContain(
      'grant usage on schema "hidden" to apitoken_cleanup; grant select on "hidden"."Log" to apitoken_cleanup',
    );
    await execute(
      url,
      "grant usage on schema hidden to apitoken_cleanup",
      'grant select on hidden."Log" to apitoken_cleanup',
    );
    expect((await run()).exitCode).toBe(0);
    expect(await findAll(url, "select count(*) from app.tokens")).toEqual(["40"]);
  });
});
