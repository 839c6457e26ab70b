import { closeSync, openSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { Registry } from "prom-client";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { findFreePorts } from "../../../local/processes.ts";
import { exportCleanupMetrics } from "../../../src/controller/metrics/cleanup.ts";
import { openDatabase } from "../../../src/postgres/database.ts";
import { createTestDatabase } from "../../support/database.ts";
import { DUE, KEPT } from "../../support/token-rows.ts";
import { insertTokens, runCleanup } from "./program.ts";
import { createSessions, execute, writeConfig } from "./team-table.ts";

let url: string;
const TARGETS = "targets: [{ table: app.sessions, expiresAt: expires_at }]";

beforeEach(async () => {
  url = await createTestDatabase();
  await createSessions(url, 800);
});

/** A Pushgateway as documented: groups by labels; PUT replaces a group, POST replaces metrics of the same name. */
async function startGateway(groups: Map<string, { text: string; pushedAtMs: number }>): Promise<string> {
  const answer = async (request: IncomingMessage): Promise<[number, string]> => {
    const path = decodeURIComponent(request.url ?? "");
    if (request.method === "GET" && path === "/base/api/v1/metrics") {
      const data = [...groups].map(([key, { pushedAtMs }]) => {
        const [, job = "", instance = ""] = /^\/base\/metrics\/job\/(.*)\/instance\/(.*)$/.exec(key) ?? [];
        return { labels: { job, instance }, push_time_seconds: { metrics: [{ value: String(pushedAtMs / 1_000) }] } };
      });
      return [200, JSON.stringify({ status: "success", data })];
    }
    if (request.method === "DELETE") return [groups.delete(path) ? 202 : 404, ""];
    const sent = await text(request);
    const before = request.method === "POST" ? (groups.get(path)?.text ?? "") : "";
    groups.set(path, { text: `${sent}${keepOthers(before, sent)}`, pushedAtMs: Date.now() });
    return [200, ""];
  };
  const server: Server = createServer((request, response) => {
    void answer(request).then(([status, body]) => response.writeHead(status).end(body));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => new Promise<void>((resolve) => server.close(() => resolve())));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/base/`;
}

/** The lines of `before` whose metric is not in `sent`. */
function keepOthers(before: string, sent: string): string {
  const names = new Set([...sent.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  return before
    .split("\n")
    .filter((line) => !line.startsWith("#") && line !== "" && !names.has(/^[a-z_]+/.exec(line)?.[0]))
    .map((line) => `${line}\n`)
    .join("");
}

test("a run's figures are pushed to the database's own group; our stale groups are deleted, others stay", async () => {
  const old = { text: "", pushedAtMs: Date.now() - 15 * 86_400_000 };
  const groups = new Map([
    ["/base/metrics/job/apitoken_cleanup/instance/gone:5432:db", old],
    ["/base/metrics/job/backup/instance/gone:5432:db", old],
  ]);
  const gateway = await startGateway(groups);
  const args = ["--config", writeConfig(TARGETS)];
  const env = { APITOKEN_CLEANUP_PUSHGATEWAY_URL: gateway };
  expect((await runCleanup(url, args, env)).exitCode).toBe(0);
  const { host, pathname } = new URL(url);
  const own = `/base/metrics/job/apitoken_cleanup/instance/${host}:${pathname.slice(1)}`;
  expect([...groups.keys()].sort()).toEqual([own, "/base/metrics/job/backup/instance/gone:5432:db"].sort());
  const first = groups.get(own)?.text ?? "";
  for (const line of [
    'apitoken_cleanup_last_run_outcome{outcome="succeeded"} 1',
    'apitoken_cleanup_last_run_deleted_rows{table="app.sessions",reason="expired"} 800',
    'apitoken_cleanup_rows{table="app.sessions",state="live"} 800',
    'apitoken_cleanup_backlog_rows{table="app.sessions"} 0',
    'apitoken_cleanup_refused{table="app.sessions"} 0',
  ]) {
    expect(first).toContain(`${line}\n`);
  }
  expect(first).not.toContain(new URL(url).password);
  const success = /^apitoken_cleanup_last_success_timestamp_seconds \d+.*$/m.exec(first)?.[0];
  expect(success).toBeDefined();

  // A refused run is reported, and does not delete the time of the last success.
  await execute(url, "insert into app.sessions select n, 'x', '2001-01-01' from generate_series(10001, 50000) n");
  expect((await runCleanup(url, args, env)).exitCode).toBe(3);
  const second = groups.get(own)?.text ?? "";
  expect(second).toContain('apitoken_cleanup_refused{table="app.sessions"} 1\n');
  expect(second).toContain('apitoken_cleanup_backlog_rows{table="app.sessions"} 40000\n');
  expect(second).toContain(`${success}\n`);
});

test("an unreachable Pushgateway causes a warning, but does not fail the run", async () => {
  const [port] = await findFreePorts(1);
  const { exitCode, stderr } = await runCleanup(url, ["--config", writeConfig(TARGETS)], {
    APITOKEN_CLEANUP_PUSHGATEWAY_URL: `http://127.0.0.1:${port}/`,
    APITOKEN_CLEANUP_TEXTFILE: "/nowhere/cleanup.prom",
  });
  expect(exitCode).toBe(0);
  expect(stderr).toContain("cannot push the metrics");
  expect(stderr).toContain(`the Pushgateway at http://127.0.0.1:${port} does not answer (ECONNREFUSED)`);
  expect(stderr).toContain("cannot write the textfile");
});

test("the textfile is replaced atomically, and nothing is left next to it; a dry run writes none", async () => {
  const config = writeConfig(TARGETS);
  const path = join(dirname(config), "cleanup.prom");
  const env = { APITOKEN_CLEANUP_TEXTFILE: path };
  writeFileSync(path, "old 1\n");
  const reader = openSync(path, "r"); // a collector that is reading just now gets the complete old text
  onTestFinished(() => closeSync(reader));
  expect((await runCleanup(url, ["--dry-run", "--config", config], env)).exitCode).toBe(0);
  expect(readFileSync(path, "utf8")).toBe("old 1\n");
  expect((await runCleanup(url, ["--config", config], env)).exitCode).toBe(0);
  expect(readFileSync(reader, "utf8")).toBe("old 1\n");
  const written = readFileSync(path, "utf8");
  expect(written).toContain('apitoken_cleanup_last_run_deleted_rows{table="app.sessions",reason="expired"} 800\n');
  expect(written).not.toContain("old 1");
  expect(readdirSync(dirname(path)).sort()).toEqual(["cleanup.prom", "cleanup.yaml"]);
});

/** The controller's answer to a scrape, using a connection with its own role. */
async function scrape(): Promise<(line: string) => number | undefined> {
  const db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 1 });
  const registry = new Registry();
  exportCleanupMetrics(registry, db, (error) => {
    throw error;
  });
  const metrics = await registry.metrics().finally(() => db.close());
  return (line) => {
    const found = metrics.split("\n").find((each) => each.startsWith(`apitoken_cleanup_${line} `));
    return found === undefined ? undefined : Number(found.split(" ").at(-1));
  };
}

const DAY_SECONDS = 86_400;

test("the controller exports backlog and age even if there has never been a run", async () => {
  await insertTokens(url, [
    { prefix: "due", count: 7, ...DUE.expired },
    { prefix: "revoked", count: 5, ...DUE.revoked },
    { prefix: "kept", count: 3, ...KEPT.freshlyExpired },
  ]);
  const read = await scrape();
  expect(read('backlog_rows{table="apitoken.tokens"}')).toBe(12);
  const ageSeconds = Date.now() / 1_000 - (read('oldest_dead_timestamp_seconds{table="apitoken.tokens"}') ?? 0);
  expect(ageSeconds / DAY_SECONDS).toBeCloseTo(8, 2);
  expect(read("last_success_timestamp_seconds")).toBeUndefined();
  expect(read("last_run_timestamp_seconds")).toBeUndefined();
});

test("the controller exports what runs have recorded: sums by table and reason, the last outcome, the cap", async () => {
  const config = ["--config", writeConfig(TARGETS)];
  await insertTokens(url, [{ prefix: "due", count: 7, ...DUE.expired }]);
  await runCleanup(url, config);
  await insertTokens(url, [{ prefix: "more", count: 4, ...DUE.revoked }]);
  await runCleanup(url, config);
  const good = await scrape();
  expect(good('deleted_rows{table="apitoken.tokens",reason="expired"}')).toBe(7);
  expect(good('deleted_rows{table="apitoken.tokens",reason="revoked"}')).toBe(4);
  expect(good('deleted_rows{table="app.sessions",reason="expired"}')).toBe(800);
  expect(good('last_run_outcome{outcome="succeeded"}')).toBe(1);
  expect(good('refused{table="app.sessions"}')).toBe(0);
  const succeededAt = good("last_success_timestamp_seconds") ?? 0;
  expect(Date.now() / 1_000 - succeededAt).toBeLessThan(60);

  await execute(url, "insert into app.sessions select n, 'x', '2001-01-01' from generate_series(10001, 50000) n");
  await insertTokens(url, [{ prefix: "not-refused", count: 9, ...DUE.revoked }]);
  const refused = await runCleanup(url, config);
  expect(refused.exitCode).toBe(3);
  expect(refused.stdout).toContain("40000 of 41600 rows of app.sessions (96.1 %) would be deleted");
  expect(refused.stdout).toContain("run once with a higher --max-fraction");
  const bad = await scrape();
  expect(bad('refused{table="app.sessions"}')).toBe(1);
  expect(bad('refused{table="apitoken.tokens"}')).toBe(0);
  expect(bad('last_run_outcome{outcome="refused"}')).toBe(1);
  expect(bad("last_success_timestamp_seconds")).toBe(succeededAt);
  expect(bad('backlog_rows{table="app.sessions"}')).toBe(40_000);
  expect(bad('backlog_rows{table="apitoken.tokens"}')).toBe(0);
  expect(bad('oldest_dead_timestamp_seconds{table="app.sessions"}')).toBeLessThan(Date.parse("2001-01-02") / 1_000);
  expect(bad('table_bytes{table="app.sessions",part="indexes"}')).toBeGreaterThan(0);
});

test("the age of dead rows is that of rows that are dead: a flag's time is their death only where the flag is set", async () => {
  await execute(
    url,
    "create table app.devices (id bigint primary key, is_deleted boolean, updated_at timestamptz, expires_at timestamptz)",
    `insert into app.devices select n, n > 30, now() - n * interval '1 day', case when n = 1 then now() - interval '1 hour' end
     from generate_series(1, 40) n`,
    `insert into app.devices values (100, false, now() - interval '900 days', null),
                                    (101, false, now() - interval '800 days', now() - interval '2 hours')`,
    "grant select, delete, update on app.devices to apitoken_cleanup",
  );
  const target = `{ table: app.devices, expiresAt: expires_at, revoked: is_deleted = true, revokedAt: updated_at,
                    retention: { revoked: 35d } }`;
  const config = ["--config", writeConfig(`targets: [${target}]`), "-o", "json"];
  const ageDays = (figures: { oldestDeadAt?: unknown } | undefined) =>
    (Date.now() - Date.parse(String(figures?.oldestDeadAt))) / 86_400_000;
  const { exitCode, report } = await runCleanup(url, config);
  expect(exitCode).toBe(0);
  const devices = report.targets.find(({ table }) => table === "app.devices");
  expect(ageDays(devices?.before)).toBeCloseTo(40, 1);
  expect(ageDays(devices?.after)).toBeCloseTo(34, 1);
});

test("figures that cannot be read are not exported, and the reason is logged", async () => {
  await runCleanup(url, ["--config", writeConfig(TARGETS)]);
  await execute(url, "revoke select on apitoken.cleanup_runs from apitoken_controller");
  const db = openDatabase({ url, role: "apitoken_controller", actor: "test", maxConnections: 1 });
  const errors: unknown[] = [];
  const registry = new Registry();
  exportCleanupMetrics(registry, db, (error) => errors.push(error));
  const metrics = await registry.metrics().finally(() => db.close());
  expect(metrics).not.toMatch(/^apitoken_cleanup_[a-z_]+\{/m);
  expect(errors).toHaveLength(1);
});
