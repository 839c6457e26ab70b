/*
 * What every gateway must do with every kind of request, whatever its name. A gateway's test runs all cases in front of the
 * application of gateway-app.ts, with two routes: `/profile` takes every good token, everything else needs the scope of ORDERS_SCOPE.
 */
import { createToken } from "../../../src/token/token-string.ts";
import { forgeSecret, type HandMadeToken } from "../verifier.ts";
import { IDENTITY_HEADERS } from "./identity.ts";

/** The scope that the gateways' routes need, all but PROFILE_PATH. */
export const ORDERS_SCOPE = "orders:read";
/** Needs a good token, whatever its scopes. */
export const PROFILE_PATH = "/profile";
/** A client that a test binds to this address has another one than everybody else. */
export const OTHER_ADDRESS = "127.0.0.2";
/** The owner that is blocked. */
export const BLOCKED_OWNER = "blocked";

/** A request to a gateway. */
export interface GatewayRequest {
  readonly method?: string;
  /** Sent as it is, without normalisation. */
  readonly path?: string;
  /** Names and values in turn, in addition to those that show the token. */
  readonly headers?: readonly string[];
  readonly body?: string;
  /** Asks for a WebSocket. */
  readonly isUpgrade?: boolean;
  /** The address of the client. */
  readonly from?: string;
}

/** The request reaches the application, with our headers and none that looks like them. */
export interface Passes {
  readonly passes: true;
  /** X-Auth-Token-State; "live" by default. */
  readonly state?: "ending" | "grace";
}

/** The client gets this, and the application gets nothing. */
export interface Refused {
  readonly passes: false;
  readonly status: number;
  /** WWW-Authenticate: its text, or undefined for none. */
  readonly challenge?: string | undefined;
  readonly hasRetryAfter?: boolean;
  /** The header RateLimit. */
  readonly rate?: RegExp;
}

export interface GatewayCase {
  /** A sentence. */
  readonly title: string;
  /** SQL assignments to the token's row; without them it is good, alice's, and has the scope. */
  readonly row?: string;
  /** The headers that show the token; by default it is a bearer token. */
  readonly show?: (token: HandMadeToken) => readonly string[];
  readonly request?: GatewayRequest;
  /** How often the token has been used before. */
  readonly timesUsed?: number;
  /** The database goes away before the request, and after the token was used once. */
  readonly isInOutage?: boolean;
  readonly expected: Passes | Refused;
}

const bearer = (plaintext: string) => ["Authorization", `Bearer ${plaintext}`];
const nothing = () => [];
/** A string that is a token in every respect, but was never issued. */
const neverIssued = () => bearer(createToken().plaintext);
const wrongSecret = (token: HandMadeToken) => bearer(forgeSecret(token));

const PAST = "expires_at = now() - interval '1 minute'";
/** The rate limit of two requests, and one more every half hour. */
export const TWO_AN_HOUR = "rate_limit_requests = 2, rate_limit_seconds = 3600";
const OTHER_SCOPE = "scopes = '{orders:write}'";

const PASSES: Passes = { passes: true };
const REALM = 'Bearer realm="apitoken"';
const NO_CREDENTIALS: Refused = { passes: false, status: 401, challenge: REALM };
const INVALID_TOKEN: Refused = { passes: false, status: 401, challenge: `${REALM}, error="invalid_token"` };
const FORBIDDEN: Refused = {
  passes: false,
  status: 403,
  challenge: `${REALM}, error="insufficient_scope", scope="${ORDERS_SCOPE}"`,
};
const INVALID_REQUEST: Refused = { passes: false, status: 400, challenge: `${REALM}, error="invalid_request"` };
const LIMITED: Refused = { passes: false, status: 429, hasRetryAfter: true, rate: /^"token";r=0;t=(1800|1799)$/ };
const DONT_KNOW: Refused = { passes: false, status: 503, hasRetryAfter: true };

/** A client's own headers with our names, each once. */
const FORGED = IDENTITY_HEADERS.flatMap((name) => [`X-Auth-${name}`, "forged"]);
/** Allowed in the name of a header, and read as "_" by CGI, WSGI or PHP. */
const READ_AS_UNDERSCORE = [..."!#$%&'*+.^`|~"];
const UPGRADE = ["Connection", "Upgrade", "Upgrade", "websocket", "Sec-WebSocket-Version", "13"];
const WEBSOCKET = { isUpgrade: true, headers: [...UPGRADE, "Sec-WebSocket-Key", "AAAAAAAAAAAAAAAAAAAAAA=="] };

/** The cases. Those in an outage come last. */
export const GATEWAY_CASES: readonly GatewayCase[] = [
  { title: "a good token passes", expected: PASSES },
  {
    title: "a token in its overlap passes",
    row: "revoked_at = now() + interval '5 minutes'",
    expected: { passes: true, state: "ending" },
  },
  {
    title: "a token in its grace passes with the grace's scopes",
    row: `${PAST}, grace_seconds = 3600, grace_scopes = '{${ORDERS_SCOPE}}'`,
    expected: { passes: true, state: "grace" },
  },
  {
    title: "a token in its grace is forbidden what is not among the grace's scopes",
    row: `${PAST}, grace_seconds = 3600, grace_scopes = '{orders:list}'`,
    expected: FORBIDDEN,
  },
  { title: "an expired token is refused", row: PAST, expected: INVALID_TOKEN },
  { title: "a revoked token is refused", row: "revoked_at = now()", expected: INVALID_TOKEN },
  { title: "a blocked owner's token is refused", row: `owner = '${BLOCKED_OWNER}'`, expected: INVALID_TOKEN },
  { title: "a known id with a wrong secret is refused", show: wrongSecret, expected: INVALID_TOKEN },
  { title: "a token that was never issued is refused", show: neverIssued, expected: INVALID_TOKEN },
  { title: "what is not a token is refused", show: () => bearer("nonsense"), expected: INVALID_TOKEN },
  { title: "a request without a token gets a challenge without an error", show: nothing, expected: NO_CREDENTIALS },
  {
    title: "another scheme is not a token",
    show: ({ plaintext }) => ["Authorization", `Basic ${btoa(`alice:${plaintext}`)}`],
    expected: NO_CREDENTIALS,
  },
  {
    title: "two tokens are a bad request, even if the first is good",
    show: ({ plaintext }) => [...bearer(plaintext), ...neverIssued()],
    expected: INVALID_REQUEST,
  },
  { title: "a token without the route's scope is forbidden it", row: OTHER_SCOPE, expected: FORBIDDEN },
  { title: "a token within its rate limit passes", row: TWO_AN_HOUR, timesUsed: 1, expected: PASSES },
  { title: "a token that is used too often is asked to wait", row: TWO_AN_HOUR, timesUsed: 2, expected: LIMITED },
  {
    title: "a token passes from its network",
    row: `allowed_cidrs = '{${OTHER_ADDRESS}/32}'`,
    request: { from: OTHER_ADDRESS },
    expected: PASSES,
  },
  {
    title: "a token is refused from elsewhere, even if the client claims to be in its network",
    row: "allowed_cidrs = '{10.0.0.0/8}'",
    request: { from: OTHER_ADDRESS, headers: ["X-Forwarded-For", "10.1.2.3", "X-Real-IP", "10.1.2.3"] },
    expected: INVALID_TOKEN,
  },
  { title: "a client's own X-Auth headers do not pass", request: { headers: FORGED }, expected: PASSES },
  {
    title: "X-Auth headers that a client sends twice, in small letters, do not pass",
    request: { headers: [...FORGED, ...FORGED].map((text) => text.toLowerCase()) },
    expected: PASSES,
  },
  {
    title: "a client's X-Auth headers do not fill those that are empty",
    row: "scopes = '{}'",
    request: { path: PROFILE_PATH, headers: FORGED },
    expected: PASSES,
  },
  {
    title: "X-Auth headers spelled with underscores do not pass",
    request: {
      headers: [
        ...FORGED.map((text) => text.replaceAll("-", "_")),
        ...FORGED.map((text) => text.replace("X-Auth-", "x_auth-")),
        ...FORGED.map((text) => text.replace("X-Auth-", "X-Auth_")),
      ],
    },
    expected: PASSES,
  },
  {
    title: "X-Auth headers spelled with other characters that are read as underscores do not pass",
    request: {
      headers: READ_AS_UNDERSCORE.flatMap((character) => [
        ...[`X${character}Auth${character}Owner`, "forged", `X-Auth${character}Owner`, "forged"],
        ...[`x${character}auth-token${character}id`, "forged"],
      ]),
    },
    expected: PASSES,
  },
  {
    title: "a token without scopes passes where none is needed",
    row: "scopes = '{}'",
    request: { path: PROFILE_PATH },
    expected: PASSES,
  },
  {
    title: "a POST arrives with its body",
    request: { method: "POST", body: "a=1&b=2", headers: ["Content-Type", "application/x-www-form-urlencoded"] },
    expected: PASSES,
  },
  { title: "a POST of 200 kB arrives", request: { method: "POST", body: "x".repeat(200_000) }, expected: PASSES },
  {
    title: "a POST with a body is refused without a token",
    show: nothing,
    request: { method: "POST", body: "a=1" },
    expected: NO_CREDENTIALS,
  },
  {
    title: "20 kB of cookies pass",
    request: { headers: ["Cookie", `a=${"x".repeat(20_000)}`] },
    expected: PASSES,
  },
  {
    title: "a client's query reaches the application, and does not take a scope away",
    row: OTHER_SCOPE,
    request: { path: "/orders?scope=orders:write&nginx" },
    expected: FORBIDDEN,
  },
  {
    title: "a client's query does not add a scope",
    request: { path: "/orders?scope=orders:delete" },
    expected: PASSES,
  },
  {
    title: "a path that leads back above the marker takes no scope away",
    row: OTHER_SCOPE,
    request: { path: "/-/../../../verify/-/x" },
    expected: FORBIDDEN,
  },
  {
    title: "a path that leads out of a route without a scope takes no scope away",
    row: OTHER_SCOPE,
    request: { path: `${PROFILE_PATH}/../orders` },
    expected: FORBIDDEN,
  },
  {
    title: "a path with the marker takes no scope away",
    row: OTHER_SCOPE,
    request: { path: "/verify/scope/orders:write/-/x" },
    expected: FORBIDDEN,
  },
  { title: "HEAD passes", request: { method: "HEAD" }, expected: PASSES },
  { title: "HEAD is refused without a token", show: nothing, request: { method: "HEAD" }, expected: NO_CREDENTIALS },
  { title: "OPTIONS passes", request: { method: "OPTIONS" }, expected: PASSES },
  {
    title: "OPTIONS is refused without a token",
    show: nothing,
    request: { method: "OPTIONS" },
    expected: NO_CREDENTIALS,
  },
  { title: "a WebSocket opens and carries bytes", request: WEBSOCKET, expected: PASSES },
  { title: "a WebSocket does not open without a token", show: nothing, request: WEBSOCKET, expected: NO_CREDENTIALS },
  { title: "a known token passes while the database is away", isInOutage: true, expected: PASSES },
  {
    title: "it is not known whether an unknown token is good while the database is away",
    show: neverIssued,
    isInOutage: true,
    expected: DONT_KNOW,
  },
];
