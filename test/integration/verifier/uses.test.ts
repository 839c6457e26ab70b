/*
 * What a verifier reports behind its answers: uses, refusals, and what each day's uses add up to.
 */
import { test as base, expect, onTestFinished } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { startStatementProxy } from "../../support/statement-proxy.ts";
import {
  forgeSecret,
  type HandMadeToken,
  issueByHand,
  startTestVerifier,
  type TestVerifier,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base.extend("url", { scope: "file" }, () => createTestDatabase());

const ask = async ({ gatewayUrl }: TestVerifier, plaintext: string): Promise<number> =>
  (await fetch(`${gatewayUrl}/verify`, { headers: { authorization: `Bearer ${plaintext}` } })).status;

async function start(url: string, settings: Readonly<Record<string, string>> = {}): Promise<TestVerifier> {
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
    expect(await failuresOf(url, token)).toEqual([{ reason: "WrongSecret", address: "127.0.0.1" }]);
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
    const statuses = await Promise.all(tokens.map((token) => ask(verifier, forgeSecret(token))));
    expect(new Set(statuses)).toEqual(new Set([401]));
  }
  expect(proxy.count).toBe(0);
  await verifier.stop();
  expect(proxy.count).toBeLessThanOrEqual(2); // the statement's text, and its values
  for (const token of tokens) expect(await failuresOf(url, token)).toHaveLength(1);
});
