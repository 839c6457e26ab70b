/*
 * What a verifier reports behind its answers: uses, refusals, and what each day's uses add up to.
 */
import { test as base, expect, onTestFinished } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { type Database, openDatabase } from "../../../src/postgres/database.ts";
import { createLogger } from "../../../src/runtime/log.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import type { Answer } from "../../../src/verifier/lookup.ts";
import { KnownToken } from "../../../src/verifier/memory/known-token.ts";
import { createUseReports } from "../../../src/verifier/uses/reports.ts";
import { aVerifiableToken } from "../../support/builders.ts";
import { createTestDatabase } from "../../support/database.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import { startStatementProxy } from "../../support/statement-proxy.ts";
import { insertTokenRows, KEPT } from "../../support/token-rows.ts";
import {
  forgeSecret,
  type HandMadeToken,
  issueByHand,
  startTestVerifier,
  type TestVerifier,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base.extend("url", { scope: "file" }, () => createTestDatabase());

/** Asks as a gateway would for a client at this address. */
const ask = async ({ gatewayUrl }: TestVerifier, plaintext: string, address = "192.0.2.1"): Promise<number> => {
  const headers = { authorization: `Bearer ${plaintext}`, "x-forwarded-for": address };
  return (await fetch(`${gatewayUrl}/verify`, { headers })).status;
};

async function start(url: string): Promise<TestVerifier> {
  const settings = { APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.1/32" };
  const verifier = await startTestVerifier({ url, keyring, settings });
  await verifier.ready;
  return verifier;
}

const failuresOf = (url: string, { id }: HandMadeToken) =>
  runAsSuperuser(
    url,
    `select reason, host(address) as address from apitoken.security_events
     where event = 'VerificationFailed' and token_id = $1`,
    [id],
  );

test("uses are reported, those of dead tokens too", async ({ url }) => {
  const good = await issueByHand(url, keyring);
  const dead = await issueByHand(url, keyring, "revoked_at = now() - interval '1 hour'");
  const verifier = await start(url);
  expect(await ask(verifier, good.plaintext)).toBe(200);
  expect(await ask(verifier, dead.plaintext)).toBe(401);
  await verifier.stop(); // which reports what is left
  const uses = await runAsSuperuser(
    url,
    "select token_id, address is not null as has_address from apitoken.token_uses where token_id = any ($1) order by token_id",
    [[good.id, dead.id]],
  );
  expect(uses).toEqual([good.id, dead.id].sort().map((token_id) => ({ token_id, has_address: true })));
  expect(await failuresOf(url, dead)).toMatchObject([{ reason: "Revoked" }]);
});

test("whoever knows a token's id and not its secret is recorded, and does not use the token", async ({ url }) => {
  const shown = await issueByHand(url, keyring);
  const unshown = await issueByHand(url, keyring);
  const verifier = await start(url);
  expect(await ask(verifier, shown.plaintext)).toBe(200);
  for (const token of [shown, unshown]) expect(await ask(verifier, forgeSecret(token))).toBe(401);
  await verifier.stop();
  for (const token of [shown, unshown]) {
    expect(await failuresOf(url, token)).toEqual([{ reason: "WrongSecret", address: "192.0.2.1" }]);
  }
  expect(await runAsSuperuser(url, "select from apitoken.token_uses where token_id = $1", [unshown.id])).toEqual([]);
});

test("a flood of wrong secrets for many tokens costs an event for each token, and one statement for all", async ({
  url,
}) => {
  const tokens = await Promise.all(Array.from({ length: 20 }, () => issueByHand(url, keyring)));
  const proxy = await startStatementProxy(url, "record-failures");
  onTestFinished(() => proxy.close());
  const verifier = await start(proxy.url);
  for (let round = 0; round < 20; round += 1) {
    const statuses = await Promise.all(
      tokens.map((token, n) => ask(verifier, forgeSecret(token), `198.51.${round}.${n}`)),
    );
    expect(new Set(statuses)).toEqual(new Set([401]));
  }
  expect(proxy.count).toBe(0);
  await verifier.stop();
  expect(proxy.count).toBeLessThanOrEqual(2); // the statement's text, and its values
  for (const token of tokens) expect(await failuresOf(url, token)).toHaveLength(1);
});

const usageOf = (url: string, { id }: HandMadeToken) =>
  runAsSuperuser(
    url,
    `select result, uses::integer, day = (now() at time zone 'UTC')::date as is_today
     from apitoken.token_usage where token_id = $1 order by result`,
    [id],
  );

test("each day's uses are counted by their results, and those of several verifiers are added up", async ({ url }) => {
  const token = await issueByHand(url, keyring);
  const verifiers = [await start(url), await start(url)];
  for (const verifier of verifiers) {
    for (let count = 0; count < 10; count += 1) expect(await ask(verifier, token.plaintext)).toBe(200);
    for (let count = 0; count < 3; count += 1) expect(await ask(verifier, forgeSecret(token))).toBe(401);
    const wanting = await fetch(`${verifier.gatewayUrl}/verify?scope=delete`, {
      headers: { authorization: `Bearer ${token.plaintext}` },
    });
    expect(wanting.status).toBe(403);
  }
  await Promise.all(verifiers.map((verifier) => verifier.stop()));
  expect(await usageOf(url, token)).toEqual([
    { result: "Good", uses: 20, is_today: true },
    { result: "ScopeMissing", uses: 2, is_today: true },
    { result: "WrongSecret", uses: 6, is_today: true },
  ]);
});

test("verifiers that report many tokens at once, over and over, do not wait for each other in turn", async ({
  url,
}) => {
  await insertTokenRows(url, [{ prefix: "many", count: 200, ...KEPT.live }]);
  const tokens = await runAsSuperuser<{ id: string }>(url, "select id from apitoken.tokens where name like 'many-%'");
  const db = openDatabase({ url, role: "apitoken_verifier", actor: "test", maxConnections: 4 });
  onTestFinished(() => db.close());
  const reports = Array.from({ length: 4 }, () => reportTo(db));
  for (let round = 0; round < 10; round += 1) {
    for (const report of reports) {
      for (const { id } of [...tokens].sort(() => Math.random() - 0.5)) {
        report.note(goodAnswer(id), Date.now(), "10.0.0.1");
      }
    }
    await Promise.all(reports.map((report) => report.flush()));
  }
  await Promise.all(reports.map((report) => report.stop()));
  const [row] = await runAsSuperuser(
    url,
    "select sum(uses)::integer as uses, count(*)::integer as rows from apitoken.token_usage where token_id = any ($1)",
    [tokens.map(({ id }) => id)],
  );
  expect(row).toEqual({ uses: 4 * 10 * 200, rows: 200 });
});

/** Reports that are sent only when the test says so. */
const reportTo = (db: Database) =>
  createUseReports({
    db,
    log: createLogger("verifier", "error", { write: () => {} }),
    learningMs: 0,
    podNetworks: [],
    onAnomaly: () => {},
    nowMs: Date.now,
    everyMs: 600_000,
  });

/** The answer about a good token of which nothing but the id counts. */
function goodAnswer(id: string): Answer {
  const token = new KnownToken(aVerifiableToken(id, { expiresAt: new Date(8.64e15) }), 0);
  return { kind: "yes", token, scopes: [], isInGrace: false, atMs: 0 };
}

test("what cannot be reported is kept until the database is back", async ({ url }) => {
  const token = await issueByHand(url, keyring);
  const network = await startDatabaseProxy(url);
  onTestFinished(() => network.close());
  const db = openDatabase({ url: network.url, role: "apitoken_verifier", actor: "test", maxConnections: 1 });
  onTestFinished(() => db.close());
  const reports = reportTo(db);
  const answer = goodAnswer(token.id);
  reports.note(answer, Date.now(), "10.0.0.1");
  await network.setMode({ kind: "refuse" });
  await expect(reports.flush()).rejects.toThrow();
  reports.note(answer, Date.now(), "10.0.0.2");
  await network.setMode({ kind: "pass" });
  await reports.stop();
  expect(await usageOf(url, token)).toEqual([{ result: "Good", uses: 2, is_today: true }]);
  expect(
    await runAsSuperuser(url, "select host(address) as address from apitoken.token_uses where token_id = $1", [
      token.id,
    ]),
  ).toEqual([{ address: "10.0.0.2" }]);
});

test("an address that is none, which a client has made up, keeps no use from being reported", async ({ url }) => {
  const made = ["unknown", "fe80::1%eth0", "10.0.0.0/8", "'", "1".repeat(1_000)];
  const tokens = await Promise.all(made.map(() => issueByHand(url, keyring)));
  const dead = await issueByHand(url, keyring, "revoked_at = now() - interval '1 hour'");
  const verifier = await start(url);
  for (const [place, token] of tokens.entries()) expect(await ask(verifier, token.plaintext, made[place])).toBe(200);
  expect(await ask(verifier, dead.plaintext, "unknown")).toBe(401);
  await verifier.stop();
  const ids = [...tokens, dead].map(({ id }) => id);
  expect(
    await runAsSuperuser(url, "select distinct address from apitoken.token_uses where token_id = any ($1)", [ids]),
  ).toEqual([{ address: null }]);
  expect(await runAsSuperuser(url, "select from apitoken.token_uses where token_id = any ($1)", [ids])).toHaveLength(6);
  expect(await failuresOf(url, dead)).toEqual([{ reason: "Revoked", address: null }]);
});
