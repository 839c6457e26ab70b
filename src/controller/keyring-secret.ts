import { z } from "zod";
import { KubeApiError } from "../kube/api-error.ts";
import { createSecret, getSecret } from "../kube/resources/secret-api.ts";
import type { KubeTransport } from "../kube/transport.ts";
import { createKeyring, KEY_BYTES, type Keyring } from "../token/keyring.ts";

/** The keyring cannot be used, or must not be made. The message says what to do; trying again does not help. */
export class KeyringError extends Error {
  override readonly name = "KeyringError";
}

const KEYRING_KEY = "keyring.json";

const keySchema = z.object({
  id: z.string().min(1),
  secret: z
    .base64()
    .transform((text) => Buffer.from(text, "base64"))
    .refine((bytes) => bytes.length === KEY_BYTES, `must be ${KEY_BYTES} bytes in base64`),
});

const keyringSchema = z.object({
  peppers: z.tuple([keySchema], keySchema),
  encryption: z.tuple([keySchema], keySchema),
});

/** Which Secret holds the keyring. */
export interface KeyringPlace {
  readonly namespace: string;
  readonly name: string;
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
  const secret = await getSecret(transport, place.namespace, place.name);
  if (secret !== undefined) return parseKeyring(secret.data?.[KEYRING_KEY], place);
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
  const format = (keys: Keyring["peppers"]) =>
    keys.map(({ id, secret }) => ({ id, secret: secret.toString("base64") }));
  return JSON.stringify({ peppers: format(keyring.peppers), encryption: format(keyring.encryption) });
}

function parseKeyring(base64: string | undefined, { namespace, name }: KeyringPlace): Keyring {
  const where = `the Secret "${namespace}/${name}", key "${KEYRING_KEY}"`;
  if (base64 === undefined) throw new KeyringError(`${where}, is missing; restore the Secret from a backup`);
  const json = readJson(Buffer.from(base64, "base64").toString());
  const result = keyringSchema.safeParse(json);
  if (result.success) return result.data;
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

/** Throws a KeyringError when rows were hashed under peppers that the ring lacks. */
export function requirePeppers(keyring: Keyring, keyIds: readonly string[]): void {
  const missing = keyIds.filter((id) => !keyring.peppers.some((pepper) => pepper.id === id));
  if (missing.length === 0) return;
  throw new KeyringError(
    `the database holds tokens hashed under ${missing.map((id) => `"${id}"`).join(", ")}, which the keyring lacks; ` +
      "restore the keyring's Secret from a backup, or delete those rows if their tokens may die",
  );
}
