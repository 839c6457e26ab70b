/*
 * A real API server cannot be made to answer 500, to send broken lines or to fall silent at will. This one can.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Answers one request. */
export type Answer = (response: ServerResponse, request: IncomingMessage) => void;

export interface ReceivedRequest {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly atMs: number;
  readonly isWatch: boolean;
}

/** A loopback HTTP server that answers as a test tells it to, for faults that a real API server cannot be asked for. */
export interface MisbehavingApiServer {
  readonly url: string;
  readonly kubeconfigPath: string;
  /** The test's own folder. */
  readonly folder: string;
  readonly requests: readonly ReceivedRequest[];
  /** How many requests are not completely answered yet, and whose clients are still connected. */
  readonly openRequests: number;
  /** The connections that are open now. */
  readonly openConnections: number;
  /** The answers to the next calls, in order; the last one is repeated. */
  calls(...answers: Answer[]): void;
  /** The answers to the next watches, in order; further watches stay silent. */
  watches(...answers: Answer[]): void;
  close(): Promise<void>;
}

export interface ServerOptions {
  /** The kubeconfig's user. */
  readonly user?: object;
}

export async function startMisbehavingApiServer(options: ServerOptions = {}): Promise<MisbehavingApiServer> {
  const folder = mkdtempSync(join(tmpdir(), "apitoken-misbehaving-"));
  const requests: ReceivedRequest[] = [];
  const callAnswers: Answer[] = [];
  const watchAnswers: Answer[] = [];
  let openConnections = 0;
  let openRequests = 0;

  const server = createServer((request, response) => {
    openRequests += 1;
    response.on("close", () => {
      openRequests -= 1;
    });
    const url = new URL(request.url ?? "/", "http://server");
    const isWatch = url.searchParams.get("watch") === "true";
    requests.push({
      isWatch,
      method: request.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      atMs: performance.now(),
    });
    const answer = isWatch
      ? (watchAnswers.shift() ?? silence)
      : ((callAnswers.length > 1 ? callAnswers.shift() : callAnswers[0]) ?? json(500, {}));
    answer(response, request);
  });
  server.on("connection", (socket) => {
    openConnections += 1;
    socket.on("close", () => {
      openConnections -= 1;
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const kubeconfigPath = join(folder, "kubeconfig");
  writeFileSync(kubeconfigPath, formatKubeconfig(url, options.user ?? { token: "secret-of-the-kubeconfig" }));

  return {
    url,
    kubeconfigPath,
    folder,
    requests,
    get openRequests() {
      return openRequests;
    },
    get openConnections() {
      return openConnections;
    },
    calls: (...answers) => void callAnswers.splice(0, Number.POSITIVE_INFINITY, ...answers),
    watches: (...answers) => void watchAnswers.splice(0, Number.POSITIVE_INFINITY, ...answers),
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

export function formatKubeconfig(server: string, user: object): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "c", cluster: { server } }],
    users: [{ name: "u", user }],
    contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
    "current-context": "x",
  });
}

/** Answers with JSON. */
export function json(code: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) =>
    response.writeHead(code, { "content-type": "application/json", ...headers }).end(JSON.stringify(body));
}

/** Answers with an error, as an API server does. */
export function refuse(code: number, reason: string, headers: Record<string, string> = {}): Answer {
  return json(code, { kind: "Status", status: "Failure", code, reason, message: `refused: ${reason}` }, headers);
}

/** Answers a list. */
export function listOf(version: string, items: readonly object[] | null, next?: string): Answer {
  return json(200, {
    metadata: { resourceVersion: version, ...(next === undefined ? {} : { continue: next }) },
    items,
  });
}

/** Answers a watch with raw text, and then does something with the connection. */
export function stream(text: string, then: "close" | "break" | "hold"): Answer {
  return (response) => {
    response.writeHead(200, { "content-type": "application/json" }).flushHeaders();
    if (then === "close") response.end(text);
    else response.write(text, () => void (then === "break" && setTimeout(() => response.destroy(), 10)));
  };
}

/** A watch's events as the server sends them. */
export function lines(...events: (readonly [type: string, object: object])[]): string {
  return events.map(([type, object]) => `${JSON.stringify({ type, object })}\n`).join("");
}

/** Begins to answer, and says nothing more. */
export const silence: Answer = (response) => response.writeHead(200).flushHeaders();
