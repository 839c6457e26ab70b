/*
 * "Don't know" on every face: whatever keeps a verifier from a token's row is neither a yes nor a no, and nobody who asks can take it
 * for one.
 */
import { test as base, describe, expect } from "vitest";
import { createKey, createKeyring, type Keyring } from "../../../src/token/keyring.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createSigningKeys } from "../../support/jwt.ts";
import { type DatabaseProxy, startDatabaseProxy } from "../../support/proxy.ts";
import { openCheckClient } from "../../support/verifier/check-client.ts";
import {
  type HandMadeToken,
  issueByHand,
  readVerifierMetric,
  startTestVerifier,
  type TestVerifier,
  untilFresh,
} from "../../support/verifier.ts";

const keyring = createKeyring();

const test = base
  .extend("databaseUrl", { scope: "file" }, () => createTestDatabase())
  .extend("client", { scope: "file" }, ({ databaseUrl }) =>
    issueByHand(databaseUrl, keyring, "scopes = '{apitoken:introspect,apitoken:explain}'"),
  )
  .extend("network", async ({ databaseUrl }, { onCleanup }) => {
    const network = await startDatabaseProxy(databaseUrl);
    onCleanup(() => network.close());
    return network;
  })
  .extend("verifier", async ({ network }, { onCleanup }) => {
    const { settings, remove } = createSigningKeys({ issuer: "https://tokens.example.com" });
    const verifier = await startTestVerifier({ url: network.url, keyring, settings });
    onCleanup(async () => {
      await verifier.stop();
      remove();
    });
    await verifier.ready;
    await untilFresh(verifier);
    return verifier;
  });

interface World {
  readonly databaseUrl: string;
  readonly network: DatabaseProxy;
  readonly verifier: TestVerifier;
}

/** What can keep a verifier from judging a token, how it comes about, and how it ends. Returns a token that is good. */
const OBSTACLES: readonly (readonly [
  what: string,
  reason: string,
  begin: (world: World) => Promise<readonly [token: HandMadeToken, end: () => Promise<void>]>,
])[] = [
  [
    "the keyring lacks the token's pepper",
    "KeyUnknown",
    async ({ databaseUrl, verifier }) => {
      const next: Keyring = { ...keyring, peppers: [createKey("p"), ...keyring.peppers] };
      return [await issueByHand(databaseUrl, next), async () => verifier.writeKeyring(next)];
    },
  ],
  [
    "the database is away and the token is not in memory",
    "DatabaseUnavailable",
    async ({ databaseUrl, network, verifier }) => {
      await network.setMode({ kind: "refuse" });
      await eventually(async () => expect(await readVerifierMetric(verifier, "apitoken_verifier_fresh")).toBe(0));
      return [await issueByHand(databaseUrl, keyring), () => network.setMode({ kind: "pass" })];
    },
  ],
];

const bearer = ({ plaintext }: HandMadeToken) => ({ authorization: `Bearer ${plaintext}` });

async function askAsGateway({ gatewayUrl }: TestVerifier, path: string, token: HandMadeToken) {
  const { status, headers } = await fetch(gatewayUrl + path, { headers: bearer(token) });
  return { status, retryAfter: headers.get("retry-after"), errorStatus: headers.get("x-error-status") };
}

async function askOverGrpc({ grpcPort }: TestVerifier, { plaintext }: HandMadeToken) {
  const client = openCheckClient(`http://127.0.0.1:${grpcPort}`);
  try {
    return await client.check({ headers: ["authorization", `Bearer ${plaintext}`] });
  } finally {
    client.close();
  }
}

const post = (
  { introspectionUrl }: TestVerifier,
  path: string,
  body: string | URLSearchParams,
  headers: Record<string, string> = {},
) => fetch(introspectionUrl + path, { method: "POST", body, headers });

const review = (token: string) =>
  JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } });

describe.for(OBSTACLES)("while %s", ([, reason, begin]) => {
  test("every face says that it does not know, and afterwards that the token is good", async ({
    databaseUrl,
    network,
    verifier,
    client,
  }) => {
    expect((await askAsGateway(verifier, "/verify", client)).status).toBe(200);
    const [token, end] = await begin({ databaseUrl, network, verifier });
    const { plaintext } = token;
    const form = new URLSearchParams({ token: plaintext });
    const DONT_KNOW = { status: 503, retryAfter: "1", errorStatus: null };

    for (const path of ["/verify", "/verify/scope/read/-/", "/verify/audience/orders/-/", "/token"]) {
      expect(await askAsGateway(verifier, path, token), path).toEqual(DONT_KNOW);
    }
    expect(await askAsGateway(verifier, "/verify/nginx/-/", token)).toEqual({
      status: 403,
      retryAfter: "1",
      errorStatus: "503",
    });
    expect(await askAsGateway(verifier, "/shadow/-/", token)).toMatchObject({ status: 200 });
    const outcome = await askOverGrpc(verifier, token);
    expect([outcome.code, outcome.error?.status, outcome.ok]).toEqual([14, 503, undefined]);

    for (const accept of ["application/json", "application/token-introspection+jwt"]) {
      const response = await post(verifier, "/introspect", form, { ...bearer(client), accept });
      expect([response.status, await response.text()], accept).toEqual([503, ""]);
    }
    const asCaller = await post(verifier, "/introspect", form, bearer(token));
    expect(asCaller.status, "who asks is not known either").toBe(503);
    const reviewed = (await (await post(verifier, "/tokenreview", review(plaintext), bearer(client))).json()) as {
      status: unknown;
    };
    expect(reviewed.status).toEqual({ authenticated: false, error: expect.any(String) });
    expect((await post(verifier, "/revoke", form)).status).toBe(503);
    expect((await post(verifier, "/leaks", JSON.stringify({ tokens: [plaintext] }))).status).toBe(503);
    const explained = await post(verifier, "/explain", form, bearer(client));
    expect(await explained.json()).toMatchObject({ answer: "unknown", reason });

    await end();
    await eventually(async () => expect((await askAsGateway(verifier, "/verify", token)).status).toBe(200));
    expect((await askOverGrpc(verifier, token)).code).toBe(0);
  });
});
