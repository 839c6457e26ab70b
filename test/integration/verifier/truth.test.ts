/*
 * What a verifier says while the world changes under it: never yes to the dead, never no to the living.
 */
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKey, createKeyring, type Keyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import {
  ask,
  blockByHand,
  changeByHand,
  type HandMadeToken,
  issueByHand,
  readVerifierMetric,
  startTestVerifier,
  untilFresh,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  /** The network between the verifier and its database. */
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  .extend("url", ({ network }) => network.url)
  .extend("verifier", async ({ url }, { onCleanup }) => {
    const verifier = await startTestVerifier({ url, keyring, settings: { APITOKEN_VERIFIER_OUTAGE: "10s" } });
    onCleanup(() => verifier.stop());
    return verifier;
  });

const AWAY = { kind: "refuse" } as const;
const SILENT = { kind: "stall" } as const;
const BACK = { kind: "pass" } as const;

test("it listens at once, and is ready when the tokens have been read", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await verifier.ready;
  expect((await fetch(`${verifier.httpUrl}/readyz`)).status).toBe(200);
  expect(await ask(verifier, token)).toBe(200);
});

test("what is in memory is answered without a statement", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  const before = await readVerifierMetric(verifier, "apitoken_verifier_lookup_statements_total");
  for (let count = 0; count < 100; count += 1) expect(await ask(verifier, token)).toBe(200);
  expect(await readVerifierMetric(verifier, "apitoken_verifier_lookup_statements_total")).toBe(before);
});

test.for([
  ["revoked", (url: string, token: HandMadeToken) => changeByHand(url, token, "revoked_at = now()")],
  [
    "deleted",
    (url: string, token: HandMadeToken) => runAsSuperuser(url, "delete from apitoken.tokens where id = $1", [token.id]),
  ],
  ["lost with all others", (url: string) => runAsSuperuser(url, "truncate apitoken.tokens")],
  ["blocked with its owner", (url: string) => blockByHand(url, "carol")],
] as const)("a token that is %s is refused within a second", async ([, end], { databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring, "owner = 'carol'");
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  await end(databaseUrl, token);
  await eventually(async () => expect(await ask(verifier, token)).toBe(401), { timeoutMs: 1_000 });
});

test("what a block has revoked stays refused when the block is lifted", async ({ databaseUrl, verifier }) => {
  const revoked = await issueByHand(databaseUrl, keyring, "owner = 'dave'");
  const spared = await issueByHand(databaseUrl, keyring, "owner = 'dave'");
  await untilFresh(verifier);
  expect(await ask(verifier, revoked)).toBe(200);
  expect(await ask(verifier, spared)).toBe(200);
  await blockByHand(databaseUrl, "dave");
  // As the controller does it: nothing is notified of a token that a block has revoked.
  await changeByHand(databaseUrl, revoked, "revoked_at = now(), revocation_reason = 'OwnerBlocked'");
  await eventually(async () => expect(await ask(verifier, spared)).toBe(401));
  await untilFresh(verifier);
  await runAsSuperuser(databaseUrl, "delete from apitoken.blocked_owners where owner = 'dave'");
  await eventually(async () => expect(await ask(verifier, spared)).toBe(200));
  expect(await ask(verifier, revoked)).toBe(401);
});

test("once a changed block was read, memory answers for its owner's tokens again", async ({
  databaseUrl,
  verifier,
}) => {
  const token = await issueByHand(databaseUrl, keyring, "owner = 'erin'");
  await untilFresh(verifier);
  const readStatements = () => readVerifierMetric(verifier, "apitoken_verifier_lookup_statements_total");
  const untilFromMemory = (status: number) =>
    eventually(async () => {
      const before = await readStatements();
      expect(await ask(verifier, token)).toBe(status);
      expect(await readStatements()).toBe(before);
    });
  await untilFromMemory(200);
  await blockByHand(databaseUrl, "erin");
  await untilFromMemory(401);
  await runAsSuperuser(databaseUrl, "delete from apitoken.blocked_owners where owner = 'erin'");
  await untilFromMemory(200);
});

test("a connection that is known to be lost proves nothing any more, however long a proof may count", async ({
  databaseUrl,
  network,
  onTestFinished,
}) => {
  const settings = { APITOKEN_VERIFIER_STALE_AFTER_LOSS: "60s" };
  const verifier = await startTestVerifier({ url: network.url, keyring, settings });
  onTestFinished(() => verifier.stop());
  const token = await issueByHand(databaseUrl, keyring);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  await network.setMode(AWAY);
  await eventually(async () => expect(await readVerifierMetric(verifier, "apitoken_verifier_fresh")).toBe(0));
  await network.setMode(BACK);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
});

test("a revocation counts within a second even if the connection that listens is cut all the time", async ({
  databaseUrl,
  verifier,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  const cut = () =>
    runAsSuperuser(
      databaseUrl,
      `select pg_terminate_backend(pid) from pg_stat_activity
       where datname = current_database() and application_name like 'verifier/%' and query like '%missed_notifications%'`,
    );
  expect(await cut()).toHaveLength(1);
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  await eventually(
    async () => {
      await cut();
      expect(await ask(verifier, token)).toBe(401);
    },
    { timeoutMs: 1_000 },
  );
});

test("a change of scopes counts at once, too", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilFresh(verifier);
  const wants = async (scope: string) =>
    (
      await fetch(`${verifier.gatewayUrl}/verify?scope=${scope}`, {
        headers: { authorization: `Bearer ${token.plaintext}` },
      })
    ).status;
  expect(await wants("delete")).toBe(403);
  await changeByHand(databaseUrl, token, "scopes = '{delete}'");
  await eventually(async () => expect(await wants("delete")).toBe(200), { timeoutMs: 1_000 });
  expect(await wants("read")).toBe(403);
});

test("a token ends by the database's clock, without being told", async ({ databaseUrl, verifier }) => {
  const token = await issueByHand(databaseUrl, keyring, "expires_at = now() + interval '2 seconds'");
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  await eventually(async () => expect(await ask(verifier, token)).toBe(401));
  const [row] = await runAsSuperuser<{ late_ms: number }>(
    databaseUrl,
    "select extract(epoch from clock_timestamp() - expires_at) * 1000 as late_ms from apitoken.tokens where id = $1",
    [token.id],
  );
  expect(Number(row?.late_ms)).toBeGreaterThan(-100);
});

test.for([
  ["refuses connections", AWAY],
  ["is silent", SILENT],
] as const)(
  "while the database %s, known tokens are served and unknown ones are not judged",
  async ([, mode], { databaseUrl, verifier, network }) => {
    const known = await issueByHand(databaseUrl, keyring);
    await untilFresh(verifier);
    expect(await ask(verifier, known)).toBe(200);
    await network.setMode(mode);
    await eventually(async () => expect(await readVerifierMetric(verifier, "apitoken_verifier_fresh")).toBe(0));
    const stranger = await issueByHand(databaseUrl, keyring); // of one that was issued before it has heard
    expect(await ask(verifier, known)).toBe(200);
    expect((await fetch(`${verifier.httpUrl}/readyz`)).status).toBe(200);
    expect(await ask(verifier, stranger)).toBe(503);
    await network.setMode(BACK);
    network.reset();
    await untilFresh(verifier);
    expect(await ask(verifier, known)).toBe(200);
    expect(await ask(verifier, stranger)).toBe(200);
  },
);

test("an outage that begins as soon as it is ready is survived", async ({ databaseUrl, network, onTestFinished }) => {
  const token = await issueByHand(databaseUrl, keyring);
  const verifier = await startTestVerifier({ url: network.url, keyring });
  onTestFinished(() => verifier.stop());
  await verifier.ready;
  await network.setMode(AWAY);
  expect(await ask(verifier, token)).toBe(200);
});

test("an outage is survived for as long as it was set, and no longer", async ({ databaseUrl, verifier, network }) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  await network.setMode(AWAY);
  await eventually(async () =>
    expect(await readVerifierMetric(verifier, "apitoken_verifier_memory_age_seconds")).toBeGreaterThan(5),
  );
  expect(await ask(verifier, token)).toBe(200);
  await eventually(async () => expect(await ask(verifier, token)).toBe(503), { timeoutMs: 12_000 });
});

test("what was revoked during an outage is refused as soon as the database is back", async ({
  databaseUrl,
  verifier,
  network,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(200);
  await network.setMode(AWAY);
  await changeByHand(databaseUrl, token, "revoked_at = now()");
  await network.setMode(BACK);
  await untilFresh(verifier);
  expect(await ask(verifier, token)).toBe(401);
});

test("a token whose pepper it does not know yet is not refused", async ({ databaseUrl, verifier }) => {
  const next: Keyring = { ...keyring, peppers: [createKey("p"), ...keyring.peppers] };
  const token = await issueByHand(databaseUrl, next);
  expect(await ask(verifier, token)).toBe(503);
  verifier.writeKeyring(next);
  await eventually(async () => expect(await ask(verifier, token)).toBe(200));
});
