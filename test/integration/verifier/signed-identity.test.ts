/*
 * The signed identity that an application gets from its gateway: the same claims whichever way the gateway asks, and never a client's
 * own. Envoy runs with the examples that users copy.
 */
import { test as base, describe, expect } from "vitest";
import { findGatewayTools } from "../../../local/setup/gateway-tools.mjs";
import { createKeyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createSigningKeys, openJwt, readKeys } from "../../support/jwt.ts";
import { openCheckClient } from "../../support/verifier/check-client.ts";
import { startEnvoy } from "../../support/verifier/envoy-example.ts";
import { askGateway, startGatewayWorld } from "../../support/verifier/gateway-world.ts";
import { type HandMadeToken, issueByHand, startTestVerifier, type TestVerifier } from "../../support/verifier.ts";

const keyring = createKeyring();
const ISSUER = "https://tokens.example.com/auth";

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("good", ({ databaseUrl }) => issueByHand(databaseUrl, keyring))
  .extend("verifier", { scope: "file" }, async ({ databaseUrl }, { onCleanup }) => {
    const { settings, remove } = createSigningKeys({ issuer: ISSUER });
    const verifier = await startTestVerifier({ url: databaseUrl, keyring, settings });
    onCleanup(async () => {
      await verifier.stop();
      remove();
    });
    await verifier.ready;
    return verifier;
  });

interface Question {
  readonly token?: HandMadeToken | undefined;
  readonly audience?: string;
  readonly isShadow?: boolean;
}

interface Identity {
  /** What the client would get; 200 if the request passes. */
  readonly status: number;
  /** What the application gets; undefined if the gateway is not told to set it. */
  readonly jwt: string | undefined;
}

type Way = (verifier: TestVerifier, question: Question) => Promise<Identity>;

const overHttp: Way = async ({ gatewayUrl }, { token, audience, isShadow = false }) => {
  const path = `/${isShadow ? "shadow" : "verify"}${audience === undefined ? "" : `/audience/${audience}`}/scope/read/-/`;
  const { status, headers } = await fetch(`${gatewayUrl}${path}the/clients/path?audience=evil`, {
    headers: token === undefined ? {} : { authorization: `Bearer ${token.plaintext}` },
  });
  return { status, jwt: headers.get("x-auth-jwt") ?? undefined };
};

const overGrpc: Way = async ({ grpcPort }, { token, audience, isShadow = false }) => {
  const client = openCheckClient(`http://127.0.0.1:${grpcPort}`);
  try {
    const { ok, denied } = await client.check({
      headers: token === undefined ? [] : ["authorization", `Bearer ${token.plaintext}`],
      context: { scope: "read", ...(audience && { audience }), ...(isShadow && { shadow: "true" }) },
    });
    return { status: denied?.status ?? 200, jwt: ok?.headers.find(([name]) => name === "x-auth-jwt")?.[1] };
  } finally {
    client.close();
  }
};

describe.for([
  ["HTTP", overHttp, 404],
  ["gRPC", overGrpc, 500],
] as const)("a signed identity over %s", ([, ask, misconfigured]) => {
  test("is a JWT for the route's audience, and ends after a minute or with the token", async ({
    databaseUrl,
    verifier,
    good,
  }) => {
    const keys = await readKeys(verifier.gatewayUrl);
    const { jwt } = await ask(verifier, { token: good, audience: "orders" });
    const { header, claims } = openJwt(jwt ?? "", keys);
    expect(header.typ).toBe("apitoken-identity+jwt");
    expect(claims).toEqual({
      iss: ISSUER,
      aud: "orders",
      sub: "alice",
      client_id: "shop/orders",
      scope: "read write",
      token_id: good.id,
      iat: expect.any(Number),
      exp: Number(claims.iat) + 60,
    });
    const token = await issueByHand(databaseUrl, keyring, "expires_at = now() + interval '20 seconds'");
    const ending = await ask(verifier, { token, audience: "orders" });
    const { claims: short } = openJwt(ending.jwt ?? "", keys);
    expect(Number(short.exp) - Number(short.iat)).toBeLessThanOrEqual(21);
  });

  test("has the scopes of the grace, once the token's life is over", async ({ databaseUrl, verifier }) => {
    const inGrace =
      "expires_at = now() - interval '1 minute', grace_seconds = 3600, grace_scopes = '{read}', scopes = '{read,write}'";
    const { jwt } = await ask(verifier, {
      token: await issueByHand(databaseUrl, keyring, inGrace),
      audience: "orders",
    });
    expect(openJwt(jwt ?? "", await readKeys(verifier.gatewayUrl)).claims.scope).toBe("read");
  });

  test("is the same for some time, and another one for another audience", async ({ verifier, good }) => {
    const askFor = async (audience: string) => (await ask(verifier, { token: good, audience })).jwt;
    const first = await askFor("orders");
    expect(first).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/);
    expect(await askFor("orders")).toBe(first);
    expect(await askFor("billing")).not.toBe(first);
  });

  test("is an empty header in shadow mode, so that no client can send its own, and none where nobody wants it", async ({
    verifier,
    good,
  }) => {
    expect(await ask(verifier, { audience: "orders", isShadow: true })).toEqual({ status: 200, jwt: "" });
    expect(await ask(verifier, { token: good })).toEqual({ status: 200, jwt: undefined });
  });

  test("lets no request pass where there is no key to sign it with", async ({ databaseUrl, good }) => {
    const verifier = await startTestVerifier({ url: databaseUrl, keyring });
    try {
      await verifier.ready;
      expect((await ask(verifier, { token: good, audience: "orders" })).status).toBe(misconfigured);
      expect((await fetch(`${verifier.gatewayUrl}/.well-known/jwks.json`)).status).toBe(404);
    } finally {
      await verifier.stop();
    }
  });
});

const { envoy: program = "" } = findGatewayTools();

/** What users would change in an example, so that the application gets a signed identity. */
const AUDIENCES: readonly (readonly [way: string, example: string, from: string, to: string])[] = [
  ["HTTP", "envoy-http.yaml", "path_prefix: /verify/", "path_prefix: /verify/audience/orders/"],
  ["gRPC", "envoy-grpc.yaml", "# audience: orders #", "audience: orders #"],
];

describe.skipIf(program === "").for(AUDIENCES)("behind Envoy that asks over %s", ([, example, from, to]) => {
  test("the application gets a signed identity instead of those that the client has sent", async () => {
    const signing = createSigningKeys({ issuer: ISSUER });
    const world = await startGatewayWorld(signing.settings);
    const { app, verifier } = world;
    const ports = { app: app.port, verifier: { 8181: verifier.gatewayPort, 8183: verifier.grpcPort } };
    const envoy = await startEnvoy(program, example, ports, (text) => text.replaceAll(from, to));
    try {
      const token = await world.issue();
      const forged = ["X-Auth-Jwt", "x-auth-jwt", "x_auth_jwt"].flatMap((name) => [name, "forged"]);
      const headers = ["Authorization", `Bearer ${token.plaintext}`, ...forged];
      // On a busy machine the first answer may come later than Envoy waits.
      const { seen } = await eventually(async () => {
        const answer = await askGateway(world, envoy.url, { headers });
        expect(answer.status).toBe(200);
        return answer;
      });
      const { rawHeaders = [] } = seen ?? {};
      const jwts = rawHeaders.filter((_, place) => /^x.auth.jwt$/i.test(rawHeaders[place - 1] ?? ""));
      expect(jwts).toHaveLength(1);
      const { claims } = openJwt(jwts[0] ?? "", await readKeys(verifier.gatewayUrl));
      expect(claims).toMatchObject({ iss: ISSUER, aud: "orders", sub: "alice", token_id: token.id });
    } finally {
      await envoy.stop();
      await world.stop();
      signing.remove();
    }
  });
});
