import { expect, test } from "vitest";
import { orFaulty, readBearer, refuseBearer } from "../../../../src/verifier/faces/bearer.ts";
import { KnownToken } from "../../../../src/verifier/memory/known-token.ts";
import { aVerifiableToken, NOW } from "../../../support/builders.ts";

const REFUSED = { kind: "no", why: "Malformed" } as const;

test.each([
  ["no header", undefined, { kind: "none" }],
  ["the scheme as RFC 6750 writes it", ["Bearer abc"], { kind: "token", token: "abc" }],
  ["the scheme in other letters (RFC 9110, 11.1)", ["bEARER abc"], { kind: "token", token: "abc" }],
  ["more than one space", ["Bearer  abc"], { kind: "token", token: "abc" }],
  ["another scheme, which is the application's", ["Basic YTpi"], { kind: "none" }],
  ["an empty header", [""], { kind: "none" }],
  ["a word that begins like the scheme", ["Bearerabc"], { kind: "none" }],
  ["the scheme alone", ["Bearer "], { kind: "faulty" }],
  ["two tokens in one header", ["Bearer a, Bearer b"], { kind: "faulty" }],
  [
    "every character that a token may have (RFC 6750, 2.1)",
    ["Bearer aZ09-._~+/=="],
    { kind: "token", token: "aZ09-._~+/==" },
  ],
  ["padding before the end", ["Bearer a=b"], { kind: "faulty" }],
  ["nothing but padding", ["Bearer =="], { kind: "faulty" }],
  ["a character beyond ASCII", ["Bearer abcé"], { kind: "faulty" }],
  ["a character that no token has", ["Bearer ab:c"], { kind: "faulty" }],
  ["two headers", ["Bearer a", "Bearer b"], { kind: "faulty" }],
  ["two headers of which one is empty", ["", "Bearer b"], { kind: "faulty" }],
])("%s", (_, values, expected) => {
  const credentials = readBearer(values);
  const isToken = credentials.kind === "token" && orFaulty(REFUSED, credentials.token) === REFUSED;
  expect(credentials.kind === "token" && !isToken ? { kind: "faulty" } : credentials).toEqual(expected);
});

test("a token that is used too often is asked to wait (RFC 6585, 4), and learns its limit", () => {
  const rate = { limit: { requests: 5, seconds: 3_600 }, left: 0, seconds: 720 };
  const token = new KnownToken(aVerifiableToken("abcdefghijkl"), NOW.getTime());
  const { status, headers } = refuseBearer({ kind: "limited", token, rate });
  expect(status).toBe(429);
  expect(headers).toEqual([
    ...["Retry-After", "720"],
    ...["RateLimit-Policy", '"token";q=5;w=3600', "RateLimit", '"token";r=0;t=720'],
    ...["Cache-Control", "no-store", "Content-Length", "0"],
  ]);
});

test.each([
  ["no token, without an error code (RFC 6750, 3.1)", { kind: "none" }, 401, 'Bearer realm="apitoken"'],
  ["two tokens", { kind: "faulty" }, 400, 'Bearer realm="apitoken", error="invalid_request"'],
  ["a dead token", { kind: "no", why: "Expired" }, 401, 'Bearer realm="apitoken", error="invalid_token"'],
  [
    "a scope that is missing",
    { kind: "no", why: "ScopeMissing" },
    403,
    'Bearer realm="apitoken", error="insufficient_scope", scope="a b%22"',
  ],
] as const)("%s is refused with %s", (_, answer, status, challenge) => {
  const refusal = refuseBearer(answer, ["a", 'b"']);
  expect(refusal.status).toBe(status);
  expect(refusal.headers.slice(0, 2)).toEqual(["WWW-Authenticate", challenge]);
});
