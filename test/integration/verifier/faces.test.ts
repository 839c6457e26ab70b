/*
 * Every kind of token on every face of a running verifier: what gateways, backends, kube-apiserver and holders are told.
 */
import { test as base, describe, expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { encryptMetadata } from "../../../src/token/metadata-cipher.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import {
  blockByHand,
  changeByHand,
  type HandMadeToken,
  issueByHand,
  startTestVerifier,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("client", { scope: "file" }, ({ databaseUrl }) =>
    issueByHand(databaseUrl, keyring, "owner = 'backend', scopes = '{apitoken:introspect,apitoken:explain}'"),
  )
  .extend("verifier", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    await blockByHand(databaseUrl, "blocked");
    const verifier = await startTestVerifier({ url: databaseUrl, keyring });
    onCleanup(() => verifier.stop());
    await verifier.ready;
    return verifier;
  });

type Verifier = Awaited<ReturnType<typeof startTestVerifier>>;

const PAST = "expires_at = now() - interval '1 minute'";

/** What can be wrong with a token, and the reason that an operator is told; none if it is good. */
const CASES: readonly (readonly [what: string, changes: string | undefined, reason: string | undefined])[] = [
  ["good", undefined, undefined],
  ["in its overlap", "revoked_at = now() + interval '1 minute'", undefined],
  ["in its grace", `${PAST}, grace_seconds = 3600, grace_scopes = '{read}'`, undefined],
  ["expired", PAST, "Expired"],
  ["revoked", "revoked_at = now()", "Revoked"],
  ["revoked in its grace", `${PAST}, grace_seconds = 3600, revoked_at = now()`, "Revoked"],
  ["of a blocked owner", "owner = 'blocked'", "OwnerBlocked"],
];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });

const verify = ({ gatewayUrl }: Verifier, token: string, path = "/verify") =>
  fetch(gatewayUrl + path, { headers: bearer(token) });

const post = (url: string, client: HandMadeToken, form: Record<string, string>) =>
  fetch(url, { method: "POST", headers: bearer(client.plaintext), body: new URLSearchParams(form) });

const introspect = async ({ introspectionUrl }: Verifier, client: HandMadeToken, form: Record<string, string>) =>
  (await post(`${introspectionUrl}/introspect`, client, form)).json() as Promise<Record<string, unknown>>;

const reviewToken = async (verifier: Verifier, client: HandMadeToken, token: string, version = "v1") => {
  const review = { apiVersion: `authentication.k8s.io/${version}`, kind: "TokenReview", spec: { token } };
  const response = await fetch(`${verifier.introspectionUrl}/tokenreview`, {
    method: "POST",
    headers: { ...bearer(client.plaintext), "content-type": "application/json" },
    body: JSON.stringify(review),
  });
  return (await response.json()) as { apiVersion: string; status: Record<string, unknown> };
};

describe.for(CASES)("a token that is %s", ([, changes, reason]) => {
  test("gets the same answer on every face", async ({ databaseUrl, verifier, client }) => {
    const token = await issueByHand(databaseUrl, keyring, changes);
    const isGood = reason === undefined;
    expect((await verify(verifier, token.plaintext)).status).toBe(isGood ? 200 : 401);
    expect(await introspect(verifier, client, { token: token.plaintext })).toMatchObject({ active: isGood });
    expect((await reviewToken(verifier, client, token.plaintext)).status.authenticated).toBe(isGood);
    expect((await fetch(`${verifier.gatewayUrl}/token`, { headers: bearer(token.plaintext) })).status).toBe(
      isGood ? 200 : 401,
    );
    const explanation = await post(`${verifier.introspectionUrl}/explain`, client, { token: token.plaintext });
    expect(await explanation.json()).toMatchObject(
      isGood ? { answer: "yes" } : { answer: "no", reason, token: { id: token.id } },
    );
  });
});

test("a good token is described in headers, and every one of them is always there", async ({
  databaseUrl,
  verifier,
}) => {
  const { id, plaintext } = await issueByHand(databaseUrl, keyring, "scopes = '{}'");
  const { status, headers } = await verify(verifier, plaintext);
  expect(status).toBe(200);
  expect(Object.fromEntries([...headers].filter(([name]) => name.startsWith("x-auth-")))).toEqual({
    "x-auth-owner": "alice",
    "x-auth-scopes": "",
    "x-auth-token-id": id,
    "x-auth-namespace": "shop",
    "x-auth-name": "orders",
    "x-auth-expires-at": expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    "x-auth-token-state": "live",
  });
  expect(headers.get("cache-control")).toBe("private, max-age=0");
  expect(headers.get("vary")).toBe("Authorization");
});

test("the wanted scopes must be there; in the grace they are those of the policy", async ({
  databaseUrl,
  verifier,
}) => {
  const good = await issueByHand(databaseUrl, keyring);
  const inGrace = await issueByHand(databaseUrl, keyring, `${PAST}, grace_seconds = 3600, grace_scopes = '{read}'`);
  for (const [token, scope, status] of [
    [good, "write", 200],
    [good, "delete", 403],
    [inGrace, "read", 200],
    [inGrace, "write", 403],
  ] as const) {
    const response = await verify(verifier, token.plaintext, `/verify/scope/${scope}/-/orders?scope=read`);
    expect(response.status, `${scope} for ${token.id}`).toBe(status);
  }
  const refused = await verify(verifier, good.plaintext, "/verify?scope=read+delete");
  expect(refused.headers.get("www-authenticate")).toBe(
    'Bearer realm="apitoken", error="insufficient_scope", scope="read delete"',
  );
});

test("a token for a network is refused from elsewhere, and where the address is not known", async ({
  databaseUrl,
  verifier,
  client,
}) => {
  const away = await issueByHand(databaseUrl, keyring, "allowed_cidrs = '{10.0.0.0/8}'");
  const here = await issueByHand(databaseUrl, keyring, "allowed_cidrs = '{127.0.0.0/8,::1/128}'");
  expect((await verify(verifier, away.plaintext)).status).toBe(401);
  expect((await verify(verifier, here.plaintext)).status).toBe(200);
  expect(await introspect(verifier, client, { token: away.plaintext })).toEqual({ active: false });
  expect(await introspect(verifier, client, { token: away.plaintext, client_address: "10.1.2.3" })).toMatchObject({
    active: true,
  });
});

test("all refusals are the same, byte for byte, on every face", async ({ databaseUrl, verifier, client }) => {
  const good = await issueByHand(databaseUrl, keyring);
  const away = await issueByHand(databaseUrl, keyring, "allowed_cidrs = '{10.0.0.0/8}'");
  const dead = await Promise.all(
    CASES.filter(([, , reason]) => reason !== undefined).map(([, changes]) =>
      issueByHand(databaseUrl, keyring, changes),
    ),
  );
  const other = createToken();
  const wrongSecret = other.plaintext.replace(other.id, good.id);
  const strings = [
    ...dead.map(({ plaintext }) => plaintext),
    away.plaintext,
    other.plaintext,
    wrongSecret,
    "nonsense",
    `${good.plaintext.slice(0, -1)}x`,
  ];
  const shown = async (response: Response) =>
    JSON.stringify([response.status, [...response.headers].filter(([name]) => name !== "date"), await response.text()]);
  const refusals = async (ask: (token: string) => Promise<Response>) =>
    new Set(await Promise.all(strings.map(async (token) => shown(await ask(token)))));
  const url = verifier.introspectionUrl;
  expect(await refusals((token) => verify(verifier, token))).toHaveLength(1);
  expect(await refusals((token) => post(`${url}/introspect`, client, { token }))).toHaveLength(1);
  expect(
    await refusals((token) => post(`${url}/introspect`, { id: "", plaintext: token }, { token: "x" })),
  ).toHaveLength(1);
  expect(await refusals((token) => fetch(`${verifier.gatewayUrl}/token`, { headers: bearer(token) }))).toHaveLength(1);
  const reviews = strings.map(async (token) => JSON.stringify(await reviewToken(verifier, client, token)));
  expect(new Set(await Promise.all(reviews))).toHaveLength(1);
});

test("every method is answered alike, before the body is read", async ({ databaseUrl, verifier }) => {
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  for (const method of ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]) {
    const response = await fetch(`${verifier.gatewayUrl}/verify`, { method, headers: bearer(plaintext) });
    expect(response.status, method).toBe(200);
  }
});

test("a request with 20 kB of cookies is not refused", async ({ databaseUrl, verifier }) => {
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  const headers = { ...bearer(plaintext), cookie: `a=${"x".repeat(20_000)}` };
  expect((await fetch(`${verifier.gatewayUrl}/verify`, { headers })).status).toBe(200);
});

test("nginx gets a status that it does not know in a header", async ({ verifier }) => {
  const response = await fetch(`${verifier.gatewayUrl}/verify/nginx/-/x`, {
    headers: { authorization: "Bearer a, b" },
  });
  expect(response.status).toBe(403);
  expect(response.headers.get("x-error-status")).toBe("400");
});

test("in shadow mode everything passes, and what would have been refused is counted", async ({ verifier }) => {
  const response = await verify(verifier, createToken().plaintext, "/shadow/-/x");
  expect(response.status).toBe(200);
  // What is missing could be the client's own.
  expect(Object.fromEntries([...response.headers].filter(([name]) => name.startsWith("x-auth-")))).toEqual({
    "x-auth-owner": "",
    "x-auth-scopes": "",
    "x-auth-token-id": "",
    "x-auth-namespace": "",
    "x-auth-name": "",
    "x-auth-expires-at": "",
    "x-auth-token-state": "",
  });
  const metrics = await (await fetch(`${verifier.httpUrl}/metrics`)).text();
  expect(metrics).toMatch(/apitoken_verifier_answers_total\{face="shadow",result="Unknown"\} 1/);
});

test("introspection says what RFC 7662 has names for", async ({ databaseUrl, verifier, client }) => {
  const { id, plaintext } = await issueByHand(databaseUrl, keyring);
  const answer = await introspect(verifier, client, { token: plaintext });
  expect(answer).toEqual({
    active: true,
    scope: "read write",
    client_id: "shop/orders",
    sub: "alice",
    token_type: "Bearer",
    exp: expect.any(Number),
    iat: expect.any(Number),
    nbf: expect.any(Number),
    jti: id,
  });
  for (const time of ["exp", "iat", "nbf"]) expect(Number.isInteger(answer[time]), time).toBe(true);
});

test("a token's metadata is told to those who may introspect, and to nobody else", async ({
  databaseUrl,
  verifier,
  client,
}) => {
  const token = await issueByHand(databaseUrl, keyring);
  const [key] = keyring.encryption;
  const sealed = encryptMetadata({ project: "apollo" }, token.id, key);
  await changeByHand(
    databaseUrl,
    token,
    `metadata = '\\x${sealed?.bytes.toString("hex")}', metadata_key_id = '${sealed?.keyId}'`,
  );
  await eventually(async () =>
    expect(await introspect(verifier, client, { token: token.plaintext })).toMatchObject({
      active: true,
      metadata: { project: "apollo" },
    }),
  );
  const form = { token: token.plaintext };
  const others = [
    await verify(verifier, token.plaintext),
    await fetch(`${verifier.gatewayUrl}/token`, { headers: bearer(token.plaintext) }),
    await post(`${verifier.introspectionUrl}/introspect`, token, form),
    await post(`${verifier.introspectionUrl}/explain`, client, form),
  ];
  const told = others.map(async (response) => JSON.stringify([[...response.headers], await response.text()]));
  expect((await Promise.all(told)).join("\n")).not.toContain("apollo");
});

test("kube-apiserver gets user, group and scopes, in the version that it asked in", async ({
  databaseUrl,
  verifier,
  client,
}) => {
  const { id, plaintext } = await issueByHand(databaseUrl, keyring, "owner = 'system:masters'");
  for (const version of ["v1", "v1beta1"]) {
    expect(await reviewToken(verifier, client, plaintext, version)).toEqual({
      apiVersion: `authentication.k8s.io/${version}`,
      kind: "TokenReview",
      status: {
        authenticated: true,
        user: {
          username: "apitoken:system:masters",
          uid: id,
          groups: ["apitoken:shop"],
          extra: { "apitoken.dev/scopes": ["read", "write"], "apitoken.dev/name": ["shop/orders"] },
        },
      },
    });
  }
});

test("whoever asks about other people's tokens needs the scope for it", async ({ databaseUrl, verifier, client }) => {
  const stranger = await issueByHand(databaseUrl, keyring);
  const url = `${verifier.introspectionUrl}/introspect`;
  const body = new URLSearchParams({ token: stranger.plaintext });
  expect((await post(url, stranger, { token: "x" })).status).toBe(401);
  expect((await fetch(url, { method: "POST", body })).status).toBe(401);
  const basic = Buffer.from(`backend:${client.plaintext}`).toString("base64");
  const response = await fetch(url, { method: "POST", headers: { authorization: `Basic ${basic}` }, body });
  expect(await response.json()).toMatchObject({ active: true, sub: "alice" });
});

test("the right to introspect and the right to learn reasons are two, and nobody has them without a token", async ({
  databaseUrl,
  verifier,
}) => {
  const { plaintext } = await issueByHand(databaseUrl, keyring);
  const nobody = await issueByHand(databaseUrl, keyring);
  const introspector = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:introspect}'");
  const operator = await issueByHand(databaseUrl, keyring, "scopes = '{apitoken:explain}'");
  const form = new URLSearchParams({ token: plaintext });
  const review = JSON.stringify({
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenReview",
    spec: { token: plaintext },
  });
  const statuses = async (headers: Record<string, string>) => {
    const ask = async (path: string, body: string | URLSearchParams) =>
      (await fetch(verifier.introspectionUrl + path, { method: "POST", headers, body })).status;
    return {
      introspect: await ask("/introspect", form),
      tokenreview: await ask("/tokenreview", review),
      explain: await ask("/explain", form),
    };
  };
  const NONE = { introspect: 401, tokenreview: 401, explain: 401 };
  expect(await statuses({})).toEqual(NONE);
  expect(await statuses(bearer(nobody.plaintext))).toEqual(NONE);
  expect(await statuses(bearer(introspector.plaintext))).toEqual({ introspect: 200, tokenreview: 200, explain: 401 });
  expect(await statuses(bearer(operator.plaintext))).toEqual({ introspect: 401, tokenreview: 401, explain: 200 });
});

test("holders end their tokens, and scanners those that they find, whatever they show", async ({
  databaseUrl,
  verifier,
}) => {
  const [mine, found] = await Promise.all([issueByHand(databaseUrl, keyring), issueByHand(databaseUrl, keyring)]);
  const revoke = (token: string) =>
    fetch(`${verifier.introspectionUrl}/revoke`, { method: "POST", body: new URLSearchParams({ token }) });
  for (const token of [mine.plaintext, mine.plaintext, createToken().plaintext, "nonsense"]) {
    expect((await revoke(token)).status).toBe(200); // RFC 7009, 2.2
  }
  expect((await verify(verifier, mine.plaintext)).status).toBe(401);
  const leaks = await fetch(`${verifier.introspectionUrl}/leaks`, {
    method: "POST",
    body: JSON.stringify({ tokens: ["nonsense", found.plaintext] }),
  });
  expect(leaks.status).toBe(202);
  expect((await verify(verifier, found.plaintext)).status).toBe(401);
});

test("GitLab asks what it may hand over, and the tokens that it then hands over end", async ({
  databaseUrl,
  verifier,
}) => {
  const types = await fetch(`${verifier.introspectionUrl}/v1/revocable_token_types`);
  expect(types.headers.get("content-type")).toBe("application/json");
  const {
    types: [type],
  } = (await types.json()) as { types: string[] };
  const handOver = (body: unknown) =>
    fetch(`${verifier.introspectionUrl}/v1/revoke_tokens`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: "a token of GitLab's own" },
      body: JSON.stringify(body),
    });
  const found = await issueByHand(databaseUrl, keyring);
  const location = "https://gitlab.example.com/shop/front/-/blob/0123abcd/.env";
  // GitLab does not send again what was answered with 400, so it must not end a part of it.
  expect(
    (
      await handOver([
        { type, token: found.plaintext },
        { type: "gitleaks_rule_id_aws", token: "x" },
      ])
    ).status,
  ).toBe(400);
  expect((await verify(verifier, found.plaintext)).status).toBe(200);
  const findings = [found.plaintext, found.plaintext, "nonsense"].map((token) => ({ type, token, location }));
  expect((await handOver(findings)).status).toBe(204);
  expect((await verify(verifier, found.plaintext)).status).toBe(401);
  expect((await handOver([])).status).toBe(204);
});
