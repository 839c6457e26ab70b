/*
 * What a verifier signs: introspection as a JWT (RFC 9701), the identity that a gateway passes on, and the keys to check both
 * (RFC 7517).
 */
import type { Answer } from "../lookup.ts";
import { endOf, type HttpAnswer, jsonAnswer, NO_STORE } from "./answer.ts";

export const INTROSPECTION_JWT = "token-introspection+jwt";

/** Whether a client asks for the JWT of RFC 9701, by the values of its header Accept (RFC 9110, 12.5.1). */
export function wantsIntrospectionJwt(accept: readonly string[] | undefined): boolean {
  return (accept ?? [])
    .flatMap((value) => value.split(","))
    .some((range) => {
      const [type = "", ...parameters] = range.split(";").map((part) => part.trim().toLowerCase());
      return type === `application/${INTROSPECTION_JWT}` && !parameters.some((one) => /^q=0(\.0*)?$/.test(one));
    });
}

/** The claims of RFC 9701, 5. `sub` and `exp` are left out, so that nobody takes the JWT for an access token. */
export function introspectionClaims(issuer: string, audience: string, nowMs: number, answer: unknown) {
  return { iss: issuer, aud: audience, iat: Math.floor(nowMs / 1_000), token_introspection: answer };
}

/** The answer of RFC 9701 with this JWT. */
export function introspectionJwtAnswer(jwt: string): HttpAnswer {
  const length = String(jwt.length);
  const headers = ["Content-Type", `application/${INTROSPECTION_JWT}`, ...NO_STORE, "Content-Length", length];
  return { status: 200, headers, body: jwt };
}

/** The header `typ` of the JWT that gateways pass on. */
export const IDENTITY_TYPE = "apitoken-identity+jwt";

/** How long an application may rely on the JWT that it was given. */
const IDENTITY_SECONDS = 60;

/** The claims for an application: whose token it was, and what it is good for. They end with the token. */
export function identityClaims(issuer: string, audience: string, nowMs: number, answer: Answer & { kind: "yes" }) {
  const { token, scopes } = answer;
  const iat = Math.floor(nowMs / 1_000);
  return {
    iss: issuer,
    aud: audience,
    sub: token.owner,
    client_id: `${token.namespace}/${token.name}`,
    scope: scopes.join(" "),
    token_id: token.id,
    iat,
    exp: Math.min(iat + IDENTITY_SECONDS, Math.ceil(endOf(answer) / 1_000)),
  };
}

/** The public keys, a JWK Set. Clients read it again when they meet an unknown key, and keep it for five minutes otherwise. */
export function describeKeys(keys: readonly object[]): HttpAnswer {
  return jsonAnswer(200, { keys }, ["Cache-Control", "public, max-age=300"]);
}
