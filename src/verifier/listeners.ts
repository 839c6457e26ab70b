/*
 * The ports on which a verifier is asked.
 */
import { createBackendHandler } from "./backend.ts";
import type { VerifierConfig } from "./config.ts";
import { createGatewayHandler } from "./gateway.ts";
import { startHttpServer } from "./http-server.ts";
import type { VerifierParts } from "./parts.ts";

/** What listens. */
export interface Listeners {
  readonly gatewayPort: number;
  readonly introspectionPort: number;
  /** Takes no more connections, and ends all that are left after this time. */
  close(limitMs: number): Promise<void>;
}

/** Certificates are replaced days before they end. */
const CERTIFICATE_EVERY_MS = 60_000;

/** Listens on all ports. Throws a Fault if a port is taken or the certificate cannot be read. */
export async function startListeners(config: VerifierConfig, parts: VerifierParts): Promise<Listeners> {
  const { gatewayPort, introspectionPort, tls } = config;
  const gateway = await startHttpServer({ port: gatewayPort, tls, handle: createGatewayHandler(parts) });
  const backend = await startHttpServer({ port: introspectionPort, tls, handle: createBackendHandler(parts) });
  const servers = [gateway, backend];
  const certificates = setInterval(() => {
    for (const server of servers) server.renewCertificate();
  }, CERTIFICATE_EVERY_MS);
  certificates.unref();
  return {
    gatewayPort: gateway.port,
    introspectionPort: backend.port,
    async close(limitMs) {
      clearInterval(certificates);
      await Promise.all(servers.map((server) => server.close(limitMs)));
    },
  };
}
