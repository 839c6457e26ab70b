import { expect, test } from "vitest";
import { stringify } from "yaml";
import { parseConfigFile } from "../../../../src/cleanup/config-file.ts";
import { expandPreset, PRESETS } from "../../../../src/cleanup/target/presets.ts";

const DAY_MS = 86_400_000;
const parse = (yaml: string) => parseConfigFile(yaml, "cleanup.yaml").targets;

test.each(PRESETS)("preset $name: its targets are valid, and name a version and a source", ({ name, ...preset }) => {
  const targets = parse(`targets: [{ preset: ${name} }]`);
  expect(targets.length).toBeGreaterThan(0);
  expect(parse(stringify({ targets: expandPreset({ preset: name }).targets }))).toEqual(targets);
  expect(name).toMatch(/^[a-z0-9-]+$/);
  expect(preset.versions).toMatch(/\d/);
  for (const source of preset.sources) expect(source).toMatch(/^https:\/\/github\.com\//);
  for (const { help } of Object.values(preset.parameters)) expect(help).toMatch(/[^.]$/);
  if (preset.note !== undefined) expect(preset.note).toMatch(/^[A-Z].*\.$/);
});

test("no two presets have the same name, and there are at least twelve", () => {
  const names = PRESETS.map(({ name }) => name);
  expect(new Set(names).size).toBe(names.length);
  expect(names.length).toBeGreaterThanOrEqual(12);
  expect(names).toEqual([...names].sort());
});

test("a preset is several targets, each with a name of its own", () => {
  expect(parse("targets: [{ preset: keycloak }, { table: app.t, expiresAt: e }]").map(({ name }) => name)).toEqual([
    "public.offline_client_session, offline",
    "public.offline_client_session, online",
    "public.offline_user_session, offline",
    "public.offline_user_session, online",
    "public.revoked_token",
    "app.t",
  ]);
});

test("what is beside the preset applies to each of its targets", () => {
  const targets = parse(`targets:
    - preset: spring-session
      schema: '"Web App"'
      with: { table: web_session }
      retention: { expired: 1h }
      audit: rows
      auditKeys: plain
      maxFraction: 0.8
      firstRunMaxFraction: 1
      confirm: 1a2b3c4d5e6f`);
  expect(targets).toMatchObject([
    {
      table: { schema: "Web App", table: "web_session" },
      cascade: [{ schema: "Web App", table: "web_session_attributes" }],
      retention: { expiredMs: 3_600_000 },
      audit: "rows",
      auditKeys: "plain",
      maxFraction: 0.8,
      firstRunMaxFraction: 1,
      confirm: ["1a2b3c4d5e6f"],
    },
  ]);
  expect(parse("targets: [{ preset: keycloak, confirm: [a, b] }]").map(({ confirm }) => confirm)).toEqual(
    Array.from({ length: 5 }, () => ["a", "b"]),
  );
});

test("a parameter that is not given has the system's default", () => {
  const plusOf = (yaml: string) => parse(yaml).map(({ expiresAt }) => expiresAt?.[0]?.plusMs);
  expect(plusOf("targets: [{ preset: grafana, with: { idle: 14d } }]")).toEqual([14 * DAY_MS]);
  expect(parse("targets: [{ preset: grafana, with: { idle: 14d } }]")[0]?.revokedAt?.[0]?.plusMs).toBe(30 * DAY_MS);
  expect(parse("targets: [{ preset: laravel-sanctum, with: { timezone: Asia/Tokyo } }]")[0]?.timezone).toBe(
    "Asia/Tokyo",
  );
});

test("the team's retention comes before the preset's, where the table says when a row died", () => {
  const retentions = parse("targets: [{ preset: kratos, retention: { expired: 30d } }]").map(
    ({ retention }) => retention,
  );
  expect(retentions[0]).toEqual({ expiredMs: 30 * DAY_MS, revokedMs: 0 });
  const supabase = parse("targets: [{ preset: supabase-auth, retention: { revoked: 2d } }]");
  expect(supabase.map(({ retention }) => retention).slice(0, 2)).toEqual([
    { expiredMs: 7 * DAY_MS, revokedMs: 2 * DAY_MS },
    { expiredMs: 3 * DAY_MS, revokedMs: 7 * DAY_MS },
  ]);
});

test.each([
  [
    "{ preset: keyclok }",
    'targets[0].preset: "keyclok" is not a preset (did you mean keycloak?); "cleanup presets" lists them',
  ],
  ["{ preset: django }", '"django" is not a preset (did you mean django-oauth-toolkit?)'],
  ["{ preset: zzz }", '"zzz" is not a preset; "cleanup presets" lists them'],
  ["{ preset: 5 }", "targets[0].preset: must be the name of a preset"],
  [
    "{ preset: keycloak, table: app.t }",
    "targets[0].table: is not allowed beside preset; allowed are schema, with, retention, audit, auditKeys, maxFraction, " +
      'firstRunMaxFraction, confirm. To change more, copy what "cleanup presets keycloak" prints',
  ],
  ["{ preset: keycloak, schema: 'a; drop table b' }", 'targets[0].schema: "a; drop table b" is not a schema'],
  ["{ preset: keycloak, schema: 5 }", "targets[0].schema: must be a text"],
  ["{ preset: keycloak, schema: apitoken }", "this program's own schema"],
  ["{ preset: keycloak, with: 14d }", "targets[0].with: must be a map"],
  [
    "{ preset: keycloak, with: { ilde: 14d } }",
    "targets[0].with.ilde: is not a parameter of keycloak (did you mean idle?); it has idle, offlineIdle",
  ],
  ["{ preset: keycloak, with: { toString: 14d } }", "is not a parameter of keycloak"],
  ["{ preset: dex, with: { idle: 14d } }", "is not a parameter of dex, which has none"],
  ["{ preset: keycloak, with: { idle: 14 days } }", 'targets[0].with.idle: must be a number of days such as "7d"'],
  ["{ preset: keycloak, with: { idle: 14 } }", "targets[0].with.idle: must be a text"],
  ["{ preset: symfony-sessions, with: { table: 'x y' } }", "targets[0].with.table: must be a name of small letters"],
  ["{ preset: dex, retention: { revoked: 1d } }", "nothing in the tables of dex says when a row was revoked"],
  ["{ preset: dex, retention: { expird: 1d } }", 'targets[0].retention: Unrecognized key: "expird"'],
  ["{ preset: dex, retention: { expired: soon } }", "targets[0].retention.expired: must be a number of days"],
  ["{ preset: dex, retention: 7d }", "targets[0].retention: "],
  ["{ preset: dex, audit: all }", "targets[0].audit: must be rows, summary or none"],
  ["{ preset: dex, maxFraction: 90 }", "targets[0].maxFraction: must be from 0 to 1"],
])("%s is refused, and the message names place and fault", (yaml, message) => {
  expect(() => parse(`targets: [${yaml}]`)).toThrow(message);
});

test("a fault that all targets of a preset share is reported once", () => {
  expect(() => parse("targets: [{ preset: dex, audit: all }]")).toThrow(
    /^cleanup\.yaml: targets\[0\]\.audit: must be rows, summary or none$/,
  );
});

test.each([
  ["[{ preset: dex }, { preset: dex }]", "targets[1].where: public.auth_request is listed twice"],
  [
    "[{ preset: dex }, { table: public.auth_code, expiresAt: e }]",
    "targets[1].where: public.auth_code is listed twice",
  ],
  ["[{ table: app.t, expiresAt: e }, { table: 5 }, { preset: x }]", "targets[1].table: must be a text"],
])("in the list %s, places are those of the list", (yaml, message) => {
  expect(() => parse(`targets: ${yaml}`)).toThrow(message);
});

test("two installations of a system in two schemas are two lists of targets", () => {
  expect(parse("targets: [{ preset: dex, schema: a }, { preset: dex, schema: b }]").map(({ name }) => name)).toEqual(
    ["a", "b"].flatMap((schema) =>
      ["auth_request", "auth_code", "device_request", "device_token"].map((table) => `${schema}.${table}`),
    ),
  );
});
