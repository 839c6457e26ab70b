/*
 * The faults that only an HTTP proxy can play: status codes, empty lists, expired or broken watches. Faults of the
 * network itself are in proxy.ts.
 */
import { readFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { Agent, createServer, request as send } from "node:https";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";

/** A way in which an API server, or a proxy in front of it, misbehaves. */
export type ApiFault =
  | { readonly kind: "status"; readonly code: number; readonly retryAfterSeconds?: number }
  /** A list without items that is otherwise correct. */
  | { readonly kind: "empty list" }
  /** A watch that reports at once that its version has expired (410). */
  | { readonly kind: "expired" }
  /** A watch that breaks off in the middle of the next line. */
  | { readonly kind: "truncated" };

export type ApiCall = "all" | "lists" | "watches" | "calls";

/** An HTTP proxy in front of the API server. */
export interface ApiProxy {
  readonly port: number;
  /** How many answers were made faulty. */
  readonly faults: number;
  /** From now on calls fail as these rules say; for each call, the first rule that matches it counts. */
  play(...rules: readonly (readonly [on: ApiCall, fault: ApiFault])[]): void;
  /** Ends all open watches properly, so that clients start new ones. */
  endWatches(): void;
  close(): Promise<void>;
}

/**
 * Starts a proxy in front of the API server of a kubeconfig that `startControlPlane` has written. It uses the API
 * server's own certificate, so the same kubeconfig works with the proxy's port.
 */
export async function startApiProxy(kubeconfigPath: string): Promise<ApiProxy> {
  const { hostname, port } = new URL(readServer(kubeconfigPath));
  const certs = join(dirname(kubeconfigPath), "certs");
  const cert = readFileSync(join(certs, "apiserver.crt"));
  const agent = new Agent({ keepAlive: true, ca: cert });
  const watches = new Set<ServerResponse>();
  let rules: readonly (readonly [ApiCall, ApiFault])[] = [];
  let faults = 0;

  const findFault = (call: ApiCall): ApiFault | undefined => rules.find(([on]) => on === "all" || on === call)?.[1];

  const server = createServer({ cert, key: readFileSync(join(certs, "apiserver.key")) }, (request, response) => {
    const call = classify(request);
    const fault = findFault(call);
    if (fault?.kind === "status" || fault?.kind === "expired") {
      faults += 1;
      request.resume();
      answer(response, fault);
      return;
    }
    const { method, url, headers } = request;
    const upstream = send({ host: hostname, port, method, path: url, headers, agent });
    upstream.on("error", () => response.destroy());
    response.on("close", () => upstream.destroy());
    request.pipe(upstream);
    upstream.on("response", (reply) => {
      reply.on("error", () => response.destroy());
      if (fault?.kind === "empty list") {
        faults += 1;
        return void forwardEmptied(reply, response);
      }
      response.writeHead(reply.statusCode ?? 502, reply.headers);
      response.flushHeaders();
      if (call !== "watches") return void reply.pipe(response);
      watches.add(response);
      response.on("close", () => watches.delete(response));
      reply.on("end", () => response.end());
      reply.on("data", (chunk: Buffer) => {
        if (response.writableEnded || response.destroyed) return;
        if (findFault(call)?.kind !== "truncated") return void response.write(chunk);
        faults += 1;
        response.write(chunk.subarray(0, chunk.length / 2), () => response.destroy());
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));

  return {
    port: (server.address() as AddressInfo).port,
    get faults() {
      return faults;
    },
    play(...next) {
      rules = next;
    },
    endWatches() {
      for (const watch of watches) watch.end();
    },
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      agent.destroy();
      await closed;
    },
  };
}

/** Only reflectors request lists in pages, so a GET with a limit is one of their lists. */
function classify({ method, url = "" }: IncomingMessage): ApiCall {
  const { searchParams } = new URL(url, "https://localhost");
  if (searchParams.get("watch") === "true") return "watches";
  return method === "GET" && searchParams.has("limit") ? "lists" : "calls";
}

function answer(response: ServerResponse, fault: ApiFault & { kind: "status" | "expired" }): void {
  const code = fault.kind === "status" ? fault.code : 410;
  const status = { kind: "Status", apiVersion: "v1", status: "Failure", code, reason: "Injected" };
  const body = fault.kind === "expired" ? { type: "ERROR", object: status } : status;
  const retryAfter = fault.kind === "status" ? fault.retryAfterSeconds : undefined;
  response.writeHead(fault.kind === "expired" ? 200 : code, {
    "content-type": "application/json",
    ...(retryAfter === undefined ? {} : { "retry-after": String(retryAfter) }),
  });
  response.end(`${JSON.stringify(body)}\n`);
}

async function forwardEmptied(reply: IncomingMessage, response: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of reply) chunks.push(chunk as Buffer);
  const list = JSON.parse(Buffer.concat(chunks).toString()) as { metadata: { continue?: string } };
  const { continue: _, ...metadata } = list.metadata;
  response.writeHead(reply.statusCode ?? 502, { "content-type": "application/json" });
  response.end(JSON.stringify({ ...list, metadata, items: [] }));
}

function readServer(kubeconfigPath: string): string {
  return JSON.parse(readFileSync(kubeconfigPath, "utf8")).clusters[0].cluster.server;
}
