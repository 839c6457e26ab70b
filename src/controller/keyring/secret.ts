/*
 * The keyring's Secret is the one thing that cannot be recreated: a new keyring would invalidate every token. So this
 * file creates one only while the database has no tokens, never overwrites one, and checks it against the rows.
 */
import { isCode, KubeApiError } from "../../kube/api-error.ts";
import type { Secret } from "../../kube/resources/secret.ts";
import { createSecret, getSecret } from "../../kube/resources/secret-api.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import { Fault } from "../../runtime/fault.ts";
import { formatKeyring, KeyringError, type KeyringJson, parseKeyring } from "../../runtime/keyring-json.ts";
import { findMissingKeys, type KeyUse } from "../../token/key-status.ts";
import { createKeyring, type Keyring } from "../../token/keyring.ts";
import type { KeyringPlace } from "../config.ts";

/** The key of the Secret's data that holds the keyring. */
export const KEYRING_KEY = "keyring.json";

/** The API server does not let the keyring's Secret be created: a quota, a webhook or a policy refuses it for now. */
export class KeyringRefusedError extends Fault {
  override readonly name = "KeyringRefusedError";
}

/** A keyring together with the Secret that it was read from. */
export interface StoredKeyring extends KeyringJson {
  readonly secret: Secret;
}

/**
 * Reads the keyring from its Secret; undefined if there is no such Secret. Throws a KeyringError if the keyring is
 * damaged, and the errors of the API server.
 */
export async function readKeyring(transport: KubeTransport, place: KeyringPlace): Promise<StoredKeyring | undefined> {
  const secret = await getSecret(transport, place.namespace, place.name);
  if (secret === undefined) return undefined;
  const where = `${nameSecret(place)}, key "${KEYRING_KEY}"`;
  const base64 = secret.data?.[KEYRING_KEY];
  if (base64 === undefined) {
    throw new KeyringError({
      faultCode: "APITOKEN_E_KEYRING_INVALID",
      object: where,
      problem: "it is missing",
      remedy: "restore the Secret from a backup",
    });
  }
  return { secret, ...parseKeyring(Buffer.from(base64, "base64").toString(), where) };
}

/**
 * Reads the keyring from its Secret, or creates both if the database holds no tokens. If it does hold tokens, a missing
 * keyring has been lost, and a new one would invalidate every token of the cluster. Throws a KeyringError, a
 * KeyringRefusedError, or the errors of the API server and of `hasTokens`.
 */
export async function loadKeyring(
  transport: KubeTransport,
  place: KeyringPlace,
  hasTokens: () => Promise<boolean>,
): Promise<Keyring> {
  const stored = await readKeyring(transport, place);
  if (stored !== undefined) return stored.keyring;
  if (await hasTokens()) {
    throw new KeyringError({
      faultCode: "APITOKEN_E_KEYRING_MISSING",
      object: nameSecret(place),
      problem: "it is missing, but the database holds tokens that were made with the keyring in it",
      remedy: "restore the Secret from a backup (a new keyring would invalidate every token)",
    });
  }
  return createKeyringSecret(transport, place, hasTokens);
}

async function createKeyringSecret(
  transport: KubeTransport,
  place: KeyringPlace,
  hasTokens: () => Promise<boolean>,
): Promise<Keyring> {
  const keyring = createKeyring();
  try {
    await createSecret(transport, {
      ...place,
      decoration: {
        labels: { "app.kubernetes.io/name": "apitoken-operator" },
        annotations: { "apitoken.dev/warning": "Back this up. Without it no token of this cluster can be verified." },
      },
      values: { [KEYRING_KEY]: formatKeyring(keyring) },
    });
    return keyring;
  } catch (error) {
    // Another replica was faster: use its keyring.
    if (isCode(error, 409)) return loadKeyring(transport, place, hasTokens);
    if (isCode(error, 404)) {
      throw new KeyringError({
        faultCode: "APITOKEN_E_KEYRING_MISSING",
        object: `the namespace "${place.namespace}" for the keyring`,
        problem: "it does not exist",
        remedy: "create it, or set APITOKEN_NAMESPACE",
      });
    }
    throw error instanceof KubeApiError ? createRefusedError(error, place) : error;
  }
}

function createRefusedError(refusal: KubeApiError, place: KeyringPlace): KeyringRefusedError {
  return new KeyringRefusedError(
    {
      faultCode: "APITOKEN_E_KEYRING_REFUSED",
      object: nameSecret(place),
      problem: `it cannot be created: ${refusal.problem}`,
      remedy: "make the quota, webhook, policy or right that refuses it allow it",
    },
    { cause: refusal },
  );
}

/** Throws a KeyringError if rows whose tokens still work were made with keys that the keyring lacks. */
export function requireKeys(keyring: Keyring, uses: readonly KeyUse[]): void {
  const missing = findMissingKeys(keyring, uses);
  if (missing.length === 0) return;
  const peppers = missing.filter(({ kind }) => kind === "pepper").map(({ id }) => `"${id}"`);
  const others = missing.filter(({ kind }) => kind === "encryption").map(({ id }) => `"${id}"`);
  const faults = [
    ...(peppers.length > 0 ? [`tokens hashed under ${peppers.join(", ")}`] : []),
    ...(others.length > 0 ? [`metadata encrypted under ${others.join(", ")}`] : []),
  ];
  throw new KeyringError({
    faultCode: "APITOKEN_E_KEY_MISSING",
    problem: `the database holds ${faults.join(" and ")}, which the keyring lacks`,
    remedy:
      "restore the keyring's Secret from a backup" +
      (peppers.length > 0 ? ", or delete those rows if you can do without their tokens" : "") +
      (others.length > 0
        ? ", or set metadata and metadata_key_id of those rows to null: the specs still contain it"
        : ""),
  });
}

/** The error for keys whose bytes have changed although their ids have not. */
export function createSwappedKeysError(ids: readonly string[], place: KeyringPlace): KeyringError {
  return new KeyringError({
    faultCode: "APITOKEN_E_KEY_SWAPPED",
    object: nameSecret(place),
    problem: `the bytes of its ${ids.map((id) => `"${id}"`).join(", ")} have changed: it was edited or restored from elsewhere`,
    remedy: "restore it from this cluster's own backup (a new key needs a new id: controller keys rotate)",
  });
}

/** The error for a keyring that should exist. */
export function createMissingError(place: KeyringPlace, remedy: string): KeyringError {
  return new KeyringError({
    faultCode: "APITOKEN_E_KEYRING_MISSING",
    object: nameSecret(place),
    problem: "there is no such Secret",
    remedy,
  });
}

/** The keyring's Secret as messages call it. */
export function nameSecret({ namespace, name }: KeyringPlace): string {
  return `the Secret "${namespace}/${name}"`;
}
