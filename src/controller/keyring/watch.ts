/*
 * A rotated keyring must reach a running controller without a restart. The Secret is polled and not watched, because
 * the controller's watch sees only Secrets with our label, and a key takes over only minutes after it was added.
 */
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Logger } from "../../runtime/log.ts";
import type { Keyring } from "../../token/keyring.ts";
import type { KeyringPlace } from "../config.ts";
import { createMissingError, readKeyring } from "./secret.ts";

export interface KeyringWatchOptions {
  readonly transport: KubeTransport;
  readonly place: KeyringPlace;
  /** The keyring in use. */
  readonly known: Keyring;
  readonly intervalMs: number;
  readonly log: Logger;
}

/**
 * Reads the keyring's Secret at an interval. Resolves with its keyring once that differs from the known one, or with
 * undefined after the signal. If the Secret is gone, damaged or unreadable, the known keyring stays in use.
 */
export async function waitForNewKeyring(
  { transport, place, known, intervalMs, log }: KeyringWatchOptions,
  signal: AbortSignal,
): Promise<Keyring | undefined> {
  let isFailing = false;
  while (!signal.aborted) {
    await delay(intervalMs, undefined, { signal }).catch(() => {});
    if (signal.aborted) break;
    try {
      const stored = await readKeyring(transport, place);
      if (stored === undefined) throw createMissingError(place, "restore it from a backup");
      if (!isDeepStrictEqual(stored.keyring, known)) return stored.keyring;
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.error({ err: error }, "keyring cannot be read; continuing with the known one");
      isFailing = true;
    }
  }
  return undefined;
}
