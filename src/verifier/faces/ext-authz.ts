/*
 * `envoy.service.auth.v3.Authorization/Check`, for gateways that ask over gRPC: Envoy's ext_authz, Envoy Gateway, Contour, Istio.
 * https://www.envoyproxy.io/docs/envoy/latest/api-v3/service/auth/v3/external_auth.proto
 * Refusals are those of /verify (RFC 6750, section 3), header for header.
 */
import type { Answer, CountedAnswer } from "../lookup.ts";
import { describeRate, emptyAnswer, type HttpAnswer } from "./answer.ts";
import { type NoToken, refuseBearer } from "./bearer.ts";
import type { CheckFacts } from "./check-request.ts";
import { ANONYMOUS, describeIdentity, JWT_HEADER, stateOf } from "./forward-auth.ts";
import { delimited, numeric, utf8 } from "./protobuf.ts";

/** What a gateway's configuration says about a route, in `context_extensions`. */
export interface CheckRoute {
  readonly scopes: readonly string[];
  /** Every request is let through, and what would have been refused is counted. */
  readonly isShadow: boolean;
  /** The application does not get the token. */
  readonly removesAuthorization: boolean;
  /** The application that is to get a signed identity; undefined: none is wanted. */
  readonly audience: string | undefined;
}

/** Clients may add scopes, and the challenge repeats them. No token has a scope this long. */
const LONGEST_ADDITION = 1_000;

/**
 * Reads what a route needs. Undefined if the configuration cannot be understood: a key that is not known may be a misspelled "scope",
 * so it is not ignored.
 */
export function readCheckRoute({
  context,
  addedScopes,
}: Pick<CheckFacts, "context" | "addedScopes">): CheckRoute | undefined {
  const scopes: string[] = [];
  let isShadow: boolean | undefined = false;
  let removesAuthorization: boolean | undefined = false;
  let audience: string | undefined;
  for (let place = 0; place < context.length; place += 2) {
    const value = context[place + 1] ?? "";
    if (context[place] === "scope") addScopes(scopes, value);
    else if (context[place] === "shadow") isShadow = readBoolean(value);
    else if (context[place] === "remove_authorization") removesAuthorization = readBoolean(value);
    else if (context[place] === "audience") audience = value === "" ? undefined : value;
    else return undefined;
  }
  if (isShadow === undefined || removesAuthorization === undefined) return undefined;
  const addition = addedScopes.join(" ");
  if (addition.length <= LONGEST_ADDITION) addScopes(scopes, addition);
  else scopes.push(addition.slice(0, LONGEST_ADDITION));
  return { scopes, isShadow, removesAuthorization, audience };
}

function addScopes(scopes: string[], text: string): void {
  for (const scope of text.split(/[ ,]+/)) if (scope !== "") scopes.push(scope);
}

function readBoolean(text: string): boolean | undefined {
  return text === "true" ? true : text === "false" ? false : undefined;
}

/** Numbers of the fields, named after their messages. */
const RESPONSE = { status: 1, denied: 2, ok: 3, metadata: 4, error: 5 };
const OK = { headers: 2, headersToRemove: 5, responseHeaders: 6 };
const DENIED = { status: 1, headers: 2 };

/** `google.rpc.Code`, by the status that /verify gives. Envoy sends the status; others may look at the code. */
const CODES: Readonly<Record<number, number>> = { 400: 3, 401: 16, 403: 7, 429: 8, 500: 13, 503: 14 };
const UNKNOWN_CODE = 2;

/** The answer to a gateway about a request, as the bytes of a CheckResponse. `jwt` is the identity, if it is to be signed. */
export function answerCheck(
  route: CheckRoute,
  answer: CountedAnswer | NoToken,
  { lookalikes }: Pick<CheckFacts, "lookalikes">,
  jwt = "",
): string {
  if (answer.kind !== "yes" && !route.isShadow) return refuse(refuseBearer(answer, route.scopes));
  const withJwt = (identity: readonly string[]) =>
    route.audience === undefined ? identity : [...identity, JWT_HEADER, jwt];
  const removed = listRemoved(route, lookalikes);
  if (answer.kind !== "yes") return allow(withJwt(ANONYMOUS), removed);
  const identity = withJwt(describeIdentity(answer, stateOf(answer)));
  const rate = answer.rate === undefined ? [] : describeRate(answer.rate);
  return allow(identity, removed, rate) + delimited(RESPONSE.metadata, describe(answer));
}

/** Names for the answers about a token, by its state. They are not those of other faces. */
const KEPT = { live: "check-live", ending: "check-ending", grace: "check-grace" };
const KEPT_WITHOUT_TOKEN = { live: "bare-check-live", ending: "bare-check-ending", grace: "bare-check-grace" };

/**
 * The name of the answer about a good token, if it is the same for every request for which it has this name: as long as the row does
 * not change. Undefined if it is for this request alone.
 */
export function nameKept(
  route: CheckRoute,
  answer: Answer & { kind: "yes" },
  { lookalikes }: Pick<CheckFacts, "lookalikes">,
): string | undefined {
  const isForOne =
    route.audience !== undefined || answer.rate !== undefined || answer.isBreakGlass === true || lookalikes.length > 0;
  if (isForOne) return undefined;
  return (route.removesAuthorization ? KEPT_WITHOUT_TOKEN : KEPT)[stateOf(answer)];
}

/** What is not replaced is removed. Gateways remove last, so what is set must not be among it. */
function listRemoved({ audience, removesAuthorization }: CheckRoute, lookalikes: readonly string[]): readonly string[] {
  const others = audience === undefined ? lookalikes : lookalikes.filter((name) => name !== JWT_HEADER.toLowerCase());
  return removesAuthorization ? ["authorization", ...others] : others;
}

/** OK, which is 0. A reader may take an answer without a status for a refusal. */
const SUCCESS = delimited(RESPONSE.status, "");

/** `shown` are headers for the client, next to those of the application. */
function allow(identity: readonly string[], removed: readonly string[], shown: readonly string[] = []): string {
  let response = encodeHeaders(OK.headers, identity);
  for (const name of removed) response += delimited(OK.headersToRemove, name);
  response += encodeHeaders(OK.responseHeaders, shown, APPEND);
  return SUCCESS + delimited(RESPONSE.ok, response);
}

/**
 * `denied_response` and `error_response` exclude each other, and readers take the later one. Envoy knows `error_response` since 1.37:
 * it counts as a failure of the verifier, not as a refusal. Before that, Envoy skips it and takes the other.
 */
function refuse({ status, headers }: HttpAnswer): string {
  const response = delimited(DENIED.status, numeric(1, status)) + encodeHeaders(DENIED.headers, headers);
  const isFailure = status >= 500;
  return (
    delimited(RESPONSE.status, numeric(1, CODES[status] ?? UNKNOWN_CODE)) +
    delimited(RESPONSE.denied, response) +
    (isFailure ? delimited(RESPONSE.error, response) : "")
  );
}

/** `append_action`: whatever the client has sent under this name is replaced. By default it would be kept. */
const OVERWRITE = numeric(3, 2);
const APPEND = "";

/** Headers, each a HeaderValueOption. `headers` are names and values in turn. */
function encodeHeaders(field: number, headers: readonly string[], action = OVERWRITE): string {
  let text = "";
  for (let place = 0; place < headers.length; place += 2) {
    const name = headers[place] as string;
    if (name === "Content-Length") continue; // the gateway's own: it adds a body if it likes
    const value = delimited(1, name.toLowerCase()) + delimited(2, headers[place + 1] as string);
    text += delimited(field, delimited(1, value) + action);
  }
  return text;
}

/** A `google.protobuf.Struct`, for access logs and rate limits. What a header cannot hold is not encoded here. */
function describe({ token, scopes }: Answer & { kind: "yes" }): string {
  const list = scopes.map((scope) => delimited(1, stringValue(scope))).join("");
  return (
    structField("token_id", stringValue(token.id)) +
    structField("owner", stringValue(token.owner)) +
    structField("namespace", stringValue(token.namespace)) +
    structField("name", stringValue(token.name)) +
    structField("scopes", delimited(6, list))
  );
}

const stringValue = (text: string) => delimited(3, utf8(text));
const structField = (name: string, value: string) => delimited(1, delimited(1, name) + delimited(2, value));

/** The answer if the route's configuration cannot be understood: nothing passes, and the client is not told why. */
export const MISCONFIGURED = refuse(emptyAnswer(500));
