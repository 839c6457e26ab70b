/*
 * Every write to an existing keyring. `controller keys` may run while somebody edits the Secret, and a lost key cannot
 * be brought back, so each write applies only to the version that was read and keeps everything that it does not
 * change.
 */
import { isCode } from "../../kube/api-error.ts";
import { setSecretValue } from "../../kube/resources/secret-api.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import { formatKey, KeyringError } from "../../runtime/keyring-json.ts";
import type { KeyKind } from "../../token/key-status.ts";
import { createKey, type Key } from "../../token/keyring.ts";
import type { KeyringPlace } from "../config.ts";
import { KEYRING_KEY, nameSecret, type StoredKeyring } from "./secret.ts";

/** The field of the keyring's JSON that holds the keys of a kind. */
const FIELDS = { pepper: "peppers", encryption: "encryption" } as const;

const PREFIXES = { pepper: "p", encryption: "e" } as const;

/**
 * Adds a new key of each given kind at the front of the keyring, to take over at `activeFrom`; returns the new keys.
 */
export async function addKeys(
  transport: KubeTransport,
  place: KeyringPlace,
  stored: StoredKeyring,
  kinds: readonly KeyKind[],
  activeFrom: Date,
): Promise<(Key & { kind: KeyKind })[]> {
  const added = kinds.map((kind) => ({ ...createKey(PREFIXES[kind]), activeFrom, kind }));
  const json = { ...stored.json };
  for (const key of added) json[FIELDS[key.kind]] = [formatKey(key), ...stored.json[FIELDS[key.kind]]];
  await write(transport, place, stored, json);
  return added;
}

/** Removes a key from the keyring. Whether rows still need it is for the caller to check. */
export async function removeKey(
  transport: KubeTransport,
  place: KeyringPlace,
  stored: StoredKeyring,
  kind: KeyKind,
  id: string,
): Promise<void> {
  const field = FIELDS[kind];
  const json = { ...stored.json, [field]: stored.json[field].filter((key) => key.id !== id) };
  await write(transport, place, stored, json);
}

/** Writes the keyring if its Secret has not changed since it was read. Throws a KeyringError if it has. */
async function write(
  transport: KubeTransport,
  place: KeyringPlace,
  { secret }: StoredKeyring,
  json: StoredKeyring["json"],
): Promise<void> {
  try {
    await setSecretValue(transport, secret, KEYRING_KEY, JSON.stringify(json));
  } catch (error) {
    if (!isCode(error, 409)) throw error;
    throw new KeyringError(
      {
        faultCode: "APITOKEN_E_KEYRING_CHANGED",
        object: nameSecret(place),
        problem: "it was changed by somebody else in the meantime, so it was left as it is",
        remedy: "run the command again",
      },
      { cause: error },
    );
  }
}
