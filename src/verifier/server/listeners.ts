/*
 * The ports on which a verifier is asked.
 */
import type { RequestListener } from "node:http";
import type { Logger } from "../../runtime/log.ts";
import type { VerifierConfig } from "../config.ts";
import type { VerifierParts } from "../parts.ts";
import { createBackendHandler } from "./backend.ts";
import { createGrpcMethods } from "./check.ts";
import { createGatewayHandler } from "./gateway.ts";
import { startGrpcServer } from "./grpc-server.ts";
import { type HttpServer, startHttpServer } from "./http-server.ts";
import { timeSome } from "./timing.ts";

/** What listens. */
export interface Listeners {
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  readonly grpcPort: number;
  /** Everything is still answered, but clients that stay connected are asked to go elsewhere. */
  leave(): void;
  /** Takes no more connections, and ends all that are left after this time. */
  close(limitMs: number): Promise<void>;
}

/** Certificates are replaced days before they end, or at once if the key has leaked. */
const CERTIFICATE_EVERY_MS = 5_000;

/** Listens on all ports. Throws a Fault if a port is taken or the certificate cannot be read. */
export async function startListeners(config: VerifierConfig, parts: VerifierParts, log: Logger): Promise<Listeners> {
  const { gatewayPort, introspectionPort, grpcPort, tls } = config;
  let isLeaving = false;
  const timed = (handle: RequestListener) => timeSome(handle, parts.timeAnswer);
  const gateway = await startHttpServer({ port: gatewayPort, tls, handle: timed(createGatewayHandler(parts)) });
  const backend = await startHttpServer({ port: introspectionPort, tls, handle: timed(createBackendHandler(parts)) });
  const methods = createGrpcMethods(parts, () => parts.truth.isComplete && !isLeaving);
  const grpc = await startGrpcServer({ port: grpcPort, tls, methods });
  const servers = [gateway, backend, grpc];
  const certificates = setInterval(() => renewCertificates(servers, log), CERTIFICATE_EVERY_MS);
  certificates.unref();
  return {
    gatewayPort: gateway.port,
    introspectionPort: backend.port,
    grpcPort: grpc.port,
    leave() {
      isLeaving = true;
      for (const server of servers) server.retire();
    },
    async close(limitMs) {
      clearInterval(certificates);
      await Promise.all(servers.map((server) => server.close(limitMs)));
    },
  };
}

/** What cannot be used for now, such as a certificate without its key, is tried again: the last one may be good for days. */
function renewCertificates(servers: readonly HttpServer[], log: Logger): void {
  try {
    const renewed = servers.filter((server) => server.renewCertificate());
    if (renewed.length > 0) log.info("the certificate was read again");
  } catch (error) {
    log.warn({ err: error }, "the certificate cannot be used; the last one is used");
  }
}
