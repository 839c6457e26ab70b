/*
 * The HTTP server for the kubelet's probes and for Prometheus. It knows nothing of what it reports on.
 */
import { createServer } from "node:http";
import type { Registry } from "prom-client";
import { listen } from "./listen.ts";
import { unifySockets } from "./shapes.ts";

/** Returns undefined if all is well, and otherwise what is wrong. */
export type Probe = () => string | undefined;

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

/** Serves `/healthz`, `/readyz` and `/metrics` (Prometheus' text format). Port 0 picks a free port. */
export async function startHealthServer(options: {
  port: number;
  host?: string;
  isHealthy: Probe;
  isReady: Probe;
  metrics: Registry;
}): Promise<HealthServer> {
  const probes: Readonly<Record<string, Probe>> = { "/healthz": options.isHealthy, "/readyz": options.isReady };
  const server = createServer(async (request, response) => {
    const path = (request.url ?? "/").split("?")[0] ?? "/";
    const probe = probes[path];
    if (request.method !== "GET" && request.method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" }).end();
    } else if (probe) {
      const fault = probe();
      response.writeHead(fault === undefined ? 200 : 503, { "content-type": "text/plain" }).end(`${fault ?? "ok"}\n`);
    } else if (path === "/metrics") {
      const text = await options.metrics.metrics();
      response.writeHead(200, { "content-type": options.metrics.contentType }).end(text);
    } else {
      response.writeHead(404).end();
    }
  });
  unifySockets(server);
  return {
    port: await listen(server, options.port, options.host),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
