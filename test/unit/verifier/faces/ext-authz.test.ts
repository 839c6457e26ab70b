import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readCheckRequest } from "../../../../src/verifier/faces/check-request.ts";
import { answerCheck, MISCONFIGURED, nameKept, readCheckRoute } from "../../../../src/verifier/faces/ext-authz.ts";
import { IDENTITY_HEADERS } from "../../../../src/verifier/faces/forward-auth.ts";
import { delimited, ProtobufError } from "../../../../src/verifier/faces/protobuf.ts";
import { KnownToken } from "../../../../src/verifier/memory/known-token.ts";
import { readCheckResponse, writeCheckRequest } from "../../../support/verifier/check-client.ts";

const ISSUED = new Date("2026-01-01T00:00:00Z");
const EXPIRES = new Date("2027-01-01T00:00:00Z");

const token = new KnownToken(
  {
    id: "abcdefghijkl",
    hash: Buffer.alloc(32),
    hashAlgorithm: "hmac-sha256",
    keyId: "p1",
    namespace: "shop",
    name: "orders",
    owner: "Zoë",
    scopes: ["orders:read", "orders:write"],
    allowedCidrs: [],
    grace: undefined,
    rateLimit: undefined,
    issuedAt: ISSUED,
    expiresAt: EXPIRES,
    revokedAt: undefined,
    encryptedMetadata: undefined,
    isEndRequested: false,
  },
  ISSUED.getTime(),
);
const YES = { kind: "yes", token, scopes: token.scopes, isInGrace: false, atMs: 0 } as const;
const ROUTE = { scopes: ["orders:read"], isShadow: false, removesAuthorization: false, audience: undefined };
const NO_LOOKALIKES = { lookalikes: [] };

const answer = (...args: Parameters<typeof answerCheck>) =>
  readCheckResponse(Buffer.from(answerCheck(...args), "latin1"));

const OVERWRITE = 2;

test("a good token's headers replace the client's, every one of them", () => {
  const { code, ok, order } = answer(ROUTE, YES, NO_LOOKALIKES);
  expect({ code, order }, "with a status, which readers may insist on").toEqual({ code: 0, order: [1, 3, 4] });
  expect(ok?.headers).toEqual([
    ["x-auth-owner", "Zo%C3%AB", OVERWRITE],
    ["x-auth-scopes", "orders:read orders:write", OVERWRITE],
    ["x-auth-token-id", "abcdefghijkl", OVERWRITE],
    ["x-auth-namespace", "shop", OVERWRITE],
    ["x-auth-name", "orders", OVERWRITE],
    ["x-auth-expires-at", "2027-01-01T00:00:00.000Z", OVERWRITE],
    ["x-auth-token-state", "live", OVERWRITE],
  ]);
});

test("access logs and rate limits get the token as metadata, with what a header cannot hold", () => {
  expect(answer(ROUTE, YES, NO_LOOKALIKES).metadata).toEqual({
    token_id: "abcdefghijkl",
    owner: "Zoë",
    namespace: "shop",
    name: "orders",
    scopes: ["orders:read", "orders:write"],
  });
});

test("headers that look like ours go, and the token where the route says so", () => {
  const lookalikes = ["x_auth_owner", "x.auth.owner"];
  expect(answer(ROUTE, YES, { lookalikes }).ok?.removed).toEqual(lookalikes);
  expect(answer({ ...ROUTE, removesAuthorization: true }, YES, { lookalikes }).ok?.removed).toEqual([
    "authorization",
    ...lookalikes,
  ]);
});

test("a signed identity replaces the client's where the route names an audience, also if there is nobody to name", () => {
  const route = { ...ROUTE, audience: "orders" };
  const forged = { lookalikes: ["x-auth-jwt", "x_auth_jwt"] };
  const passed = readCheckResponse(Buffer.from(answerCheck(route, YES, forged, "a.b.c"), "latin1"));
  expect(passed.ok?.headers).toHaveLength(8);
  expect(passed.ok?.headers.at(-1)).toEqual(["x-auth-jwt", "a.b.c", OVERWRITE]);
  expect(passed.ok?.removed, "gateways remove after they have replaced").toEqual(["x_auth_jwt"]);
  expect(answer({ ...route, isShadow: true }, { kind: "none" }, forged).ok?.headers.at(-1)).toEqual([
    "x-auth-jwt",
    "",
    OVERWRITE,
  ]);
});

test("a client's own signed identity is removed where the route names no audience", () => {
  const { ok } = answer(ROUTE, YES, { lookalikes: ["x-auth-jwt"] });
  expect(ok?.headers.map(([name]) => name)).not.toContain("x-auth-jwt");
  expect(ok?.removed).toEqual(["x-auth-jwt"]);
});

test.each([
  ["no token", { kind: "none" }, 16, 401, 'Bearer realm="apitoken"'],
  ["two tokens", { kind: "faulty" }, 3, 400, 'Bearer realm="apitoken", error="invalid_request"'],
  ["a dead token", { kind: "no", why: "Expired" }, 16, 401, 'Bearer realm="apitoken", error="invalid_token"'],
  [
    "a missing scope",
    { kind: "no", why: "ScopeMissing" },
    7,
    403,
    'Bearer realm="apitoken", error="insufficient_scope", scope="orders:read"',
  ],
] as const)("%s is a refusal as RFC 6750 has it", (_, reason, code, status, challenge) => {
  const outcome = answer(ROUTE, reason, NO_LOOKALIKES);
  expect(outcome).toEqual({
    code,
    denied: {
      status,
      headers: [
        ["www-authenticate", challenge, OVERWRITE],
        ["cache-control", "no-store", OVERWRITE],
      ],
    },
    order: [1, 2],
  });
});

test("don't know is an error for an Envoy that has a word for it, and a refusal for an older one", () => {
  const outcome = answer(ROUTE, { kind: "unknown", why: "DatabaseUnavailable" }, NO_LOOKALIKES);
  expect(outcome.error).toEqual({
    status: 503,
    headers: [
      ["retry-after", "1", OVERWRITE],
      ["cache-control", "no-store", OVERWRITE],
    ],
  });
  expect(outcome.denied).toEqual(outcome.error);
  expect(outcome.order, "readers take the last of them").toEqual([1, 2, 5]);
});

const RATE = { limit: { requests: 600, seconds: 60 }, left: 0, seconds: 2 };
const RATE_HEADERS = [
  ["ratelimit-policy", '"token";q=600;w=60'],
  ["ratelimit", '"token";r=0;t=2'],
] as const;

test("a token that is used too often is a refusal that says when to come back", () => {
  const outcome = answer(ROUTE, { kind: "limited", token: YES.token, rate: RATE }, NO_LOOKALIKES);
  expect(outcome).toMatchObject({ code: 8, denied: { status: 429 }, order: [1, 2] });
  expect(outcome.denied?.headers).toEqual([
    ["retry-after", "2", OVERWRITE],
    ...RATE_HEADERS.map(([name, value]) => [name, value, OVERWRITE]),
    ["cache-control", "no-store", OVERWRITE],
  ]);
});

test("a good token with a limit shows it to the client, next to what the application says of its own", () => {
  const { ok } = answer(ROUTE, { ...YES, rate: RATE }, NO_LOOKALIKES);
  expect(ok?.shown).toEqual(RATE_HEADERS.map(([name, value]) => [name, value, 0]));
  expect(ok?.headers.map(([name]) => name)).not.toContain("ratelimit");
  expect(answer(ROUTE, YES, NO_LOOKALIKES).ok?.shown).toEqual([]);
});

test("in shadow mode everything passes, without an identity", () => {
  const { code, ok, metadata } = answer({ ...ROUTE, isShadow: true }, { kind: "none" }, NO_LOOKALIKES);
  expect({ code, metadata }).toEqual({ code: 0, metadata: undefined });
  expect(ok?.headers).toEqual(IDENTITY_HEADERS.map((name) => [name.toLowerCase(), "", OVERWRITE]));
});

test("answers that are kept under one name are one answer", () => {
  const aRoute = fc.record({
    scopes: fc.constantFrom([], ["orders:read"]),
    isShadow: fc.boolean(),
    removesAuthorization: fc.boolean(),
    audience: fc.constantFrom(undefined, "orders"),
  });
  const anAnswer = fc.constantFrom(
    YES,
    { ...YES, scopes: ["orders:read"], isInGrace: true } as const,
    { ...YES, rate: RATE },
    { ...YES, isBreakGlass: true } as const,
  );
  const facts = fc.record({ lookalikes: fc.constantFrom([], ["x_auth_owner"]) });
  const kept = new Map<string, string>();
  fc.assert(
    fc.property(aRoute, anAnswer, facts, (route, good, lookalikes) => {
      const name = nameKept(route, good, lookalikes);
      if (name === undefined) return;
      const bytes = answerCheck(route, good, lookalikes);
      expect(bytes).toBe(kept.get(name) ?? bytes);
      kept.set(name, bytes);
    }),
    { numRuns: 300 },
  );
  expect(kept.size, "live and in grace, with and without the token").toBe(4);
});

describe("the route", () => {
  const read = (context: Record<string, string>, addedScopes: string[] = []) =>
    readCheckRoute({ context: Object.entries(context).flat(), addedScopes });

  test("wants nothing unless the gateway says so", () => {
    expect(read({})).toEqual({ scopes: [], isShadow: false, removesAuthorization: false, audience: undefined });
    expect(read({ scope: "", audience: "" })).toEqual(read({}));
  });

  test("has its scopes, its mode, its audience and what becomes of the token from the gateway", () => {
    expect(read({ scope: "a b", shadow: "true", remove_authorization: "true", audience: "orders" })).toEqual({
      scopes: ["a", "b"],
      isShadow: true,
      removesAuthorization: true,
      audience: "orders",
    });
  });

  test("needs more scopes if a header says so, and never fewer", () => {
    expect(read({ scope: "a" }, ["b, c", "d"])?.scopes).toEqual(["a", "b", "c", "d"]);
    expect(read({ scope: "a" }, ["x ".repeat(10_000)])?.scopes.slice(0, 1)).toEqual(["a"]);
    expect(read({ scope: "a" }, ["x ".repeat(10_000)])?.scopes.join("").length).toBeLessThan(1_100);
  });

  test("is not understood with a key or a value that nobody knows, and then nothing passes", () => {
    expect(read({ scopes: "a" })).toBeUndefined();
    expect(read({ shadow: "yes" })).toBeUndefined();
    const { code, error } = readCheckResponse(Buffer.from(MISCONFIGURED, "latin1"));
    expect([code, error?.status]).toEqual([13, 500]);
  });
});

describe("a check request", () => {
  test.each([
    ["as a map", false],
    ["one by one", true],
  ])("has its headers %s", (_, isRaw) => {
    const headers = [
      "authorization",
      "Bearer x",
      "cookie",
      "a",
      "X-Forwarded-For",
      "10.0.0.1",
      "x-apitoken-scope",
      "b",
    ];
    const context = { scope: "a" };
    expect(readCheckRequest(writeCheckRequest({ headers, isRaw, context, peer: "10.0.0.9" }))).toEqual({
      peer: "10.0.0.9",
      authorization: ["Bearer x"],
      forwardedFor: ["10.0.0.1"],
      addedScopes: ["b"],
      lookalikes: [],
      context: ["scope", "a"],
    });
  });

  test("shows two tokens as two", () => {
    const headers = ["authorization", "Bearer x", "authorization", "Bearer y"];
    expect(readCheckRequest(writeCheckRequest({ headers, isRaw: true })).authorization).toHaveLength(2);
  });

  test("shows every header that looks like one of ours, and none that is always replaced", () => {
    const names = IDENTITY_HEADERS.map((name) => name.toLowerCase());
    const spellings = [...names, "x-auth-jwt"].flatMap((name) => [
      name.replaceAll("-", "_"),
      name.replace("-", "."),
      name.replace("-", "!"),
    ]);
    const lookalikes = ["x-auth-jwt", ...spellings];
    const others = ["x-auth-other", "x-authowner", "x-auth-owner-2", "y-auth-owner", "x-a"];
    const headers = [...names, ...lookalikes, ...others].flatMap((name) => [name, "forged"]);
    expect(readCheckRequest(writeCheckRequest({ headers })).lookalikes).toEqual(lookalikes);
  });

  test("has the headers that count, whatever the others are", () => {
    const aName = fc.oneof(
      fc.constantFrom("authorization", "x-forwarded-for", "x-apitoken-scope", "X-AUTH_JWT", "x-auth-owner", "accept"),
      fc.string({ maxLength: 200, unit: fc.constantFrom(..."axf-uth:") }),
    );
    const aValue = fc.oneof(
      fc.string({ maxLength: 20, unit: "binary-ascii" }),
      fc.constantFrom(127, 128, 16_383, 16_384, 60_000).map((length) => "v".repeat(length)),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(aName, aValue), { maxLength: 8 }), fc.boolean(), (headers, isRaw) => {
        const valuesOf = (wanted: string) =>
          headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
        expect(readCheckRequest(writeCheckRequest({ headers: headers.flat(), isRaw }))).toMatchObject({
          authorization: valuesOf("authorization"),
          forwardedFor: valuesOf("x-forwarded-for"),
          addedScopes: valuesOf("x-apitoken-scope"),
          lookalikes: valuesOf("x-auth_jwt").map(() => "x-auth_jwt"),
        });
      }),
    );
  });

  test("has a header whose parts are in another order, or come twice", () => {
    const name = delimited(1, "authorization");
    const value = delimited(2, "Bearer x");
    const entries = [
      value + name,
      delimited(1, "accept") + value + name,
      name + value + value,
      `${name + value}\x18\x01`,
    ];
    const http = entries.map((entry) => delimited(3, entry)).join("");
    const bytes = Buffer.from(delimited(1, delimited(4, delimited(2, http))), "latin1");
    expect(readCheckRequest(bytes).authorization).toEqual(entries.map(() => "Bearer x"));
  });

  test("is read, or refused as malformed, whatever its bytes are", () => {
    const whole = writeCheckRequest({ headers: ["authorization", "Bearer x"], context: { scope: "a" }, peer: "::1" });
    const attempt = (bytes: Buffer) => {
      try {
        readCheckRequest(bytes);
      } catch (error) {
        expect(error).toBeInstanceOf(ProtobufError);
      }
    };
    const places = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(places, fc.nat(whole.length), (changes, length) => {
        const bytes = Buffer.from(whole);
        for (const [place, byte] of changes) bytes[place] = byte;
        attempt(bytes);
        attempt(bytes.subarray(0, length));
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => attempt(Buffer.from(bytes))));
  });
});
