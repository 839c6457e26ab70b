/*
 * The application behind a gateway: it answers with what it was asked, header by header, so that a test sees exactly what a gateway
 * has let through.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";

/** What the application was asked. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  /** Names and values in turn, as they arrived. */
  readonly rawHeaders: readonly string[];
  readonly body: string;
}

export interface GatewayApp {
  readonly port: number;
  /** The request whose header `X-Case` has this value; undefined if it has not arrived. */
  find(id: string): SeenRequest | undefined;
  stop(): Promise<void>;
}

/** The header by which a test finds its request. */
export const CASE_HEADER = "X-Case";

/** Starts the application on a free port. A connection that is upgraded gets back every byte that it sends. */
export async function startGatewayApp(): Promise<GatewayApp> {
  const seen = new Map<string, SeenRequest>();
  const sockets = new Set<Duplex>();
  const note = (request: IncomingMessage, body: string) => {
    const { method = "", url = "", rawHeaders } = request;
    seen.set(String(request.headers[CASE_HEADER.toLowerCase()]), { method, url, rawHeaders, body });
  };
  const server = createServer({ maxHeaderSize: 65_536 }, (request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part) => void parts.push(part));
    request.on("end", () => {
      note(request, Buffer.concat(parts).toString());
      response.end("hello from the application");
    });
  });
  server.on("upgrade", (request, socket, head) => {
    note(request, "");
    sockets.add(socket);
    socket.on("error", () => {}).on("close", () => sockets.delete(socket));
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    socket.write(head);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    find: (id) => seen.get(id),
    stop() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeAllConnections();
      for (const socket of sockets) socket.destroy();
      return closed;
    },
  };
}
