/*
 * What a verifier is shown must stay with whoever has shown it, whatever they do wrong and whatever fails.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test as base, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createBreakGlassToken } from "../../../src/verifier/break-glass/tokens.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { startDatabaseProxy } from "../../support/proxy.ts";
import { openCheckClient, prefixed } from "../../support/verifier/check-client.ts";
import { issueByHand, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();
const glass = createBreakGlassToken({ name: "on-call", owner: "operators", scopes: [] }, 3_600_000);

const test = base
  .extend("databaseUrl", () => createTestDatabase())
  /** The network between the verifier and its database. */
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  // biome-ignore lint/correctness/noEmptyPattern: vitest reads a fixture's dependencies from its parameter's pattern
  .extend("breakGlassFile", async ({}, { onCleanup }) => {
    const folder = mkdtempSync(join(tmpdir(), "apitoken-secrecy-"));
    onCleanup(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, "tokens.json");
    writeFileSync(file, JSON.stringify({ tokens: [glass.entry] }));
    return file;
  })
  .extend("verifier", async ({ network, breakGlassFile }, { onCleanup }) => {
    const settings = {
      APITOKEN_VERIFIER_BREAK_GLASS_FILE: breakGlassFile,
      // So that X-Forwarded-For counts, whatever it holds.
      APITOKEN_VERIFIER_TRUSTED_PROXIES: "127.0.0.0/8",
      // So that no question is left without a look at its token.
      APITOKEN_VERIFIER_FAILURES_PER_MINUTE: "0",
    };
    const verifier = await startTestVerifier({ url: network.url, keyring, settings });
    let stopping: Promise<void> | undefined;
    const stop = () => {
      stopping ??= verifier.stop();
      return stopping;
    };
    onCleanup(stop);
    await verifier.ready;
    return { ...verifier, stop };
  });

type Asked = readonly [path: string, init: RequestInit];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (token: string) => ({ authorization: `Basic ${btoa(`${token}:${token}`)}` });

/** A token wherever a gateway, or its client, could put it. */
const askAsGateway = (token: string): Asked[] => [
  ...["/verify", "/verify/scope/none/-/x", "/verify/nginx/-/x", "/shadow/-/x", "/token"].map(
    (path): Asked => [path, { headers: bearer(token) }],
  ),
  ["/verify", { headers: basic(token) }],
  ["/verify", { headers: { authorization: token } }],
  ["/verify", { headers: { authorization: `Bearer ${token}, Bearer ${token}` } }],
  ["/verify", { headers: { cookie: `token=${token}`, "x-api-key": token, "x-forwarded-for": token } }],
  ["/verify", { headers: { ...bearer(token), "x-forwarded-for": token } }],
  ["/verify", { method: "POST", body: new URLSearchParams({ access_token: token }) }],
  [`/verify?access_token=${token}&token=${token}`, {}],
  [`/verify/-/${token}?token=${token}`, {}],
  [`/verify/${token}`, {}],
  [`/token/${token}`, {}],
  [`/${token}`, {}],
];

/** The same over gRPC, with a token in the path as well. */
async function askOverGrpc({ grpcPort }: TestVerifier, token: string): Promise<string[]> {
  const client = openCheckClient(`http://127.0.0.1:${grpcPort}`);
  const headers = ["x-api-key", token, "cookie", `token=${token}`, "x-forwarded-for", token];
  const authorizations = [`Bearer ${token}`, `Basic ${btoa(`${token}:${token}`)}`, token, `Bearer ${token}, Bearer x`];
  try {
    const outcomes = authorizations.map((value) =>
      client.check({ headers: ["authorization", value, ...headers], context: { scope: "none" }, peer: token }),
    );
    const stray = client.call(`/${token}`, prefixed(Buffer.from(token)));
    return [...(await Promise.all(outcomes)), await stray].map((outcome) => JSON.stringify(outcome));
  } finally {
    client.close();
  }
}

/** A token wherever a backend, or somebody who confuses fields, could put it. */
const askAsBackend = (token: string, client: string): Asked[] => [
  ...["/introspect", "/explain"].flatMap((path): Asked[] => [
    [path, { method: "POST", headers: bearer(client), body: new URLSearchParams({ token }) }],
    [path, { method: "POST", headers: bearer(token), body: new URLSearchParams({ token }) }],
    [path, { method: "POST", headers: basic(token), body: new URLSearchParams({ token }) }],
    [path, { method: "POST", body: new URLSearchParams({ token, client_id: token, client_secret: token }) }],
    [path, { method: "POST", headers: bearer(client), body: new URLSearchParams(`token=${token}&token=${token}`) }],
    [path, { method: "POST", headers: bearer(client), body: JSON.stringify({ token }) }],
    [`${path}?token=${token}`, { method: "POST", headers: bearer(client), body: new URLSearchParams({ [token]: "" }) }],
    [`${path}/${token}`, { headers: bearer(token) }],
  ]),
  [
    "/introspect",
    {
      method: "POST",
      headers: bearer(client),
      body: new URLSearchParams({ token, token_type_hint: token, client_address: token }),
    },
  ],
  ["/tokenreview", { method: "POST", headers: bearer(client), body: review(token) }],
  ["/tokenreview", { method: "POST", headers: bearer(token), body: review(token) }],
  ["/tokenreview", { method: "POST", headers: bearer(client), body: review(token).slice(1) }],
  ["/leaks", { method: "POST", body: `["${token}"` }],
  ["/leaks", { method: "POST", body: JSON.stringify({ token }) }],
  ["/v1/revoke_tokens", { method: "POST", body: JSON.stringify([{ type: token, token, location: token }]) }],
  ["/revoke", { method: "POST", body: new URLSearchParams(`token=${token}&token=${token}`) }],
];

const review = (token: string) =>
  JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } });

const GITLAB_TYPE = "gitleaks_rule_id_apitoken_operator_token";

const end = (token: string): Asked[] => [
  ["/revoke", { method: "POST", body: new URLSearchParams({ token, token_type_hint: token }) }],
  ["/leaks", { method: "POST", body: JSON.stringify({ tokens: [token] }) }],
  ["/v1/revoke_tokens", { method: "POST", body: JSON.stringify([{ type: GITLAB_TYPE, token, location: token }]) }],
];

/** Asks, and returns everything that comes back. */
const collect = async (url: string, asked: readonly Asked[]): Promise<string[]> =>
  Promise.all(
    asked.map(async ([path, init]) => {
      const response = await fetch(url + path, init);
      return JSON.stringify([response.status, [...response.headers], await response.text()]);
    }),
  );

async function askEverywhere(verifier: TestVerifier, tokens: readonly string[], client: string): Promise<string[]> {
  const answers: string[] = [];
  for (const token of tokens) {
    answers.push(...(await collect(verifier.gatewayUrl, askAsGateway(token))));
    answers.push(...(await askOverGrpc(verifier, token)));
    answers.push(...(await collect(verifier.introspectionUrl, askAsBackend(token, client))));
  }
  return answers;
}

/** Everything that must not appear, as the ways in which it could be spelled. */
async function listSecrets(databaseUrl: string, tokens: readonly string[]): Promise<string[]> {
  const spell = (bytes: Buffer) => [bytes.toString("hex"), bytes.toString("base64"), bytes.toString("base64url")];
  const keys = [...keyring.peppers, ...keyring.encryption, keyring.pseudonym].map(({ secret }) => secret.export());
  const rows = await runAsSuperuser<{ hash: Buffer }>(databaseUrl, "select hash from apitoken.tokens");
  return [
    ...tokens.flatMap((token) => [token, token.slice(16, 16 + 43), ...spell(Buffer.from(token))]),
    ...[...keys, ...rows.map(({ hash }) => hash), Buffer.from(glass.entry.sha256, "hex")].flatMap(spell),
  ];
}

function expectNothing(text: string, place: string, secrets: readonly string[]): void {
  expect(text.length, `${place} is empty`).toBeGreaterThan(10);
  for (const [index, secret] of secrets.entries()) expect(text.includes(secret), `${place}, ${index}`).toBe(false);
}

test("no token, hash or key is in an answer, a metric or a log, whatever is asked and whatever fails", async ({
  databaseUrl,
  network,
  verifier,
}) => {
  const client = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:introspect,apitoken:explain}'");
  const [good, dead, expired] = await Promise.all(
    [undefined, "revoked_at = now()", "expires_at = now() - interval '1 minute'"].map((changes) =>
      issueByHand(databaseUrl, keyring, changes),
    ),
  );
  const known = [good, dead, expired].flatMap((token) => (token === undefined ? [] : [token.plaintext]));
  const [live = "", ...others] = known;
  const stranger = createToken();
  const tokens = [live, ...others, stranger.plaintext, stranger.plaintext.replace(stranger.id, good?.id ?? "")];
  tokens.push(glass.plaintext, `${live.slice(0, -1)}~`, live.slice(0, 59));
  const secrets = await listSecrets(databaseUrl, [...tokens.slice(0, -1), client.plaintext]);
  const ask = () => askEverywhere(verifier, tokens, client.plaintext);

  const answers = await ask();
  expect(answers.some((answer) => answer.includes('["x-auth-owner","alice"]'))).toBe(true);
  for (const mode of ["refuse", "stall"] as const) {
    await network.setMode({ kind: mode });
    answers.push(...(await ask()), ...(await collect(verifier.introspectionUrl, end(live))));
  }
  await network.setMode({ kind: "pass" });
  network.reset();
  writeFileSync(verifier.keyringFile, `{"peppers":"${live}"}`);
  await eventually(() => expect(verifier.log.join()).toContain("the keyring cannot be read"));
  answers.push(...(await ask()), ...(await collect(verifier.introspectionUrl, end(live))));
  const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
  await verifier.stop(); // so that uses and refusals have been reported, whatever was given for an address
  expect(await runAsSuperuser(databaseUrl, "select token_id from apitoken.token_uses")).not.toEqual([]);

  expectNothing(answers.join("\n"), "an answer", secrets);
  expectNothing(metrics, "the metrics", secrets);
  expect(verifier.log.join()).toContain("a break-glass token was used");
  expectNothing(verifier.log.join("\n"), "the log", secrets);
  const tables = await runAsSuperuser<{ name: string }>(
    databaseUrl,
    `select format('%I.%I', schemaname, tablename) as name from pg_tables
     where schemaname not in ('pg_catalog', 'information_schema') and tablename <> 'tokens'`,
  );
  const rows = tables.map(({ name }) => runAsSuperuser(databaseUrl, `select t::text from ${name} t`));
  expectNothing(JSON.stringify(await Promise.all(rows)), "the database", secrets);
});
