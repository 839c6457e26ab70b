/*
 * The keyring as a mounted Secret. It must be read again before the controller uses a new key.
 */
import { KeyringError, parseKeyring } from "../runtime/keyring-json.ts";
import type { Logger } from "../runtime/log.ts";
import { watchFile } from "../runtime/watched-file.ts";
import type { Keyring } from "../token/keyring.ts";

/** The keyring of a file. */
export interface KeyringFile {
  /** As it was last read. */
  readonly keyring: Keyring;
  /** Whether the file could be read the last time. */
  readonly isReadable: boolean;
}

/** Reads the file, and again every second until the signal. Throws a KeyringError if it cannot be used at first. */
export async function openKeyringFile(path: string, log: Logger, signal: AbortSignal): Promise<KeyringFile> {
  const file = await watchFile(
    {
      path,
      parse: (text) => parseKeyring(text, `the file ${path}`).keyring,
      missing: (cause) => createMissingError(path, cause),
      onChanged: () => log.info("the keyring was read again"),
      onUnreadable: (error) => log.warn({ err: error }, "the keyring cannot be read; the last one is used"),
    },
    signal,
  );
  return {
    get keyring() {
      return file.content;
    },
    get isReadable() {
      return file.isReadable;
    },
  };
}

function createMissingError(path: string, cause: unknown): KeyringError {
  return new KeyringError(
    {
      faultCode: "APITOKEN_E_KEYRING_MISSING",
      object: `the file ${path}`,
      problem: "it cannot be read",
      remedy: "mount the Secret of the keyring there, or name another file in APITOKEN_KEYRING_FILE",
    },
    { cause },
  );
}
