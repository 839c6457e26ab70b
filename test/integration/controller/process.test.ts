import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import pg from "pg";
import { expect, inject } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { SCHEMA_VERSION } from "../../../src/postgres/schema-version.ts";
import type { TestCluster } from "../../support/cluster.ts";
import {
  type ControllerProcess,
  launchControllerProcess,
  startControllerProcess,
} from "../../support/controller-process.ts";
import { isIdle, readMetric } from "../../support/controllers.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { untilReady } from "../../support/resources.ts";

const MIGRATE = fileURLToPath(new URL("../../../src/migrate/main.ts", import.meta.url));
/** The lock that node-pg-migrate holds: PG_MIGRATE_LOCK_ID in its documentation. */
const MIGRATION_LOCK = "7241865325823964";
/** Much less than any time limit of a call. */
const PROMPTLY_MS = 15_000;
/** As in production, so that no short timeout of the tests' settings ends what hangs. */
const LONG_LEASES = {
  APITOKEN_LEASE_DURATION: "15s",
  APITOKEN_LEASE_RENEW_DEADLINE: "12s",
  APITOKEN_LOG_LEVEL: "info",
};

let undo: (() => unknown)[] = [];

test.afterEach(async () => {
  for (const step of undo.reverse()) await step();
  undo = [];
});

async function launch(
  cluster: TestCluster,
  ...[url, ...rest]: [url: string, identity: string, settings?: object, args?: string[]]
) {
  const [identity, settings, args] = rest;
  const controller = await launchControllerProcess(cluster, url, identity, { ...LONG_LEASES, ...settings }, args);
  undo.push(() => controller.dispose());
  return controller;
}

/** Sends SIGTERM, and expects the controller to end at once, with 0, without having begun anything. */
async function expectPromptEnd({ process: background, readLog }: ControllerProcess, signalledAtMs: number) {
  expect(await background.ended, readLog()).toBe(0);
  expect(performance.now() - signalledAtMs).toBeLessThan(PROMPTLY_MS);
  expect(readLog()).not.toContain('"leading"');
}

/** Creates an empty database whose migration has to wait as long as the test runs. */
async function createLockedDatabase(): Promise<{
  url: string;
  isWaitedFor: () => Promise<boolean>;
  unlock(): Promise<void>;
}> {
  const { postgresUrl } = inject("servers");
  const name = `test_${randomBytes(6).toString("hex")}`;
  await runAsSuperuser(postgresUrl, `create database ${name}`);
  const url = postgresUrl.replace(/\/postgres$/, `/${name}`);
  const holder = new pg.Client({ connectionString: url });
  await holder.connect();
  await holder.query(`select pg_advisory_lock(${MIGRATION_LOCK})`);
  const unlock = () => holder.end();
  return {
    url,
    unlock,
    async isWaitedFor() {
      const waiting = await runAsSuperuser(
        url,
        "select from pg_locks join pg_database on oid = database " +
          "where datname = current_database() and locktype = 'advisory' and not granted",
      );
      return waiting.length > 0;
    },
  };
}

/** Expects that once nobody else is connected to the database, it contains nothing of ours. */
async function expectNoSchema(url: string): Promise<void> {
  await eventually(async () => {
    const others = await runAsSuperuser(
      url,
      "select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()",
    );
    return others.length === 0;
  });
  const [row] = await runAsSuperuser<{ schema: string | null }>(url, "select to_regnamespace('apitoken') as schema");
  expect(row?.schema).toBeNull();
}

test("SIGTERM while controller --migrate waits for another migration ends it", async ({ cluster }) => {
  const database = await createLockedDatabase();
  const controller = await launch(cluster, database.url, "migrating", {}, ["--migrate"]);
  await eventually(database.isWaitedFor);
  const signalledAtMs = performance.now();
  process.kill(controller.process.pid, "SIGTERM");
  await expectPromptEnd(controller, signalledAtMs);
  expect(controller.readLog()).not.toContain('"started"');
  await database.unlock();
  await expectNoSchema(database.url);
});

test("SIGTERM while migrate waits for another migration ends it, with a failure", async () => {
  const database = await createLockedDatabase();
  const env = { PATH: process.env.PATH, DATABASE_URL: database.url };
  const migrate = spawn(process.execPath, [MIGRATE], { env, stdio: ["ignore", "ignore", "pipe"] });
  undo.push(() => migrate.kill("SIGKILL"));
  const ended = once(migrate, "exit");
  const output = text(migrate.stderr);
  await eventually(database.isWaitedFor);
  const signalledAtMs = performance.now();
  migrate.kill("SIGTERM");
  expect(await ended).toEqual([1, null]);
  expect(performance.now() - signalledAtMs).toBeLessThan(PROMPTLY_MS);
  expect(await output).toBe("migrate: stopped by SIGTERM\n");
  await database.unlock();
  await expectNoSchema(database.url);
});

test("SIGTERM during the controller's start is not lost", async ({ cluster }) => {
  const signalEarly = `process.on("newListener", (event) => {
    if (event === "SIGTERM") process.nextTick(() => process.emit("SIGTERM", "SIGTERM"));
  })`;
  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(signalEarly)}`;
  const signalledAtMs = performance.now();
  const controller = await launch(cluster, await createTestDatabase(), "early", { NODE_OPTIONS });
  await expectPromptEnd(controller, signalledAtMs);
});

/** Starts an API server that accepts connections and never answers. */
async function startSilentServer(cluster: TestCluster): Promise<{ KUBECONFIG: string; connected: Promise<void> }> {
  const connected = Promise.withResolvers<void>();
  const silent = createServer(() => connected.resolve()).listen(0, "127.0.0.1");
  await once(silent, "listening");
  undo.push(() => silent.close());
  const { port } = silent.address() as { port: number };
  const folder = mkdtempSync(join(tmpdir(), "apitoken-kubeconfig-"));
  undo.push(() => rmSync(folder, { recursive: true, force: true }));
  const KUBECONFIG = join(folder, "kubeconfig");
  const original = readFileSync(cluster.kubeconfigPath, "utf8");
  writeFileSync(KUBECONFIG, original.replace(/https:\/\/127\.0\.0\.1:\d+/, `http://127.0.0.1:${port}`));
  return { KUBECONFIG, connected: connected.promise };
}

test("SIGTERM while an API server does not answer the first call ends the controller", async ({ cluster }) => {
  const { KUBECONFIG, connected } = await startSilentServer(cluster);
  const controller = await launch(cluster, await createTestDatabase(), "unanswered", { KUBECONFIG });
  await connected;
  const signalledAtMs = performance.now();
  process.kill(controller.process.pid, "SIGTERM");
  await expectPromptEnd(controller, signalledAtMs);
});

test("SIGTERM while an API server does not answer ends controller keys, with a failure", async ({ cluster }) => {
  const { KUBECONFIG, connected } = await startSilentServer(cluster);
  const keys = await launch(cluster, await createTestDatabase(), "keys", { KUBECONFIG }, ["keys", "status"]);
  await connected;
  process.kill(keys.process.pid, "SIGTERM");
  expect(await keys.process.ended).toBe(1);
  expect(keys.readLog()).toBe("controller: stopped by SIGTERM\n");
});

test("an error that no retry fixes ends the leader in order: the reason as JSON, the Lease released, nothing after", async ({
  cluster,
}) => {
  const url = await createTestDatabase();
  const before = await startControllerProcess(cluster, url, "before");
  undo.push(() => before.dispose());
  await cluster.apply("kept", { owner: "alice" });
  await untilReady(cluster, "kept");
  await eventually(() => isIdle(before));
  await before.process.stop();
  await runAsSuperuser(url, "update apitoken.schema_version set version = 99, compatible_from = 99");

  const doomed = await launch(cluster, url, "doomed");
  expect(await doomed.process.ended).toBe(1);
  const lines = doomed.readLog().trimEnd().split("\n");
  // The last two lines are for a person; all others are for the log's collector.
  expect(lines.at(-1)).toBe("Error code: APITOKEN_E_SCHEMA_TOO_NEW (docs/errors.md)");
  expect(lines.at(-2)).toMatch(/^controller: the database's schema version 99 needs a program that knows version 99/);
  const entries = lines.slice(0, -2).map((line) => JSON.parse(line));
  const messages = entries.map(({ msg }) => msg);
  expect(messages).toEqual(expect.arrayContaining(["started", "leading", "no longer leading"]));
  expect(entries.at(-1)).toMatchObject({
    level: "error",
    msg: "the controller cannot continue",
    err: { name: "SchemaMismatchError" },
  });
  expect(messages).not.toContain("lease cannot be released");
  expect(doomed.readLog()).not.toContain("got no answer");
  expect(messages).not.toContain("connection to the database lost");

  const path = `/apis/coordination.k8s.io/v1/namespaces/${cluster.namespace}/leases/apitoken-controller`;
  const lease = await cluster.transport.request<{ spec: { holderIdentity?: string } }>("GET", path);
  expect(lease.spec.holderIdentity ?? "").toBe("");

  // So the next one leads at once, long before a lease of 15 s would have expired.
  await runAsSuperuser(url, `update apitoken.schema_version set version = ${SCHEMA_VERSION}, compatible_from = 1`);
  const after = await startControllerProcess(cluster, url, "after", LONG_LEASES);
  undo.push(() => after.dispose());
  await eventually(async () => (await readMetric(after, "apitoken_leading")) === 1, { timeoutMs: 5_000 });
});
