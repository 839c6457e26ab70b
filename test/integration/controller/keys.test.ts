import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { loadKeyring } from "../../../src/controller/keyring/secret.ts";
import type { Keyring } from "../../../src/token/keyring.ts";
import { connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import {
  controllerSettings,
  isIdle,
  readMetric,
  startTestController,
  type TestController,
} from "../../support/controllers.ts";
import { createTestDatabase, findRows, type TokenRowView, verifies, verify } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { createClusterResources } from "../../support/policies.ts";
import { issueToken } from "../../support/resources.ts";

const PROGRAM = fileURLToPath(new URL("../../../src/controller/main.ts", import.meta.url));
const QUICK = { settings: { APITOKEN_KEYRING_RELOAD: "100ms" } };
const METADATA = { tenant: "acme" };
let cluster: TestCluster;
let databaseUrl: string;
let controller: TestController | undefined;

beforeEach(async () => {
  cluster = await connectCluster();
  databaseUrl = await createTestDatabase();
  controller = await startTestController(cluster, databaseUrl, QUICK);
});
afterEach(async () => {
  await controller?.stop();
  await cluster?.close();
});

/** Runs `controller keys …` as a process. */
function keys(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const env = { ...process.env, ...controllerSettings(cluster, databaseUrl) };
  return new Promise((resolve) => {
    execFile(process.execPath, [PROGRAM, "keys", ...args], { env }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr }),
    );
  });
}

interface KeyView {
  kind: string;
  id: string;
  state: string;
  rows: number;
  lastEndsAt?: string;
  isRemovable: boolean;
}

async function status(kind: string): Promise<KeyView[]> {
  const { stdout } = await keys("status", "-o", "json");
  return (JSON.parse(stdout) as KeyView[]).filter((key) => key.kind === kind);
}

function readRing(): Promise<Keyring> {
  const place = { namespace: cluster.namespace, name: "apitoken-keyring" };
  return loadKeyring(cluster.transport, place, () => Promise.resolve(true));
}

async function keysOfRow(name: string) {
  const rows = await findRows(databaseUrl, name);
  const { key_id, metadata_key_id } = rows.at(-1) as unknown as { key_id: string; metadata_key_id: string | null };
  return { pepper: key_id, encryption: metadata_key_id };
}

async function editRing(
  change: (json: Record<"peppers" | "encryption", { id: string; secret: string }[]>) => void,
): Promise<void> {
  const json = JSON.parse(readToken(await cluster.getSecret("apitoken-keyring"), "keyring.json"));
  change(json);
  await cluster.transport.request("PATCH", `/api/v1/namespaces/${cluster.namespace}/secrets/apitoken-keyring`, {
    contentType: "application/merge-patch+json",
    body: { data: { "keyring.json": Buffer.from(JSON.stringify(json)).toString("base64") } },
  });
}

test("after a rotation old tokens keep working, new ones and all metadata use the new keys, and nothing more is written", async () => {
  const token = await issueToken(cluster, "kept", { owner: "alice", metadata: METADATA });
  const before = await keysOfRow("kept");
  const rotation = await keys("rotate", "--active-in", "0s");
  expect(rotation).toMatchObject({ code: 0, stderr: "" });
  const ring = await readRing();
  expect(ring.peppers.map(({ id }) => id)).toEqual([expect.any(String), before.pepper]);

  await eventually(async () =>
    expect(await keysOfRow("kept")).toEqual({ pepper: before.pepper, encryption: ring.encryption[0].id }),
  );
  expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual(METADATA);
  expect(readToken(await cluster.getSecret("kept"))).toBe(token);

  const fresh = await issueToken(cluster, "fresh", { owner: "bob", metadata: METADATA });
  expect(await keysOfRow("fresh")).toEqual({ pepper: ring.peppers[0].id, encryption: ring.encryption[0].id });
  expect((await verify(cluster, databaseUrl, fresh))?.metadata).toEqual(METADATA);

  await controller?.stop();
  const tap = createWriteTap();
  const second = await startTestController(cluster, databaseUrl, { ...QUICK, ...tap });
  controller = second;
  await eventually(async () => {
    expect(await readMetric(second, 'apitoken_reconcile_total{result="converged"}')).toBeGreaterThanOrEqual(2);
    expect(await isIdle(second)).toBe(true);
  });
  expect(tap.writes).toEqual([]);
});

test("a standby adopts the new keyring, too", async () => {
  await issueToken(cluster, "before", { owner: "alice", metadata: METADATA });
  const standby = await startTestController(cluster, databaseUrl, QUICK);
  try {
    await keys("rotate", "--active-in", "0s");
    const ring = await readRing();
    await eventually(async () => expect((await keysOfRow("before")).encryption).toBe(ring.encryption[0].id));
    await controller?.stop();
    controller = undefined;
    await issueToken(cluster, "after", { owner: "bob", metadata: METADATA });
    expect(await keysOfRow("after")).toEqual({ pepper: ring.peppers[0].id, encryption: ring.encryption[0].id });
  } finally {
    await standby.stop();
  }
});

test.each([
  ["pepper", "tokens hashed under"],
  ["encryption", "metadata encrypted under"],
])(
  "a controller without a key of kind %s that rows name does not start, and its error has the remedy",
  async (kind, fault) => {
    await issueToken(cluster, "orphaned", { owner: "alice", metadata: METADATA });
    await controller?.stop();
    controller = undefined;
    const field = kind === "pepper" ? "peppers" : "encryption";
    await editRing((json) => {
      json[field] = [{ id: "another", secret: Buffer.alloc(32, 9).toString("base64") }];
    });
    const { finished } = await startTestController(cluster, databaseUrl, QUICK);
    await expect(finished).rejects.toThrow(new RegExp(`${fault} "[pe]-.*restore the keyring's Secret`));
  },
);

test("a coming key is not used before its time, and always used from then on", async () => {
  await issueToken(cluster, "early", { owner: "alice", metadata: METADATA });
  const before = await keysOfRow("early");
  await keys("rotate", "--active-in", "10s"); // each of these commands is a process, which can take seconds to start
  const [coming] = (await readRing()).encryption;
  expect((await status("encryption")).map(({ state }) => state)).toEqual(["coming", "current"]);
  await issueToken(cluster, "meanwhile", { owner: "bob", metadata: METADATA });
  const [{ issued_at }] = (await findRows(databaseUrl, "meanwhile")) as [TokenRowView];
  if (coming.activeFrom && issued_at < coming.activeFrom) expect(await keysOfRow("meanwhile")).toEqual(before);
  await eventually(async () => expect((await keysOfRow("early")).encryption).toBe(coming.id), { timeoutMs: 30_000 });
  await eventually(async () => expect((await keysOfRow("meanwhile")).encryption).toBe(coming.id));
  const [{ now }] = (await runAsSuperuser<{ now: Date }>(databaseUrl, "select now()")) as [{ now: Date }];
  expect(coming.activeFrom?.getTime()).toBeLessThanOrEqual(now.getTime());
});

test("a key can be removed once no working token's row names it, and not before", async () => {
  const token = await issueToken(cluster, "held", { owner: "alice", metadata: METADATA });
  const { pepper, encryption } = await keysOfRow("held");
  expect(await keys("remove", pepper)).toMatchObject({ code: 3, stderr: expect.stringContaining("current") });

  await keys("rotate", "--active-in", "0s");
  await eventually(async () => expect((await keysOfRow("held")).encryption).not.toBe(encryption));
  const [row] = await findRows(databaseUrl, "held");
  const lastEndsAt = row?.expires_at.toISOString().replace(".000Z", "Z");
  expect((await status("pepper"))[1]).toEqual({
    kind: "pepper",
    id: pepper,
    state: "old",
    rows: 1,
    lastEndsAt,
    isRemovable: false,
  });
  const refusal = await keys("remove", pepper);
  expect(refusal).toMatchObject({ code: 3, stdout: "" });
  expect(refusal.stderr).toContain(`1 row names it; the last of them ends at ${lastEndsAt}`);
  expect((await readRing()).peppers).toHaveLength(2);

  expect(await keys("remove", encryption ?? "")).toMatchObject({
    code: 0,
    stdout: `encryption ${encryption} removed\n`,
  });
  expect(await keys("remove", encryption ?? "")).toMatchObject({
    code: 1,
    stderr: expect.stringContaining("the keyring has no such key"),
  });
  expect((await verify(cluster, databaseUrl, token))?.metadata).toEqual(METADATA);

  await cluster.delete("held");
  await eventually(async () => expect((await status("pepper"))[1]?.isRemovable).toBe(true), {
    timeoutMs: 30_000,
    intervalMs: 200,
  });
  expect((await keys("status")).stdout).toContain(`pepper ${pepper} old rows=0 last-ends=- can be removed\n`);
  expect(await keys("remove", pepper)).toMatchObject({ code: 0 });
  expect((await readRing()).peppers).toHaveLength(1);
  const last = await issueToken(cluster, "after", { owner: "bob" });
  expect(await verifies(cluster, databaseUrl, last)).toBe(true);
});

test("only the requested kind is rotated, and everything else in the Secret stays", async () => {
  await issueToken(cluster, "any");
  await editRing((json) => Object.assign(json, { note: "kept" }));
  expect(await keys("rotate", "--kind", "encryption")).toMatchObject({ code: 0 });
  const ring = await readRing();
  expect([ring.peppers.length, ring.encryption.length]).toEqual([1, 2]);
  const inMs = (ring.encryption[0].activeFrom?.getTime() ?? 0) - Date.now();
  expect(inMs).toBeGreaterThan(100_000);
  expect(inMs).toBeLessThanOrEqual(120_000);
  expect(readToken(await cluster.getSecret("apitoken-keyring"), "keyring.json")).toContain('"note":"kept"');
});

test("a key whose bytes have changed is refused: nothing is written, and the error says why", async () => {
  const token = await issueToken(cluster, "safe", { owner: "alice" });
  const before = await findRows(databaseUrl, "safe");
  const ended = expect(controller?.finished).rejects.toThrow(/have changed.*restore it from this cluster/s);
  await editRing(({ peppers }) => {
    for (const pepper of peppers) pepper.secret = Buffer.alloc(32, 7).toString("base64");
  });
  await ended;
  expect(await findRows(databaseUrl, "safe")).toEqual(before);
  expect(readToken(await cluster.getSecret("safe"))).toBe(token);
});

test("a keyring that is gone or damaged while the controller runs changes nothing", async () => {
  await issueToken(cluster, "first");
  const good = readToken(await cluster.getSecret("apitoken-keyring"), "keyring.json");
  const path = `/api/v1/namespaces/${cluster.namespace}/secrets/apitoken-keyring`;
  const write = (text: string) =>
    cluster.transport.request("PATCH", path, {
      contentType: "application/merge-patch+json",
      body: { data: { "keyring.json": Buffer.from(text).toString("base64") } },
    });
  await write("{}");
  const token = await issueToken(cluster, "second", { owner: "bob" });
  await write(good);
  expect(await verifies(cluster, databaseUrl, token)).toBe(true);
});

test.each([
  [["rotate", "--kind", "salt"], "must be pepper or encryption"],
  [["rotate", "--active-in", "soon"], '--active-in is "soon": "soon" is not a duration'],
  [["status", "-o", "yaml"], '-o is "yaml": must be text or json'],
  [["remove"], "missing argument ID"],
  [["polish"], 'unknown command "polish"; the commands are status, rotate and remove'],
])("bad usage is reported: %j", async (args, message) => {
  expect(await keys(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(message) });
});

test("an owner who is erased again after a rotation, and the removal of the old keys, gets the same pseudonym", async () => {
  const resources = createClusterResources(cluster);
  const erase = async (name: string) => {
    await issueToken(cluster, name, { owner: "wendy", metadata: METADATA });
    await resources.applyBlock("wendy", { owner: "wendy", erase: true });
    await eventually(async () =>
      expect(await resources.getBlockCondition("wendy", "Erased")).toMatchObject({ status: "True" }),
    );
    // First the ApiToken, which would get a new token, and events with the name, as soon as the block is lifted.
    await cluster.delete(name);
    await eventually(async () => expect(await cluster.get(name)).toBeUndefined());
    await resources.deleteBlock("wendy");
    return runAsSuperuser(databaseUrl, "select distinct owner from apitoken.security_events where name = $1", [name]);
  };
  const [former] = await erase("wendy-1");
  const { peppers, encryption, pseudonym } = await readRing();
  await keys("rotate", "--active-in", "0s");
  for (const { id } of [...peppers, ...encryption]) {
    await eventually(async () => expect(await keys("remove", id)).toMatchObject({ code: 0 }), { intervalMs: 200 });
  }
  await eventually(async () => expect(await isIdle(controller as TestController)).toBe(true));
  expect(former).toEqual({ owner: expect.stringMatching(/^erased-/) });
  expect(await erase("wendy-2")).toEqual([former]);

  expect(await keys("remove", pseudonym.id)).toMatchObject({ code: 3, stderr: expect.stringContaining("keep it") });
  expect((await keys("status")).stdout).toContain(`pseudonym ${pseudonym.id} kept rows=0 last-ends=- kept: names`);
});
