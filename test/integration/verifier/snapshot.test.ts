/*
 * A verifier that restarts while its database is away, with the snapshot that its predecessor has left.
 */
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring, hashToken } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import {
  ask,
  blockByHand,
  changeByHand,
  issueByHand,
  startTestVerifier,
  type TestVerifier,
  untilFresh,
} from "../../support/verifier.ts";

const keyring = createKeyring();
const FILE = "memory.snapshot";

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
  .extend("folder", ({}, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-snapshot-"));
    onCleanup(() => rmSync(folder, { recursive: true }));
    return folder;
  })
  /** Starts a verifier behind the network; it is stopped at the end. */
  .extend("start", ({ network, folder }, { onCleanup }) => {
    const started: TestVerifier[] = [];
    onCleanup(async () => void (await Promise.all(started.map((verifier) => verifier.stop()))));
    return async (outage = "1m", keys = keyring) => {
      const settings = { APITOKEN_VERIFIER_OUTAGE: outage, APITOKEN_VERIFIER_SNAPSHOT_DIR: folder };
      const verifier = await startTestVerifier({ url: network.url, keyring: keys, settings });
      started.push(verifier);
      return verifier;
    };
  })
  /** A verifier that has stopped and left a snapshot; then the database went away. */
  .extend("stopped", ({ network, start }) => async (outage?: string) => {
    const verifier = await start(outage);
    await verifier.ready;
    await untilFresh(verifier);
    await verifier.stop();
    await network.setMode({ kind: "refuse" });
  });

const metrics = async ({ httpUrl }: TestVerifier) => (await fetch(`${httpUrl}/metrics`)).text();
const isReady = async ({ httpUrl }: TestVerifier) => (await fetch(`${httpUrl}/readyz`)).status === 200;

const untilIgnored = (verifier: TestVerifier, why: string) =>
  eventually(() => expect(verifier.log.join("")).toContain(`"why":"${why}"`));

const PAST = "expires_at = now() - interval '1 minute'";

test("it serves what its predecessor knew, refuses what was dead or blocked, and does not judge the rest", async ({
  databaseUrl,
  network,
  start,
  stopped,
}) => {
  const good = await issueByHand(databaseUrl, keyring);
  const inGrace = await issueByHand(databaseUrl, keyring, `${PAST}, grace_seconds = 3600, grace_scopes = '{read}'`);
  const blocked = await issueByHand(databaseUrl, keyring, "owner = 'blocked'");
  const ending = await issueByHand(databaseUrl, keyring, "expires_at = now() + interval '10 seconds'");
  await blockByHand(databaseUrl, "blocked");
  await stopped();
  const stranger = await issueByHand(databaseUrl, keyring);
  const verifier = await start();
  await eventually(async () => expect(await isReady(verifier)).toBe(true));
  expect(await ask(verifier, good)).toBe(200);
  expect(await ask(verifier, inGrace)).toBe(200);
  expect(await ask(verifier, ending)).toBe(200);
  expect(await ask(verifier, blocked)).toBe(401);
  expect(await ask(verifier, stranger)).toBe(503);
  const wrong = { id: good.id, plaintext: stranger.plaintext.replace(stranger.id, good.id) };
  expect(await ask(verifier, wrong)).toBe(401);
  await eventually(async () => expect(await ask(verifier, ending)).toBe(401)); // by the database's clock
  await network.setMode({ kind: "pass" });
  await untilFresh(verifier);
  expect(await ask(verifier, good)).toBe(200);
  expect(await ask(verifier, stranger)).toBe(200);
});

test("what was revoked meanwhile is refused as soon as the database answers", async ({
  databaseUrl,
  network,
  start,
  stopped,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  await stopped();
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  const verifier = await start();
  await eventually(async () => expect(await ask(verifier, token)).toBe(200)); // it cannot know
  await network.setMode({ kind: "pass" });
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(401);
});

test("while the database answers, a snapshot counts for nothing", async ({ databaseUrl, network, start, stopped }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await stopped();
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  await network.setMode({ kind: "pass" });
  const verifier = await start();
  await eventually(async () => expect(await ask(verifier, token)).toBe(401), { timeoutMs: 3_000 });
});

test("it counts for as long as an outage may last, from when it was true", async ({ databaseUrl, start, stopped }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await stopped("8s");
  const first = await start("8s");
  await eventually(async () => expect(await ask(first, token)).toBe(200));
  await first.stop(); // what it writes now is as old as what it has read
  const second = await start("8s");
  await eventually(async () => expect(await ask(second, token)).toBe(200));
  await eventually(async () => expect(await ask(second, token)).toBe(503), { timeoutMs: 10_000 });
  await second.stop();
  const third = await start("8s");
  await untilIgnored(third, "it is too old");
  expect(await ask(third, token)).toBe(503);
});

test("a token that has died before the snapshot was written is refused, although no row is read", async ({
  databaseUrl,
  network,
  start,
}) => {
  const dead = await issueByHand(databaseUrl, keyring);
  const before = await start();
  await untilFresh(before);
  expect(await ask(before, dead)).toBe(200);
  await changeByHand(databaseUrl, dead, "revoked_at = now()");
  await eventually(async () => expect(await ask(before, dead)).toBe(401));
  await before.stop();
  await network.setMode({ kind: "refuse" });
  const verifier = await start();
  await eventually(async () => expect(await ask(verifier, dead)).toBe(401));
});

test("a file that was changed, or of another keyring, is ignored, and the log says why", async ({
  databaseUrl,
  folder,
  start,
  stopped,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  await stopped();
  const path = join(folder, FILE);
  copyFileSync(path, `${path}.kept`);
  const file = readFileSync(path);
  file[file.length - 40] = (file[file.length - 40] ?? 0) ^ 1;
  writeFileSync(path, file);
  const misled = await start();
  await untilIgnored(misled, "it was changed or damaged, or belongs to another keyring");
  expect(await isReady(misled)).toBe(false);
  expect(await ask(misled, token)).toBe(503);
  copyFileSync(`${path}.kept`, path);
  const foreign = await start("1m", createKeyring());
  await untilIgnored(foreign, "it was sealed with a key that is not in the keyring");
  expect(await ask(foreign, token)).toBe(503);
});

test("snapshots are written while it runs, and hold no token and no hash that could be read", async ({
  databaseUrl,
  folder,
  start,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  const verifier = await start();
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  await eventually(() => expect(readdirSync(folder)).toContain(FILE));
  await eventually(async () =>
    expect(await metrics(verifier)).toMatch(/^apitoken_verifier_snapshot_age_seconds [0-9.]+$/m),
  );
  const file = readFileSync(join(folder, FILE));
  const hash = hashToken(token.plaintext, keyring.peppers[0]);
  for (const secret of [token.plaintext, hash, hash.toString("base64"), hash.toString("hex"), token.id, "alice"]) {
    expect(file.includes(secret)).toBe(false);
  }
  const [row] = await runAsSuperuser<{ hash: Buffer }>(databaseUrl, "select hash from apitoken.tokens where id = $1", [
    token.id,
  ]);
  expect(row?.hash.equals(hash)).toBe(true); // so it was the right hash that was looked for
});
