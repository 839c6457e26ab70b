/*
 * How a backend says who it is: HTTP Basic or `client_secret` in the form (RFC 6749, 2.3.1), or a bearer token (RFC 7662, 2.1).
 * In all three the secret is the plaintext of an ApiToken of its own; the client id is its token's id, or anything else.
 */
import { isBearerToken } from "../../token/token-string.ts";
import { type HttpAnswer, NO_STORE, oauthError } from "./answer.ts";
import { type Credentials, readBearer } from "./bearer.ts";
import { type Form, valuesOf } from "./form.ts";

/** Reads who asks, from the values of the header Authorization and from the form. Two ways at once are faulty (RFC 6749, 2.3). */
export function readClient(authorization: readonly string[] | undefined, form: Form | undefined): Credentials {
  const posted = form === undefined ? [] : valuesOf(form, "client_secret");
  const shown = authorization ?? [];
  if (shown.length + posted.length > 1) return { kind: "faulty" };
  if (posted[0] !== undefined) return { kind: "token", token: posted[0] };
  const [value = ""] = shown;
  if (value.startsWith("Basic ") || /^basic /i.test(value)) return readBasic(value);
  const shownToken = readBearer(authorization);
  return shownToken.kind === "token" && !isBearerToken(shownToken.token) ? { kind: "faulty" } : shownToken;
}

/** User name and password are form-encoded before they are put into the header. Whatever is not ASCII then is not a token. */
function readBasic(value: string): Credentials {
  try {
    const text = decodeBase64(value.slice("Basic ".length).trim());
    const colon = text.indexOf(":");
    const secret = text.slice(colon + 1);
    const isEncoded = secret.includes("%") || secret.includes("+");
    const token = isEncoded ? decodeURIComponent(secret.replaceAll("+", " ")) : secret;
    return colon < 0 || token === "" ? { kind: "faulty" } : { kind: "token", token };
  } catch {
    return { kind: "faulty" };
  }
}

/** `atob` takes a third of the time, and is strict; some clients send the letters of base64url. */
function decodeBase64(text: string): string {
  try {
    return atob(text);
  } catch {
    return Buffer.from(text, "base64").toString("latin1");
  }
}

const CHALLENGES = ["WWW-Authenticate", 'Basic realm="apitoken"', "WWW-Authenticate", 'Bearer realm="apitoken"'];

/** RFC 6749, 5.2: nobody learns whether the secret was missing, wrong, or without the right. */
export const UNKNOWN_CLIENT: HttpAnswer = oauthError(
  401,
  "invalid_client",
  "show an ApiToken with the scope for this",
  CHALLENGES,
);

export const AMBIGUOUS_CLIENT: HttpAnswer = oauthError(
  400,
  "invalid_request",
  "authenticate in one way: HTTP Basic, client_secret or a bearer token",
  NO_STORE,
);

/** RFC 9701, 5: who asks for a signed answer without saying who they are gets the status 400. */
export const NAMELESS_CLIENT: HttpAnswer = oauthError(
  400,
  "invalid_request",
  "a signed answer is for somebody: authenticate with an ApiToken with the scope for this",
  NO_STORE,
);
