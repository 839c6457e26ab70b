/*
 * A backend that asks the verifier about the token of each request, with oauth4webapi. Node 24 runs this file as it is.
 * VERIFIER_TOKEN_FILE is the token of an ApiToken of the backend's own, with the scope apitoken:introspect.
 */
import { readFile } from "node:fs/promises";
import { createServer, type IncomingMessage } from "node:http";
import * as oauth from "oauth4webapi";

const {
  VERIFIER_URL = "http://apitoken-verifier:8182",
  VERIFIER_TOKEN_FILE = "/var/run/apitoken/token",
  PORT = "8080",
} = process.env;
const SCOPE = "orders:read";
const TIMEOUT_MS = 1_000;

const verifier: oauth.AuthorizationServer = {
  issuer: VERIFIER_URL,
  introspection_endpoint: `${VERIFIER_URL}/introspect`,
};
const client: oauth.Client = { client_id: "orders-backend" };

/** What the verifier says of a token. Throws if the verifier cannot say it. */
async function introspect(token: string, clientAddress: string): Promise<oauth.IntrospectionResponse> {
  // Read each time: after a rotation, the file has the next token.
  const secret = (await readFile(VERIFIER_TOKEN_FILE, "utf8")).trim();
  const response = await oauth.introspectionRequest(verifier, client, oauth.ClientSecretBasic(secret), token, {
    additionalParameters: { client_address: clientAddress },
    signal: AbortSignal.timeout(TIMEOUT_MS),
    [oauth.allowInsecureRequests]: VERIFIER_URL.startsWith("http:"),
  });
  return oauth.processIntrospectionResponse(verifier, client, response);
}

interface Answer {
  readonly status: number;
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

async function answer({ headers, socket }: IncomingMessage): Promise<Answer> {
  const token = /^Bearer ([\w.~+/-]+=*)$/i.exec(headers.authorization ?? "")?.[1];
  if (token === undefined) return { status: 401, headers: { "WWW-Authenticate": "Bearer" } };
  try {
    const { active, scope = "", sub } = await introspect(token, socket.remoteAddress ?? "");
    if (!active) return { status: 401, headers: { "WWW-Authenticate": 'Bearer error="invalid_token"' } };
    if (!scope.split(" ").includes(SCOPE)) {
      const challenge = `Bearer error="insufficient_scope", scope="${SCOPE}"`;
      return { status: 403, headers: { "WWW-Authenticate": challenge } };
    }
    return { status: 200, body: `the orders of ${sub}\n` };
  } catch (error) {
    // It is not known whether the token is good, so this is neither a yes nor a no.
    console.error("the verifier did not answer:", error instanceof Error ? error.message : error);
    return { status: 503, headers: { "Retry-After": "1" } };
  }
}

createServer(async (request, response) => {
  const { status, headers, body } = await answer(request);
  response.writeHead(status, headers).end(body);
}).listen(Number(PORT));
