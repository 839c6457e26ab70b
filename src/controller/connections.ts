/*
 * Opens what every command of the controller talks to, in the same way for all of them: names, roles and time limits
 * agree, and whoever opens them closes them.
 */
import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import { createTransport, type KubeTransport } from "../kube/transport.ts";
import { type Database, openDatabase } from "../postgres/database.ts";
import type { Logger } from "../runtime/log.ts";
import { VERSION } from "../runtime/version.ts";
import type { ControllerConfig } from "./config.ts";

/** The API server and the database. */
export interface Connections {
  readonly transport: KubeTransport;
  readonly db: Database;
  close(): Promise<void>;
}

/** Prepares to talk to cluster and database as `identity`; no connection is opened yet. */
export async function connect(config: ControllerConfig, identity: string, log: Logger): Promise<Connections> {
  const transport = await createTransport({
    userAgent: `apitoken-controller/${VERSION} (${identity})`,
    ...(config.kubeconfigPath === undefined ? {} : { kubeconfigPath: config.kubeconfigPath }),
    requestTimeoutMs: Math.min(config.lease.renewDeadlineMs * 0.8, 10_000),
  });
  const db = openDatabase({
    ...config.databaseLogin,
    role: "apitoken_controller",
    actor: `controller/${identity}`,
    maxConnections: config.databaseConnections,
    onIdleError: (error) => log.debug({ err: error }, "idle database connection lost"),
  });
  return { transport, db, close: async () => void (await Promise.allSettled([transport.close(), db.close()])) };
}

/** A name that no other replica has: the host's, and a random part. */
export function inventIdentity(prefix = ""): string {
  return `${prefix}${hostname().slice(0, 50 - prefix.length)}-${randomBytes(4).toString("hex")}`;
}
