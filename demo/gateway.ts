/*
 * A gateway as companies have one in front of their applications, and an application behind it. The gateway asks the verifier
 * about each request, and passes on only what it says yes to.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { listen } from "../src/runtime/listen.ts";

/** A running gateway. */
export interface Gateway {
  readonly url: string;
  stop(): Promise<void>;
}

/** Longer than a verifier ever takes. */
const PATIENCE_MS = 2_000;

/** What the client learns of a refusal. */
const TOLD = ["www-authenticate", "retry-after"];

/** Starts a gateway and its application on free ports of the loopback interface. */
export async function startGateway(verifierUrl: string): Promise<Gateway> {
  const application = createServer(greet);
  const gateway = createServer((incoming, response) => {
    void guard(verifierUrl, application.address() as AddressInfo, incoming, response);
  });
  await listen(application, 0, "127.0.0.1");
  const port = await listen(gateway, 0, "127.0.0.1");
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      for (const server of [gateway, application]) {
        server.close();
        server.closeAllConnections();
      }
    },
  };
}

/** The application: it has no token and checks none, and believes the headers of its gateway. */
function greet({ headers, url }: IncomingMessage, response: ServerResponse): void {
  const answer = {
    path: url,
    owner: headers["x-auth-owner"],
    tokenId: headers["x-auth-token-id"],
    state: headers["x-auth-token-state"],
  };
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
}

async function guard(
  verifierUrl: string,
  application: AddressInfo,
  incoming: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const verdict = await ask(verifierUrl, incoming.headersDistinct.authorization ?? []);
  if (verdict?.status === 200) return passOn(application, incoming, response, verdict.headers);
  const told = TOLD.flatMap((name) => [...(verdict?.headers ?? [])].filter(([each]) => each === name));
  response.writeHead(verdict?.status ?? 503, Object.fromEntries(told)).end();
}

/** What the verifier says of these credentials; undefined if it says nothing. */
async function ask(verifierUrl: string, credentials: readonly string[]): Promise<Response | undefined> {
  const headers = new Headers(credentials.map((value): [string, string] => ["authorization", value]));
  try {
    const response = await fetch(`${verifierUrl}/verify`, { headers, signal: AbortSignal.timeout(PATIENCE_MS) });
    await response.body?.cancel();
    return response;
  } catch {
    return undefined;
  }
}

/** Without the token, which the application does not need, and with the verifier's headers instead of the client's. */
function passOn(
  { address, port }: AddressInfo,
  incoming: IncomingMessage,
  response: ServerResponse,
  verdict: Headers,
): void {
  const theirs = Object.entries(incoming.headers).filter(([name]) => name !== "authorization" && !isOurs(name));
  const ours = [...verdict].filter(([name]) => isOurs(name));
  const headers: IncomingHttpHeaders = Object.fromEntries([...theirs, ...ours]);
  const outgoing = request({ host: address, port, method: incoming.method, path: incoming.url, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    answer.pipe(response);
  });
  outgoing.on("error", () => response.destroy());
  incoming.pipe(outgoing);
}

/** Some servers take an underscore for a hyphen. */
function isOurs(name: string): boolean {
  return name.replaceAll("_", "-").startsWith("x-auth-");
}
