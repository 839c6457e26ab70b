import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createTransport, type KubeTransport } from "../kube/transport.ts";
import { type Database, openDatabase } from "../postgres/database.ts";
import { readLogin } from "../runtime/config.ts";
import type { Logger } from "../runtime/log.ts";
import { VERSION } from "../runtime/version.ts";
import type { ControllerConfig } from "./config.ts";

/** The two that every command of the controller talks to. */
export interface Connections {
  readonly transport: KubeTransport;
  readonly db: Database;
  close(): Promise<void>;
}

/** Makes ready to talk to cluster and database as `identity`; opens no connection yet. */
export async function connect(config: ControllerConfig, identity: string, log: Logger): Promise<Connections> {
  const transport = await createTransport({
    userAgent: `apitoken-controller/${VERSION} (${identity})`,
    ...(config.KUBECONFIG === undefined ? {} : { kubeconfigPath: config.KUBECONFIG }),
    requestTimeoutMs: Math.min(config.APITOKEN_LEASE_RENEW_DEADLINE * 0.8, 10_000),
  });
  const db = openDatabase({
    ...readLogin(config),
    role: "apitoken_controller",
    actor: `controller/${identity}`,
    maxConnections: config.APITOKEN_DATABASE_CONNECTIONS,
    onIdleError: (error) => log.debug({ err: error }, "idle database connection lost"),
  });
  return { transport, db, close: async () => void (await Promise.allSettled([transport.close(), db.close()])) };
}

/** A name that no other replica has: the host's, and a random part. */
export function inventIdentity(prefix = ""): string {
  return `${prefix}${hostname().slice(0, 50 - prefix.length)}-${randomBytes(4).toString("hex")}`;
}
