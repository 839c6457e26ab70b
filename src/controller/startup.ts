/*
 * What the controller and its commands need before their own work: connections that all of them open in the same way, and
 * what must be known before anything is observed. Pod, API server and database start in any order, so a server that is
 * not up yet is waited for; crashing the pod instead would only make the wait longer.
 */
import { setTimeout as delay } from "node:timers/promises";
import { KubeApiError, KubeUnreachableError } from "../kube/api-error.ts";
import { findClusterId } from "../kube/resources/namespace.ts";
import { createTransport, type KubeTransport } from "../kube/transport.ts";
import { type Database, openDatabase } from "../postgres/database.ts";
import { DatabaseUnavailableError } from "../postgres/errors.ts";
import { requireSchema } from "../postgres/schema-version.ts";
import { hasTokens } from "../postgres/tokens.ts";
import type { Logger } from "../runtime/log.ts";
import { VERSION } from "../runtime/version.ts";
import type { Keyring } from "../token/keyring.ts";
import type { ControllerConfig, KeyringPlace } from "./config.ts";
import { KeyringRefusedError, loadKeyring } from "./keyring/secret.ts";

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

/** What every decision rests on: without it nothing can be observed. */
export interface Ground {
  readonly keyring: Keyring;
  /** The UID of the namespace kube-system: several clusters may share one database. */
  readonly clusterId: string;
}

/**
 * Finds out which cluster this is and reads (or, the first time, makes) the keyring. Waits for an API server or a
 * database that is not up yet, and while a quota or a webhook refuses the keyring; throws what waiting does not fix.
 */
export async function findGround(
  transport: KubeTransport,
  db: Database,
  place: KeyringPlace,
  log: Logger,
  signal: AbortSignal,
): Promise<Ground> {
  for (let waitMs = 250; ; waitMs = Math.min(waitMs * 2, 5_000)) {
    try {
      const clusterId = await findClusterId(transport);
      const isInUse = async () => {
        await requireSchema(db);
        return hasTokens(db, clusterId);
      };
      return { clusterId, keyring: await loadKeyring(transport, place, isInUse) };
    } catch (error) {
      if (!isPassing(error) || signal.aborted) throw error;
      log.warn({ err: error }, "cannot start yet; trying again");
      await delay(waitMs, undefined, { signal });
    }
  }
}

function isPassing(error: unknown): boolean {
  if (error instanceof KubeApiError) return error.code === 429 || error.code >= 500;
  return [DatabaseUnavailableError, KubeUnreachableError, KeyringRefusedError].some((kind) => error instanceof kind);
}
