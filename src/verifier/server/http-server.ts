/*
 * An HTTP server as gateways need it, and nothing that is about tokens.
 */
import { readFileSync } from "node:fs";
import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type ServerOptions,
  type ServerResponse,
} from "node:http";
import { createServer as createTlsServer } from "node:https";
import { Server as TlsServer } from "node:tls";
import { Fault } from "../../runtime/fault.ts";
import { listen } from "../../runtime/listen.ts";
import { unifySockets } from "../../runtime/shapes.ts";
import { whenEnded } from "../../runtime/signals.ts";

/** Files with a certificate chain and its key, in PEM. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
}

export interface HttpServerOptions {
  readonly port: number;
  readonly tls: TlsFiles | undefined;
  readonly handle: RequestListener;
}

export interface HttpServer {
  readonly port: number;
  /**
   * Reads the certificate again, for connections from now on; whether it has changed. Throws if it cannot be used, and keeps the
   * last one.
   */
  renewCertificate(): boolean;
  /** Asks all clients to open new connections, without failing a request on the old ones. */
  retire(): void;
  /** Takes no more connections, and ends those that are idle; the others end with their answer, or after the time given. */
  close(limitMs: number): Promise<void>;
}

const SETTINGS: ServerOptions = {
  // Longer than any proxy keeps an idle connection: who closes first decides who sees a reset.
  keepAliveTimeout: 620_000,
  headersTimeout: 10_000,
  requestTimeout: 10_000,
  // Cookies alone may take more than Node's 16 kB, and a gateway would turn the 431 into a 500.
  maxHeaderSize: 65_536,
  noDelay: true,
  // A request whose head announces no body has none to wait for: a twelfth of what it costs.
  optimizeEmptyRequests: true,
};

/** Starts a server; port 0 picks a free port. Throws a Fault if it cannot listen or read its certificate. */
export async function startHttpServer({ port, tls, handle }: HttpServerOptions): Promise<HttpServer> {
  const pair = tls && readTls(tls);
  const server =
    pair === undefined ? createServer(SETTINGS, handle) : createTlsServer({ ...SETTINGS, ...pair }, handle);
  unifySockets(server);
  return {
    port: await listen(server, port),
    renewCertificate: createRenewal(server, tls, pair),
    retire() {
      server.prependListener("request", endConnection);
    },
    async close(limitMs) {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      server.closeIdleConnections();
      await whenEnded(closed, limitMs);
      server.closeAllConnections();
    },
  };
}

/** A client that must not use the connection again is not about to send a request on it when it ends (RFC 9112, 9.6). */
function endConnection(_request: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
}

/** A certificate chain and its key, in PEM. */
export interface CertificatePair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Returns a server's `renewCertificate`. `first` is what it has begun with; without it, it does not speak TLS. */
export function createRenewal(
  server: object,
  tls: TlsFiles | undefined,
  first: CertificatePair | undefined,
): () => boolean {
  let pair = first;
  return () => {
    if (tls === undefined || !(server instanceof TlsServer)) return false;
    const next = readTls(tls);
    if (pair?.cert.equals(next.cert) && pair.key.equals(next.key)) return false;
    server.setSecureContext(next);
    pair = next;
    return true;
  };
}

/** The certificate and its key, as they are now. Throws a Fault if they cannot be read. */
export function readTls({ certificate, key }: TlsFiles): CertificatePair {
  try {
    return { cert: readFileSync(certificate), key: readFileSync(key) };
  } catch (cause) {
    const problem = "the certificate or its key cannot be read";
    throw new Fault({ faultCode: "APITOKEN_E_CONFIG_INVALID", object: `the file ${certificate}`, problem }, { cause });
  }
}

/** The values of a header, one for each time that the request has it; Node's own objects would drop all but one. */
export function headerValues({ rawHeaders }: IncomingMessage, name: string): readonly string[] | undefined {
  let values: string[] | undefined;
  for (let place = 0; place < rawHeaders.length; place += 2) {
    const header = rawHeaders[place];
    if (header?.length !== name.length || header.toLowerCase() !== name) continue;
    values ??= [];
    values.push(rawHeaders[place + 1] ?? "");
  }
  return values;
}

/**
 * Reads the body as text; undefined if it is larger than the limit, or breaks off. Calls `take` once. With listeners and without a
 * promise: an iterator over the stream takes as long as the rest of an answer.
 */
export function readBody(request: IncomingMessage, limitBytes: number, take: (body: string | undefined) => void): void {
  if (request.readableEnded) {
    take(""); // by its head it has none
    return;
  }
  const parts: Buffer[] = [];
  let bytes = 0;
  let isTaken = false;
  const end = (body: string | undefined) => {
    if (isTaken) return;
    isTaken = true;
    take(body);
  };
  request.on("data", (part: Buffer) => {
    bytes += part.length;
    if (bytes <= limitBytes) parts.push(part);
    else {
      request.pause();
      end(undefined);
    }
  });
  request.on("end", () => end((parts.length === 1 ? parts[0] : Buffer.concat(parts))?.toString("utf8")));
  request.on("close", () => end(undefined)); // an error, too: Node emits it only to those who listen
}
