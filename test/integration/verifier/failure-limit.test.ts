import { test as base, expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { issueByHand, startTestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("verifier", async ({ databaseUrl }, { onCleanup }) => {
    const verifier = await startTestVerifier({
      url: databaseUrl,
      keyring,
      settings: { APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.0/8", APITOKEN_VERIFIER_FAILURES_PER_MINUTE: "5" },
    });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    return verifier;
  });

const show = (url: string, token: string, client: string) =>
  fetch(url, { headers: { authorization: `Bearer ${token}`, "x-forwarded-for": client } });

const guess = () => createToken().plaintext;

test("a client that tries tokens is asked to wait; good tokens work all the same, and so do other clients", async ({
  databaseUrl,
  verifier: { gatewayUrl, httpUrl },
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  const dead = await issueByHand(databaseUrl, keyring, "revoked_at = now()");
  const verify = `${gatewayUrl}/verify`;
  for (let count = 0; count < 5; count += 1) expect((await show(verify, guess(), "203.0.113.9")).status).toBe(401);

  const limited = await show(verify, guess(), "203.0.113.9");
  expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "60"]);
  expect((await show(verify, dead.plaintext, "203.0.113.9")).status).toBe(429);
  expect((await show(verify, token.plaintext, "203.0.113.9")).status).toBe(200);
  expect((await show(`${verify}?scope=delete`, token.plaintext, "203.0.113.9")).status).toBe(403);
  // A token that was issued meanwhile is good from there, too.
  expect((await show(verify, (await issueByHand(databaseUrl, keyring)).plaintext, "203.0.113.9")).status).toBe(200);

  expect((await show(verify, guess(), "203.0.113.10")).status).toBe(401);
  const forNginx = await show(`${gatewayUrl}/verify/nginx/-/`, guess(), "203.0.113.9");
  expect([forNginx.status, forNginx.headers.get("x-error-status")]).toEqual([403, "429"]);
  expect((await show(`${gatewayUrl}/token`, guess(), "203.0.113.9")).status).toBe(429);

  const metrics = await (await fetch(`${httpUrl}/metrics`)).text();
  expect(metrics).toContain("\napitoken_verifier_clients_over_limit 1\n");
  expect(metrics).toContain('apitoken_verifier_answers_total{face="verify",result="TooManyFailures"} 3\n');
});

test("a backend that tries tokens to authenticate with is asked to wait", async ({ databaseUrl, verifier }) => {
  const caller = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:introspect}'");
  const url = `${verifier.introspectionUrl}/introspect`;
  const ask = (token: string) =>
    fetch(url, {
      method: "POST",
      headers: { authorization: `Bearer ${token}`, "x-forwarded-for": "203.0.113.20" },
      body: new URLSearchParams({ token: guess() }),
    });
  for (let count = 0; count < 5; count += 1) expect((await ask(guess())).status).toBe(401);
  expect((await ask(guess())).status).toBe(429);
  // The tokens that it asks about are not its own failures.
  for (let count = 0; count < 10; count += 1) expect((await ask(caller.plaintext)).status).toBe(200);
});

test("without trusted proxies nobody is limited, because all clients would share their gateway's address", async ({
  databaseUrl,
}) => {
  const settings = { APITOKEN_VERIFIER_FAILURES_PER_MINUTE: "5" };
  const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings });
  try {
    await verifier.ready;
    for (let count = 0; count < 20; count += 1) {
      expect((await show(`${verifier.gatewayUrl}/verify`, guess(), "203.0.113.30")).status).toBe(401);
    }
  } finally {
    await verifier.stop();
  }
});
