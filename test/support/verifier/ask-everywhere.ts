/*
 * Tokens wherever somebody could put them when they ask a verifier: where they belong, and where only a mistake would.
 */
import { openCheckClient, prefixed } from "./check-client.ts";

/** Where a verifier is asked. */
export interface AskedVerifier {
  readonly gatewayUrl: string;
  readonly introspectionUrl: string;
  readonly grpcPort: number;
}

type Asked = readonly [path: string, init: RequestInit];

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const basic = (token: string) => ({ authorization: `Basic ${btoa(`${token}:${token}`)}` });

/** A token wherever a gateway, or its client, could put it. */
const askAsGateway = (token: string): Asked[] => [
  ...[
    "/verify",
    "/verify/scope/none/-/x",
    "/verify/nginx/-/x",
    "/verify/audience/orders/-/x",
    "/shadow/-/x",
    "/token",
  ].map((path): Asked => [path, { headers: bearer(token) }]),
  ["/verify", { headers: basic(token) }],
  ["/verify", { headers: { authorization: token } }],
  ["/verify", { headers: { authorization: `Bearer ${token}, Bearer ${token}` } }],
  ["/verify", { headers: { cookie: `token=${token}`, "x-api-key": token, "x-forwarded-for": token } }],
  ["/verify", { headers: { ...bearer(token), "x-forwarded-for": token } }],
  ["/verify", { method: "POST", body: new URLSearchParams({ access_token: token }) }],
  [`/verify?access_token=${token}&token=${token}`, {}],
  [`/verify/-/${token}?token=${token}`, {}],
  [`/verify/${token}`, {}],
  [`/token/${token}`, {}],
  [`/${token}`, {}],
];

/** The same over gRPC, with a token in the path as well. */
async function askOverGrpc({ grpcPort }: AskedVerifier, token: string): Promise<string[]> {
  const client = openCheckClient(`http://127.0.0.1:${grpcPort}`);
  const headers = ["x-api-key", token, "cookie", `token=${token}`, "x-forwarded-for", token];
  const authorizations = [`Bearer ${token}`, `Basic ${btoa(`${token}:${token}`)}`, token, `Bearer ${token}, Bearer x`];
  try {
    const outcomes = authorizations.map((value) =>
      client.check({ headers: ["authorization", value, ...headers], context: { scope: "none" }, peer: token }),
    );
    const signed = client.check({ headers: ["authorization", `Bearer ${token}`], context: { audience: "orders" } });
    const stray = client.call(`/${token}`, prefixed(Buffer.from(token)));
    const { message, ...rest } = await stray;
    const all = [...(await Promise.all(outcomes)), await signed, { ...rest, message: message?.toString("latin1") }];
    return all.map((outcome) => withClaims(JSON.stringify(outcome)));
  } finally {
    client.close();
  }
}

const JWT_TYPE = "application/token-introspection+jwt";

/** A token wherever a backend, or somebody who confuses fields, could put it. */
const askAsBackend = (token: string, client: string): Asked[] => [
  ...["/introspect", "/explain"].flatMap((path): Asked[] => [
    [path, { method: "POST", headers: bearer(client), body: new URLSearchParams({ token }) }],
    [path, { method: "POST", headers: bearer(token), body: new URLSearchParams({ token }) }],
    [path, { method: "POST", headers: basic(token), body: new URLSearchParams({ token }) }],
    [path, { method: "POST", body: new URLSearchParams({ token, client_id: token, client_secret: token }) }],
    [path, { method: "POST", headers: bearer(client), body: new URLSearchParams(`token=${token}&token=${token}`) }],
    [path, { method: "POST", headers: bearer(client), body: JSON.stringify({ token }) }],
    [path, { method: "POST", headers: { ...bearer(client), accept: JWT_TYPE }, body: new URLSearchParams({ token }) }],
    [`${path}?token=${token}`, { method: "POST", headers: bearer(client), body: new URLSearchParams({ [token]: "" }) }],
    [`${path}/${token}`, { headers: bearer(token) }],
  ]),
  [
    "/introspect",
    {
      method: "POST",
      headers: bearer(client),
      body: new URLSearchParams({ token, token_type_hint: token, client_address: token }),
    },
  ],
  ["/tokenreview", { method: "POST", headers: bearer(client), body: review(token) }],
  ["/tokenreview", { method: "POST", headers: bearer(token), body: review(token) }],
  ["/tokenreview", { method: "POST", headers: bearer(client), body: review(token).slice(1) }],
  ["/leaks", { method: "POST", body: `["${token}"` }],
  ["/leaks", { method: "POST", body: JSON.stringify({ token }) }],
  ["/v1/revoke_tokens", { method: "POST", body: JSON.stringify([{ type: token, token, location: token }]) }],
  ["/revoke", { method: "POST", body: new URLSearchParams(`token=${token}&token=${token}`) }],
];

const review = (token: string) =>
  JSON.stringify({ apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } });

/** Ends a token, if that is possible, and returns everything that comes back. */
export const endEverywhere = ({ introspectionUrl }: AskedVerifier, token: string): Promise<string[]> =>
  collect(introspectionUrl, end(token));

const end = (token: string): Asked[] => [
  ["/revoke", { method: "POST", body: new URLSearchParams({ token, token_type_hint: token }) }],
  ["/leaks", { method: "POST", body: JSON.stringify({ tokens: [token] }) }],
];

/** A text with what its JWTs say, which nobody would find in them as they are. */
const withClaims = (text: string) =>
  text.replaceAll(/(eyJ[\w-]+)\.([\w-]+)\.[\w-]+/g, (jwt, header: string, claims: string) =>
    [jwt, ...[header, claims].map((part) => Buffer.from(part, "base64url").toString())].join(" "),
  );

/** Asks, and returns everything that comes back. */
const collect = async (url: string, asked: readonly Asked[]): Promise<string[]> =>
  Promise.all(
    asked.map(async ([path, init]) => {
      const response = await fetch(url + path, init);
      return withClaims(JSON.stringify([response.status, [...response.headers], await response.text()]));
    }),
  );

/** Shows every token everywhere, and returns everything that comes back. `client` may ask about tokens. */
export async function askEverywhere(
  verifier: AskedVerifier,
  tokens: readonly string[],
  client: string,
): Promise<string[]> {
  const answers: string[] = [];
  for (const token of tokens) {
    answers.push(...(await collect(verifier.gatewayUrl, askAsGateway(token))));
    answers.push(...(await askOverGrpc(verifier, token)));
    answers.push(...(await collect(verifier.introspectionUrl, askAsBackend(token, client))));
  }
  return answers;
}
