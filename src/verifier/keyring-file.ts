/*
 * The keyring as a mounted Secret. The kubelet replaces the file when the Secret changes, and it must be read again before the
 * controller uses a new key; a file that cannot be read for a moment leaves the last keyring in place.
 */
import { readFile } from "node:fs/promises";
import { setTimeout as delay } from "node:timers/promises";
import { KeyringError, parseKeyring } from "../runtime/keyring-json.ts";
import type { Logger } from "../runtime/log.ts";
import type { Keyring } from "../token/keyring.ts";

/** The keyring of a file. */
export interface KeyringFile {
  /** As it was last read. */
  readonly keyring: Keyring;
  /** Whether the file could be read the last time. */
  readonly isReadable: boolean;
}

const EVERY_MS = 1_000;

/** Reads the file, and again every second until the signal. Throws a KeyringError if it cannot be used at first. */
export async function openKeyringFile(path: string, log: Logger, signal: AbortSignal): Promise<KeyringFile> {
  let text = await readText(path);
  const state = { keyring: parseKeyring(text, `the file ${path}`).keyring, isReadable: true };
  const watch = async () => {
    while (!signal.aborted) {
      await delay(EVERY_MS, undefined, { signal, ref: false }).catch(() => {});
      try {
        const next = await readText(path);
        state.isReadable = true;
        if (next === text) continue;
        state.keyring = parseKeyring(next, `the file ${path}`).keyring;
        text = next;
        log.info("the keyring was read again");
      } catch (error) {
        if (state.isReadable) log.warn({ err: error }, "the keyring cannot be read; the last one is used");
        state.isReadable = false;
      }
    }
  };
  void watch();
  return state;
}

async function readText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new KeyringError(
      {
        faultCode: "APITOKEN_E_KEYRING_MISSING",
        object: `the file ${path}`,
        problem: "it cannot be read",
        remedy: "mount the Secret of the keyring there, or name another file in APITOKEN_KEYRING_FILE",
      },
      { cause },
    );
  }
}
