/*
 * What RFC 7662, 7009, 6750, 9701 and 8414 demand of a server, one case for each sentence with a MUST that applies to this one.
 * What they demand of clients, of refresh tokens and of TLS is left out.
 */
import { test as base, describe, expect } from "vitest";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createToken } from "../../../src/token/token-string.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createSigningKeys, openJwt, readKeys } from "../../support/jwt.ts";
import { type HandMadeToken, issueByHand, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();
const ISSUER = "https://tokens.example.com/auth";
const JWT_TYPE = "application/token-introspection+jwt";

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("client", { scope: "file" }, ({ databaseUrl }) =>
    issueByHand(databaseUrl, keyring, "name = 'backend', owner = 'backend', scopes = '{apitoken:introspect}'"),
  )
  .extend("good", ({ databaseUrl }) => issueByHand(databaseUrl, keyring))
  .extend("verifier", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const { settings, remove } = createSigningKeys({ issuer: `${ISSUER}/`, count: 2 });
    const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings });
    onCleanup(async () => {
      await verifier.stop();
      remove();
    });
    await verifier.ready;
    return verifier;
  });

interface Call {
  readonly path?: string;
  readonly client?: HandMadeToken | undefined;
  readonly form?: Readonly<Record<string, string>> | string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly method?: string;
}

/** Calls an endpoint of the introspection port, by default `/introspect`. */
function call({ introspectionUrl }: TestVerifier, { path = "/introspect", client, form = {}, headers, method }: Call) {
  const authorization = client && `Basic ${Buffer.from(`backend:${client.plaintext}`).toString("base64")}`;
  return fetch(introspectionUrl + path, {
    method: method ?? "POST",
    headers: { ...(authorization && { authorization }), ...headers },
    ...(method === "GET" ? {} : { body: new URLSearchParams(form) }),
  });
}

const verify = ({ gatewayUrl }: TestVerifier, authorization?: string, path = "/verify") =>
  fetch(gatewayUrl + path, { headers: authorization === undefined ? {} : { authorization } });

/** Tokens that are not active, each for another reason. */
const INACTIVE = {
  unknown: undefined,
  expired: "expires_at = now() - interval '1 minute'",
  revoked: "revoked_at = now()",
  "not for the caller to use from where its client is": "allowed_cidrs = '{10.0.0.0/8}'",
} as const;

async function issueInactive(databaseUrl: string): Promise<HandMadeToken[]> {
  const tokens = Object.values(INACTIVE).map((changes) =>
    changes === undefined ? createToken() : issueByHand(databaseUrl, keyring, changes),
  );
  return Promise.all(tokens);
}

describe("RFC 7662, introspection", () => {
  test("2.1: the token is taken from a form, whatever hint about its type comes with it", async ({
    verifier,
    client,
    good,
  }) => {
    for (const hint of ["access_token", "refresh_token", "anything"]) {
      const form = { token: good.plaintext, token_type_hint: hint };
      expect(await (await call(verifier, { client, form })).json()).toMatchObject({ active: true });
    }
    const json = await fetch(`${verifier.introspectionUrl}/introspect`, {
      method: "POST",
      headers: { authorization: `Bearer ${client.plaintext}`, "content-type": "application/json" },
      body: JSON.stringify({ token: good.plaintext }),
    });
    expect(json.status).toBe(415);
  });

  test("2.1: whoever asks must be authorized", async ({ verifier, good }) => {
    const form = { token: good.plaintext };
    for (const client of [undefined, good, createToken()]) {
      const response = await call(verifier, { client, form });
      expect(response.status).toBe(401);
      expect(await response.json()).not.toHaveProperty("active");
    }
  });

  test("2.2: the answer is a JSON object whose member active is a boolean", async ({ verifier, client, good }) => {
    const response = await call(verifier, { client, form: { token: good.plaintext } });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe("application/json");
    expect(await response.json()).toHaveProperty("active", true);
  });

  test("2.2: a token that is not active is active: false, and nothing else", async ({
    databaseUrl,
    verifier,
    client,
  }) => {
    for (const { plaintext } of await issueInactive(databaseUrl)) {
      const response = await call(verifier, { client, form: { token: plaintext } });
      expect(response.status).toBe(200);
      expect(await response.json()).toEqual({ active: false });
    }
  });

  test("2.3: wrong credentials of a client get 401 and an error of RFC 6749, 5.2", async ({ verifier, good }) => {
    const response = await call(verifier, { client: createToken(), form: { token: good.plaintext } });
    expect(response.status).toBe(401);
    expect(response.headers.get("www-authenticate")).toContain("Basic");
    expect(await response.json()).toMatchObject({ error: "invalid_client" });
  });

  test("2.3: a query about an invalid token is not an error", async ({ verifier, client }) => {
    const response = await call(verifier, { client, form: { token: "nonsense" } });
    expect([response.status, await response.json()]).toEqual([200, { active: false }]);
  });

  test("4: expiry, revocation and the networks of a token are checked at the time of the call", async ({
    databaseUrl,
    verifier,
    client,
  }) => {
    const { plaintext } = await issueByHand(databaseUrl, keyring, "expires_at = now() + interval '1 second'");
    const ask = async () => (await call(verifier, { client, form: { token: plaintext } })).json();
    expect(await ask()).toMatchObject({ active: true });
    await eventually(async () => expect(await ask()).toEqual({ active: false }));
  });
});

describe("RFC 7009, revocation", () => {
  const revoke = (verifier: TestVerifier, form: Call["form"]) => call(verifier, { path: "/revoke", form: form ?? {} });

  test("2.1: a token without which there is nothing to revoke is an invalid request", async ({ verifier, good }) => {
    for (const form of ["", "token=", `token=${good.plaintext}&token=${good.plaintext}`]) {
      const response = await revoke(verifier, form);
      expect(response.status).toBe(400);
      expect(await response.json()).toMatchObject({ error: "invalid_request" });
    }
    expect((await verify(verifier, `Bearer ${good.plaintext}`)).status).toBe(200);
  });

  test("2.1: a wrong hint about the token's type does not keep it from being revoked", async ({ verifier, good }) => {
    expect((await revoke(verifier, { token: good.plaintext, token_type_hint: "refresh_token" })).status).toBe(200);
    expect((await verify(verifier, `Bearer ${good.plaintext}`)).status).toBe(401);
  });

  test("2: the token cannot be used from the answer on", async ({ verifier, client, good }) => {
    expect((await verify(verifier, `Bearer ${good.plaintext}`)).status).toBe(200);
    expect((await revoke(verifier, { token: good.plaintext })).status).toBe(200);
    expect((await verify(verifier, `Bearer ${good.plaintext}`)).status).toBe(401);
    expect(await (await call(verifier, { client, form: { token: good.plaintext } })).json()).toEqual({ active: false });
  });

  test("2.2: an invalid token is answered with 200 as well", async ({ databaseUrl, verifier }) => {
    for (const { plaintext } of await issueInactive(databaseUrl)) {
      expect((await revoke(verifier, { token: plaintext })).status).toBe(200);
    }
  });
});

describe("RFC 6750, bearer tokens", () => {
  test("2.1: the header Authorization is understood, and its scheme in upper and lower case", async ({
    verifier,
    good,
  }) => {
    for (const scheme of ["Bearer", "bearer", "BEARER"]) {
      expect((await verify(verifier, `${scheme} ${good.plaintext}`)).status).toBe(200);
    }
  });

  test("2: a token in the query or in a form is not taken instead of the header's", async ({ verifier, good }) => {
    expect((await verify(verifier, undefined, `/verify?access_token=${good.plaintext}`)).status).toBe(401);
    const body = new URLSearchParams({ access_token: good.plaintext });
    expect((await fetch(`${verifier.gatewayUrl}/verify`, { method: "POST", body })).status).toBe(401);
  });

  test("3: every refusal has a challenge with the scheme Bearer and at least one parameter", async ({
    databaseUrl,
    verifier,
    good,
  }) => {
    const [dead] = await issueInactive(databaseUrl);
    for (const [authorization, path] of [
      [undefined, "/verify"],
      [`Bearer ${dead?.plaintext}`, "/verify"],
      ["Bearer a, b", "/verify"],
      [`Bearer ${good.plaintext}`, "/verify?scope=delete"],
      [undefined, "/token"],
    ] as const) {
      const challenge = (await verify(verifier, authorization, path)).headers.get("www-authenticate");
      expect(challenge, path).toMatch(/^Bearer [a-z]+="/);
    }
  });

  test("3: parameters come once, in the characters that are allowed, whatever scopes are wanted", async ({
    verifier,
    good,
  }) => {
    const path = `/verify/scope/${encodeURIComponent('a"b\\cé')}/-/`;
    const challenge = (await verify(verifier, `Bearer ${good.plaintext}`, path)).headers.get("www-authenticate") ?? "";
    const parameters = [...challenge.matchAll(/([a-z_]+)="([^"]*)"/g)];
    const names = parameters.map(([, name]) => name);
    expect(names).toEqual(["realm", "error", "scope"]);
    for (const [, , value] of parameters) expect(value).toMatch(/^[\x20-\x21\x23-\x5b\x5d-\x7e]*$/);
    expect(challenge.replaceAll(/[a-z_]+="[^"]*"/g, "")).toBe("Bearer , , ");
  });

  test("3.1: the error tells a missing token, a faulty request, a bad token and a missing scope apart", async ({
    databaseUrl,
    verifier,
    good,
  }) => {
    const [dead] = await issueInactive(databaseUrl);
    const refusal = async (authorization?: string, path?: string) => {
      const { status, headers } = await verify(verifier, authorization, path);
      return [status, /error="([a-z_]+)"/.exec(headers.get("www-authenticate") ?? "")?.[1]];
    };
    expect(await refusal()).toEqual([401, undefined]);
    expect(await refusal("Bearer a, b")).toEqual([400, "invalid_request"]);
    expect(await refusal(`Bearer ${dead?.plaintext}`)).toEqual([401, "invalid_token"]);
    expect(await refusal(`Bearer ${good.plaintext}`, "/verify?scope=delete")).toEqual([403, "insufficient_scope"]);
  });
});

describe("RFC 9701, introspection as a JWT", () => {
  const accept = { accept: JWT_TYPE };

  test("5: the answer has the type of the media type, and of the JWT's header", async ({ verifier, client, good }) => {
    const response = await call(verifier, { client, form: { token: good.plaintext }, headers: accept });
    expect(response.status).toBe(200);
    expect(response.headers.get("content-type")).toBe(JWT_TYPE);
    const { header } = openJwt(await response.text(), await readKeys(verifier.introspectionUrl));
    expect(header).toMatchObject({ typ: "token-introspection+jwt", alg: "EdDSA" });
  });

  test("5: iss, aud, iat and token_introspection are there, and sub and exp are not", async ({
    verifier,
    client,
    good,
  }) => {
    const form = { token: good.plaintext };
    const plain = await (await call(verifier, { client, form })).json();
    const jwt = await (await call(verifier, { client, form, headers: accept })).text();
    const { claims } = openJwt(jwt, await readKeys(verifier.introspectionUrl));
    expect(claims).toEqual({
      iss: ISSUER,
      aud: "shop/backend",
      iat: expect.any(Number),
      token_introspection: plain,
    });
    expect(Math.abs(Date.now() / 1_000 - Number(claims.iat))).toBeLessThan(60);
  });

  test("5: of a token that is not active nothing is said but that", async ({ databaseUrl, verifier, client }) => {
    const keys = await readKeys(verifier.introspectionUrl);
    for (const { plaintext } of await issueInactive(databaseUrl)) {
      const response = await call(verifier, { client, form: { token: plaintext }, headers: accept });
      expect(openJwt(await response.text(), keys).claims.token_introspection).toEqual({ active: false });
    }
  });

  test("5: a caller who does not authenticate gets 400, and one who fails to 401", async ({ verifier, good }) => {
    const form = { token: good.plaintext };
    expect((await call(verifier, { form, headers: accept })).status).toBe(400);
    expect((await call(verifier, { client: createToken(), form, headers: accept })).status).toBe(401);
  });

  test("4: whoever does not ask for a JWT gets JSON", async ({ verifier, client, good }) => {
    for (const other of ["application/json", "*/*"]) {
      const response = await call(verifier, { client, form: { token: good.plaintext }, headers: { accept: other } });
      expect(response.headers.get("content-type")).toBe("application/json");
    }
  });
});

describe("RFC 8414, the server's metadata", () => {
  const PATHS = ["/.well-known/oauth-authorization-server/auth", "/.well-known/oauth-authorization-server"];

  test("3: the document is where the issuer's path puts it, for GET, as a JSON object", async ({ verifier }) => {
    for (const path of PATHS) {
      const response = await call(verifier, { path, method: "GET" });
      expect(response.status).toBe(200);
      expect(response.headers.get("content-type")).toBe("application/json");
    }
  });

  test("3.3: the issuer in it is the one that clients have asked for", async ({ verifier }) => {
    const response = await call(verifier, { path: PATHS[0] ?? "", method: "GET" });
    expect(await response.json()).toMatchObject({ issuer: ISSUER });
  });

  test("2: what is required is there; 3.2: no member is an empty list", async ({ verifier }) => {
    const document = (await (await call(verifier, { path: PATHS[0] ?? "", method: "GET" })).json()) as object;
    expect(document).toMatchObject({
      response_types_supported: expect.any(Array),
      introspection_endpoint: `${ISSUER}/introspect`,
      revocation_endpoint: `${ISSUER}/revoke`,
      jwks_uri: `${ISSUER}/.well-known/jwks.json`,
      introspection_signing_alg_values_supported: ["EdDSA"],
    });
    for (const [name, value] of Object.entries(document)) expect(value, name).not.toEqual([]);
  });

  test("2: the keys are a JWK Set with what signs, and nothing private", async ({ verifier }) => {
    for (const url of [verifier.introspectionUrl, verifier.gatewayUrl]) {
      const { keys } = await readKeys(url);
      expect(keys).toHaveLength(2);
      for (const key of keys) expect(key).toEqual({ ...key, use: "sig", alg: "EdDSA", d: undefined });
    }
  });
});
