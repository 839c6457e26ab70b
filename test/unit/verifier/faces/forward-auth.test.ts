import { expect, test } from "vitest";
import { answerGateway, readRoute } from "../../../../src/verifier/faces/forward-auth.ts";
import { KnownToken } from "../../../../src/verifier/memory/known-token.ts";
import { aVerifiableToken, NOW } from "../../../support/builders.ts";

const route = (scopes: string[], more: object = {}) => ({ scopes, isForNginx: false, isShadow: false, ...more });

test.each([
  ["the plain path wants nothing", "/verify", route([])],
  ["scopes may be in the query of the exact path", "/verify?scope=a&scope=b", route(["a", "b"])],
  ["several scopes may be in one parameter", "/verify?scope=a+b", route(["a", "b"])],
  ["scopes may be in the path", "/verify/scope/orders:read/scope/b", route(["orders:read", "b"])],
  ["a scope in the path may be percent-encoded", "/verify/scope/orders%3Aread", route(["orders:read"])],
  ["the query behind a path is the client's", "/verify/scope/a?scope=evil", route(["a"])],
  ["nothing after the marker counts", "/verify/scope/a/-/x?scope=evil", route(["a"])],
  ["nor does another marker, or a path that climbs", "/verify/scope/a/-/../../verify/-/b", route(["a"])],
  ["a marker behind the plain path wants nothing", "/verify/-/orders?scope=evil", route([])],
  ["a marker may end the path", "/verify/scope/a/-", route(["a"])],
  ["a query behind such a marker does not count", "/verify/-?scope=evil", route([])],
  ["nginx is named in the path", "/verify/nginx/scope/a/-/x", route(["a"], { isForNginx: true })],
  ["or by the query", "/verify?nginx&scope=a", route(["a"], { isForNginx: true })],
  ["shadow mode has a path of its own", "/shadow/scope/a/-/x", route(["a"], { isShadow: true })],
])("%s", (_, url, expected) => {
  expect(readRoute(url)).toEqual(expected);
});

test.each([
  ["another path", "/other"],
  ["a longer word", "/verifyx"],
  ["a client's path right behind /verify", "/verify/orders"],
  ["the empty path of a client", "/verify/"],
  ["a client's path that spells shadow mode", "/verify/shadow/-/x"],
  ["a scope without a name", "/verify/scope"],
  ["a scope that is the marker", "/verify/scope/-"],
  ["an empty scope", "/verify/scope//-/x"],
  ["a scope that cannot be decoded", "/verify/scope/%E0%A4%A/-/x"],
  ["a query before the marker, which could be the client's", "/verify/scope/a?x=/-/y"],
])("%s leads nowhere", (_, url) => {
  expect(readRoute(url)).toBeUndefined();
});

const LIMIT = { requests: 600, seconds: 60 };
const ROUTE = { scopes: [], isForNginx: false, isShadow: false, audience: undefined };
const FRESHNESS = { maxAgeSeconds: 10, nowMs: () => NOW.getTime() };
const token = new KnownToken(aVerifiableToken("abcdefghijkl", { rateLimit: LIMIT }), NOW.getTime());
const rate = { limit: LIMIT, left: 7, seconds: 1 };
const valuesOf = ({ headers }: { readonly headers: readonly string[] }, name: string) =>
  headers.flatMap((text, place) => (place % 2 === 0 && text === name ? [headers[place + 1]] : []));

test("a good token with a limit shows how much is left, and gateways must ask again for each request", () => {
  const yes = { kind: "yes", token, scopes: ["read"], isInGrace: false, atMs: 0 } as const;
  for (const left of [7, 6]) {
    const answer = answerGateway(ROUTE, { ...yes, rate: { ...rate, left } }, FRESHNESS);
    expect(answer.status).toBe(200);
    expect(valuesOf(answer, "RateLimit-Policy")).toEqual(['"token";q=600;w=60']);
    expect(valuesOf(answer, "RateLimit")).toEqual([`"token";r=${left};t=1`]);
    expect(valuesOf(answer, "Cache-Control")).toEqual(["private, max-age=0"]);
  }
});

test("a token that is used too often gets 429, which nginx gets as 403 with the status in a header", () => {
  const limited = { kind: "limited", token, rate: { ...rate, left: 0 } } as const;
  const answer = answerGateway(ROUTE, limited, FRESHNESS);
  expect([answer.status, valuesOf(answer, "Retry-After")]).toEqual([429, ["1"]]);
  const forNginx = answerGateway({ ...ROUTE, isForNginx: true }, limited, FRESHNESS);
  expect([forNginx.status, valuesOf(forNginx, "X-Error-Status")]).toEqual([403, ["429"]]);
  expect(valuesOf(forNginx, "RateLimit")).toEqual(['"token";r=0;t=1']);
  expect(answerGateway({ ...ROUTE, isShadow: true }, limited, FRESHNESS).status).toBe(200);
});
