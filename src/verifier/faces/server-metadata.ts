/*
 * `GET /.well-known/oauth-authorization-server`: RFC 8414. Clients that are configured with an issuer alone find the endpoints
 * here.
 */
import { type HttpAnswer, jsonAnswer } from "./answer.ts";

/** The document of an issuer, which is the URL under which clients reach this verifier, without a slash at its end. */
export function describeServer(issuer: string): HttpAnswer {
  const methods = ["client_secret_basic", "client_secret_post"];
  return jsonAnswer(
    200,
    {
      issuer,
      // Tokens come from Kubernetes, so there are no endpoints that would issue any; RFC 8414 requires this member all the same.
      response_types_supported: [],
      grant_types_supported: [],
      introspection_endpoint: `${issuer}/introspect`,
      introspection_endpoint_auth_methods_supported: methods,
      revocation_endpoint: `${issuer}/revoke`,
      revocation_endpoint_auth_methods_supported: ["none"],
    },
    ["Cache-Control", "public, max-age=3600"],
  );
}
