/*
 * `GET /.well-known/oauth-authorization-server`: RFC 8414. Clients that are configured with an issuer alone find the endpoints
 * here.
 */
import { type HttpAnswer, jsonAnswer } from "./answer.ts";

/** Where the keys are with which answers are signed. */
export const KEYS_PATH = "/.well-known/jwks.json";

/**
 * The document of an issuer, which is the URL under which clients reach this verifier, without a slash at its end. `algorithm` is
 * that of signed answers (RFC 9701, 7).
 */
export function describeServer(issuer: string, algorithm: string | undefined): HttpAnswer {
  const methods = ["client_secret_basic", "client_secret_post"];
  return jsonAnswer(
    200,
    {
      issuer,
      // Tokens come from Kubernetes, so there are no endpoints that would issue any. The member is required (section 2), and must not
      // be empty (3.2); this is the registered type for "nothing is returned".
      response_types_supported: ["none"],
      introspection_endpoint: `${issuer}/introspect`,
      introspection_endpoint_auth_methods_supported: methods,
      revocation_endpoint: `${issuer}/revoke`,
      revocation_endpoint_auth_methods_supported: ["none"],
      ...(algorithm === undefined
        ? {}
        : { jwks_uri: `${issuer}${KEYS_PATH}`, introspection_signing_alg_values_supported: [algorithm] }),
    },
    ["Cache-Control", "public, max-age=3600"],
  );
}
