/*
 * How a token is presented, and how it is refused: RFC 6750, sections 2.1 and 3.
 */
import type { RateStanding } from "../../token/rate-limit.ts";
import { isBearerToken } from "../../token/token-string.ts";
import type { CountedAnswer } from "../lookup.ts";
import {
  DONT_KNOW,
  describeRate,
  emptyAnswer,
  type HttpAnswer,
  headerValue,
  KeptAnswer,
  NO_STORE,
  TOO_MANY_FAILURES,
} from "./answer.ts";

/** What the header Authorization holds. */
export type Credentials =
  | { readonly kind: "token"; readonly token: string }
  /** Nothing, or another scheme than Bearer. */
  | { readonly kind: "none" }
  /** More than one, or what cannot be one (`orFaulty`). */
  | { readonly kind: "faulty" };

/** The request has no token, or it is not clear which one. */
export type NoToken = Exclude<Credentials, { kind: "token" }>;

const NONE: NoToken = { kind: "none" };
const FAULTY: NoToken = { kind: "faulty" };

/**
 * Reads the values of the header, one for each time that the request has it. The scheme is case-insensitive (RFC 9110, 11.1). Whether
 * a token may look like this is still to be asked: `orFaulty`.
 */
export function readBearer(values: readonly string[] | undefined): Credentials {
  if (values === undefined || values.length === 0) return NONE;
  const [value = ""] = values;
  if (values.length > 1) return FAULTY;
  const isBearer = value.startsWith("Bearer ") || /^bearer(?: |$)/i.test(value);
  if (!isBearer) return NONE;
  return { kind: "token", token: value.slice("Bearer ".length).trimStart() };
}

/** What is known of the token in a header, if that can hold one. A good token can, and to look at all of it takes as long as to find it. */
export function orFaulty<Known extends CountedAnswer>(answer: Known, token: string): Known | NoToken {
  return answer.kind === "yes" || isBearerToken(token) ? answer : FAULTY;
}

const REALM = 'Bearer realm="apitoken"';
const NO_CREDENTIALS = new KeptAnswer(emptyAnswer(401, ["WWW-Authenticate", REALM, ...NO_STORE]));
const INVALID_REQUEST = emptyAnswer(400, ["WWW-Authenticate", `${REALM}, error="invalid_request"`, ...NO_STORE]);
const INVALID_TOKEN = new KeptAnswer(
  emptyAnswer(401, ["WWW-Authenticate", `${REALM}, error="invalid_token"`, ...NO_STORE]),
);

/** Only whoever shows a good token gets this answer (RFC 6585, 4). */
function refuseRate(rate: RateStanding): HttpAnswer {
  return emptyAnswer(429, ["Retry-After", String(rate.seconds), ...describeRate(rate), ...NO_STORE]);
}

/** Refuses a request as RFC 6750 has it; `scopes` are those that it needs. The same for every token that is not good. */
export function refuseBearer(
  answer: Exclude<CountedAnswer, { kind: "yes" }> | NoToken,
  scopes: readonly string[] = [],
): HttpAnswer {
  if (answer.kind === "none") return NO_CREDENTIALS;
  if (answer.kind === "faulty") return INVALID_REQUEST;
  if (answer.kind === "unknown") return DONT_KNOW;
  if (answer.kind === "limited") return refuseRate(answer.rate);
  if (answer.why === "TooManyFailures") return TOO_MANY_FAILURES;
  if (answer.why !== "ScopeMissing") return INVALID_TOKEN;
  const wanted = headerValue(scopes.join(" ")).replaceAll(/["\\]/g, encodeURIComponent);
  const challenge = `${REALM}, error="insufficient_scope", scope="${wanted}"`;
  return emptyAnswer(403, ["WWW-Authenticate", challenge, ...NO_STORE]);
}
