import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import type { KubeTransport } from "../../kube/transport.ts";
import type { Logger } from "../../runtime/log.ts";
import type { Keyring } from "../../token/keyring.ts";
import type { KeyringPlace } from "../config.ts";
import { readKeyring } from "./secret.ts";

export interface KeyringWatchOptions {
  readonly transport: KubeTransport;
  readonly place: KeyringPlace;
  /** What the program works with. */
  readonly known: Keyring;
  readonly intervalMs: number;
  readonly log: Logger;
}

/**
 * Reads the keyring's Secret again and again; resolves with what it holds once that is another keyring, or with undefined
 * after the signal. A Secret that is gone, damaged or cannot be read changes nothing: the known keyring serves on.
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
      if (stored === undefined) throw new Error(`the Secret "${place.namespace}/${place.name}" is gone; restore it`);
      if (!isDeepStrictEqual(stored.keyring, known)) return stored.keyring;
      isFailing = false;
    } catch (error) {
      if (!isFailing) log.error({ err: error }, "keyring cannot be read again; going on with the one that is known");
      isFailing = true;
    }
  }
  return undefined;
}
