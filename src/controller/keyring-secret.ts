import { createSecretKey } from "node:crypto";
import { z } from "zod";
import { KubeApiError } from "../kube/api-error.ts";
import type { Secret } from "../kube/resources/secret.ts";
import { createSecret, getSecret } from "../kube/resources/secret-api.ts";
import type { KubeTransport } from "../kube/transport.ts";
import { findMissingKeys, type KeyUse } from "../token/key-status.ts";
import { createKeyring, KEY_BYTES, type Key, type Keyring } from "../token/keyring.ts";

/** The keyring cannot be used, or must not be made. The message says what to do; trying again does not help. */
export class KeyringError extends Error {
  override readonly name = "KeyringError";
}

/** Where in the Secret's data the keyring is. */
export const KEYRING_KEY = "keyring.json";

const keySchema = z.object({
  id: z.string().min(1),
  secret: z
    .base64()
    .transform((text) => Buffer.from(text, "base64"))
    .refine((bytes) => bytes.length === KEY_BYTES, `must be ${KEY_BYTES} bytes in base64`)
    .transform((bytes) => createSecretKey(bytes)),
  activeFrom: z.coerce.date().optional(),
});

const keysSchema = z
  .tuple([keySchema], keySchema)
  .refine((keys) => new Set(keys.map(({ id }) => id)).size === keys.length, "must not hold an id twice");

const keyringSchema = z.object({ peppers: keysSchema, encryption: keysSchema });

/** Which Secret holds the keyring. */
export interface KeyringPlace {
  readonly namespace: string;
  readonly name: string;
}

/** A keyring together with what it was read from. */
export interface StoredKeyring {
  readonly keyring: Keyring;
  readonly secret: Secret;
  /** As it is stored, with whatever else there is. */
  readonly json: Readonly<Record<"peppers" | "encryption", readonly { readonly id: string }[]>>;
}

/** Reads the keyring from its Secret; undefined when there is none. Throws a KeyringError when it is damaged. */
export async function readKeyring(transport: KubeTransport, place: KeyringPlace): Promise<StoredKeyring | undefined> {
  const secret = await getSecret(transport, place.namespace, place.name);
  return secret && { secret, ...parseKeyring(secret.data?.[KEYRING_KEY], place) };
}

/**
 * Reads the keyring from its Secret. Where there is none it makes one, provided that the database holds no tokens:
 * with tokens, a missing keyring is a lost one, and a new one would turn every token of the cluster invalid.
 * It is never overwritten. Throws a KeyringError, or the errors of the API server and of `hasTokens`.
 */
export async function loadKeyring(
  transport: KubeTransport,
  place: KeyringPlace,
  hasTokens: () => Promise<boolean>,
): Promise<Keyring> {
  const stored = await readKeyring(transport, place);
  if (stored !== undefined) return stored.keyring;
  if (await hasTokens()) {
    throw new KeyringError(
      `the Secret "${place.namespace}/${place.name}" with the keyring is missing, but the database holds tokens that ` +
        "were made with it; restore the Secret from a backup (a new keyring would invalidate every token)",
    );
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
    // Another replica was faster: its keyring counts.
    if (error instanceof KubeApiError && error.code === 409) return loadKeyring(transport, place, hasTokens);
    if (error instanceof KubeApiError && error.code === 404) {
      throw new KeyringError(
        `the namespace "${place.namespace}" for the keyring does not exist; create it, or set APITOKEN_NAMESPACE`,
      );
    }
    throw error;
  }
}

function formatKeyring(keyring: Keyring): string {
  return JSON.stringify({ peppers: keyring.peppers.map(formatKey), encryption: keyring.encryption.map(formatKey) });
}

/** A key as the keyring's JSON holds it. */
export function formatKey({ id, secret, activeFrom }: Key) {
  return {
    id,
    secret: secret.export().toString("base64"),
    ...(activeFrom && { activeFrom: activeFrom.toISOString() }),
  };
}

function parseKeyring(
  base64: string | undefined,
  { namespace, name }: KeyringPlace,
): Pick<StoredKeyring, "keyring" | "json"> {
  const where = `the Secret "${namespace}/${name}", key "${KEYRING_KEY}"`;
  if (base64 === undefined) throw new KeyringError(`${where}, is missing; restore the Secret from a backup`);
  const json = readJson(Buffer.from(base64, "base64").toString());
  const result = keyringSchema.safeParse(json);
  if (result.success) return { keyring: result.data, json: json as StoredKeyring["json"] };
  // Of an issue only its place and its kind are told: the value is a secret.
  const faults = result.error.issues.map((issue) => `${issue.path.join(".") || "the text"} (${issue.code})`);
  throw new KeyringError(`${where}, is not a keyring: ${faults.join(", ")}; restore the Secret from a backup`);
}

function readJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Throws a KeyringError when rows that still work were made with keys that the ring lacks. */
export function requireKeys(keyring: Keyring, uses: readonly KeyUse[]): void {
  const missing = findMissingKeys(keyring, uses);
  if (missing.length === 0) return;
  const peppers = missing.filter(({ kind }) => kind === "pepper").map(({ id }) => `"${id}"`);
  const others = missing.filter(({ kind }) => kind === "encryption").map(({ id }) => `"${id}"`);
  const faults = [
    ...(peppers.length > 0 ? [`tokens hashed under ${peppers.join(", ")}`] : []),
    ...(others.length > 0 ? [`metadata encrypted under ${others.join(", ")}`] : []),
  ];
  throw new KeyringError(
    `the database holds ${faults.join(" and ")}, which the keyring lacks; restore the keyring's Secret from a backup` +
      (peppers.length > 0 ? ", or delete those rows if their tokens may die" : "") +
      (others.length > 0 ? ", or set metadata and metadata_key_id of those rows to null: the specs have it still" : ""),
  );
}

/** The error for keys that have other bytes than before. */
export function createSwappedKeysError(ids: readonly string[], { namespace, name }: KeyringPlace): KeyringError {
  return new KeyringError(
    `the keyring's ${ids.map((id) => `"${id}"`).join(", ")} has other bytes than before: the Secret ` +
      `"${namespace}/${name}" was edited or restored from elsewhere; restore it from this cluster's own backup ` +
      "(a new key needs a new id: controller keys rotate)",
  );
}
