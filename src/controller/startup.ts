/*
 * What a controller must know before it observes anything. Pod, API server and database start in any order: a server
 * that is not up yet is waited for instead of crashing the pod.
 */
import { setTimeout as delay } from "node:timers/promises";
import { KubeApiError, KubeUnreachableError } from "../kube/api-error.ts";
import { findClusterId } from "../kube/resources/namespace.ts";
import type { KubeTransport } from "../kube/transport.ts";
import type { Database } from "../postgres/database.ts";
import { DatabaseUnavailableError } from "../postgres/errors.ts";
import { requireSchema } from "../postgres/migrations.ts";
import { hasTokens } from "../postgres/tokens.ts";
import type { Logger } from "../runtime/log.ts";
import type { Keyring } from "../token/keyring.ts";
import type { KeyringPlace } from "./config.ts";
import { loadKeyring } from "./keyring/secret.ts";

/** What every decision rests on: without it nothing can be observed. */
export interface Ground {
  readonly keyring: Keyring;
  /** The UID of the namespace kube-system: several clusters may share one database. */
  readonly clusterId: string;
}

/**
 * Finds out which cluster this is and reads (or, the first time, makes) the keyring. Waits for an API server or a
 * database that is not up yet; throws what waiting does not fix.
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
  return error instanceof DatabaseUnavailableError || error instanceof KubeUnreachableError;
}
