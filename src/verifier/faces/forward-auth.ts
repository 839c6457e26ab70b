/*
 * `/verify`, for gateways that ask before they pass a request on: nginx auth_request, forward-auth of Traefik and Caddy, Envoy's
 * ext_authz over HTTP, the Gateway API's ExternalAuth. Refusals are those of RFC 6750, section 3.
 *
 * The wanted scopes are part of the path, before the marker `/-/`, because several gateways append the client's own path and query:
 * /verify/scope/orders:read/-/the/clients/path?scope=of-the-client. Nothing after the marker is looked at.
 */
import type { Answer, CountedAnswer } from "../lookup.ts";
import { describeRate, emptyAnswer, endOf, type HttpAnswer, headerValue, KeptAnswer, NO_STORE } from "./answer.ts";
import { type NoToken, refuseBearer } from "./bearer.ts";

/** What a gateway wants to know, as its configuration has it. */
export interface VerifyRoute {
  readonly scopes: readonly string[];
  /** nginx's auth_request turns every status but 2xx, 401 and 403 into a 500, so the status goes into a header. */
  readonly isForNginx: boolean;
  /** Every request is let through, and what would have been refused is counted. */
  readonly isShadow: boolean;
  /** The application that is to get a signed identity; undefined: none is wanted. */
  readonly audience: string | undefined;
}

const ROOT = "/verify";
const SHADOW_ROOT = "/shadow";
/** Behind it is the client's own path. */
export const MARKER = "/-/";
const END_MARKER = "-";

/**
 * Reads the URL of a request; undefined if it is not one of this face's. The query counts on the exact path /verify only:
 * elsewhere it may be the client's. Shadow mode has a path of its own, which no client's path behind /verify can spell.
 */
export function readRoute(url: string): VerifyRoute | undefined {
  const marker = url.indexOf(MARKER);
  const own = marker < 0 ? url : url.slice(0, marker);
  const [path = "", query] = own.split("?", 2);
  const isShadow = path === SHADOW_ROOT || path.startsWith(`${SHADOW_ROOT}/`);
  const root = isShadow ? SHADOW_ROOT : ROOT;
  if (path === root) return { ...readQuery(marker < 0 ? query : undefined), isShadow };
  if (!path.startsWith(`${root}/`) || (query !== undefined && marker >= 0)) return undefined;
  const segments = path.slice(root.length + 1).split("/");
  // Some gateways append nothing, so that the marker ends the path.
  const wanted = readSegments(segments.at(-1) === END_MARKER ? segments.slice(0, -1) : segments);
  return wanted && { ...wanted, isShadow };
}

function readQuery(query = ""): Omit<VerifyRoute, "isShadow"> {
  const parameters = new URLSearchParams(query);
  return {
    scopes: parameters.getAll("scope").flatMap((scopes) => scopes.split(" ")),
    isForNginx: parameters.has("nginx"),
    audience: parameters.get("audience") || undefined,
  };
}

function readSegments(segments: readonly string[]): Omit<VerifyRoute, "isShadow"> | undefined {
  const scopes: string[] = [];
  let isForNginx = false;
  let audience: string | undefined;
  for (let place = 0; place < segments.length; place += 1) {
    const segment = segments[place];
    if (segment === "nginx") isForNginx = true;
    else if (segment === "scope") {
      place += 1;
      const scope = decode(segments[place]);
      if (scope === undefined) return undefined;
      scopes.push(scope);
    } else if (segment === "audience") {
      place += 1;
      audience = decode(segments[place]);
      if (audience === undefined) return undefined;
    } else return undefined;
  }
  return { scopes, isForNginx, audience };
}

function decode(segment: string | undefined): string | undefined {
  try {
    return segment === undefined || segment === "" ? undefined : decodeURIComponent(segment);
  } catch {
    return undefined;
  }
}

/** The names of the headers that every 200 carries, empty ones too: what is missing could be the client's own. */
export const IDENTITY_HEADERS = [
  "X-Auth-Owner",
  "X-Auth-Scopes",
  "X-Auth-Token-Id",
  "X-Auth-Namespace",
  "X-Auth-Name",
  "X-Auth-Expires-At",
  "X-Auth-Token-State",
] as const;

/** Lets a request through without saying whose it is: in shadow mode, what would have been refused. */
export const ANONYMOUS = IDENTITY_HEADERS.flatMap((name) => [name, ""]);

const VARY = ["Vary", "Authorization"];
const SHADOW_ANSWER = emptyAnswer(200, [...ANONYMOUS, ...NO_STORE, ...VARY]);

/** How long a gateway may keep a good answer, in seconds: 0 for not at all. `nowMs` tells the database's time. */
export interface Freshness {
  readonly maxAgeSeconds: number;
  readonly nowMs: () => number;
}

/** Holds the signed identity, on routes with an audience: always there, so that no client can send its own. */
export const JWT_HEADER = "X-Auth-Jwt";

/** The answer to a gateway about a request. `jwt` is the identity, if it is to be signed. */
export function answerGateway(
  route: VerifyRoute,
  answer: CountedAnswer | NoToken,
  freshness: Freshness,
  jwt = "",
): HttpAnswer {
  const withJwt = (headers: readonly string[]) =>
    route.audience === undefined ? headers : [...headers, JWT_HEADER, jwt];
  if (answer.kind === "yes") {
    const good = describeToken(answer, freshness);
    if (route.audience === undefined && answer.rate === undefined) return good;
    const rate = answer.rate === undefined ? [] : describeRate(answer.rate);
    return { ...good, headers: [...withJwt(good.headers), ...rate] };
  }
  if (route.isShadow) return { ...SHADOW_ANSWER, headers: withJwt(SHADOW_ANSWER.headers) };
  const refusal = refuseBearer(answer, route.scopes);
  return route.isForNginx && refusal.status !== 401 && refusal.status !== 403
    ? { status: 403, headers: [...refusal.headers, "X-Error-Status", String(refusal.status)] }
    : refusal;
}

/** How far along a token is: in its overlap its end is set, and in its grace it is accepted for fewer scopes. */
export function stateOf({ token, isInGrace }: Answer & { kind: "yes" }): "live" | "ending" | "grace" {
  if (isInGrace) return "grace";
  return token.isEnding ? "ending" : "live";
}

function describeToken(answer: Answer & { kind: "yes" }, { maxAgeSeconds, nowMs }: Freshness): HttpAnswer {
  // Each use is to be seen.
  if (answer.isBreakGlass) return emptyAnswer(200, [...describeIdentity(answer, "live"), ...NO_STORE, ...VARY]);
  const { token } = answer;
  const state = stateOf(answer);
  const kept = token.findAnswer<HttpAnswer>(state);
  if (kept !== undefined) return kept;
  // Each request of a token with a limit is to be counted.
  const longest = token.rateLimit === undefined ? maxAgeSeconds : 0;
  const maxAge = Math.max(0, Math.min(longest, Math.floor((endOf(answer) - nowMs()) / 1_000)));
  const cacheControl = ["Cache-Control", `private, max-age=${maxAge}`];
  const good = emptyAnswer(200, [...describeIdentity(answer, state), ...cacheControl, ...VARY]);
  // With a maximum age, the seconds that are left to the token's end change from answer to answer.
  return maxAgeSeconds === 0 ? token.keepAnswer(state, new KeptAnswer(good)) : good;
}

/** The headers of a good token: names and values in turn. */
export function describeIdentity({ token, scopes }: Answer & { kind: "yes" }, state: string): string[] {
  return [
    "X-Auth-Owner",
    headerValue(token.owner),
    "X-Auth-Scopes",
    headerValue(scopes.join(" ")),
    "X-Auth-Token-Id",
    token.id,
    "X-Auth-Namespace",
    headerValue(token.namespace),
    "X-Auth-Name",
    headerValue(token.name),
    "X-Auth-Expires-At",
    token.expiresAt.toISOString(),
    "X-Auth-Token-State",
    state,
  ];
}
