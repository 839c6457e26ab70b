/*
 * The keyring as JSON: what the controller keeps in its Secret, and the verifier reads from a mounted file.
 */
import { createSecretKey } from "node:crypto";
import { z } from "zod";
import { KEY_BYTES, type Key, type Keyring } from "../token/keyring.ts";
import { Fault } from "./fault.ts";
import { readJson } from "./json.ts";

/** The keyring cannot be used, or must not be made. Trying again does not help. */
export class KeyringError extends Fault {
  override readonly name = "KeyringError";
}

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

const keyringSchema = z.object({ peppers: keysSchema, encryption: keysSchema, pseudonym: keySchema });

/** A keyring together with the JSON that it was read from. */
export interface KeyringJson {
  readonly keyring: Keyring;
  /** As it is stored, with whatever else there is. */
  readonly json: Readonly<Record<"peppers" | "encryption", readonly { readonly id: string }[]>>;
}

/** The JSON of a keyring. */
export function formatKeyring(keyring: Keyring): string {
  const { peppers, encryption, pseudonym } = keyring;
  return JSON.stringify({
    peppers: peppers.map(formatKey),
    encryption: encryption.map(formatKey),
    pseudonym: formatKey(pseudonym),
  });
}

/** A key as the keyring's JSON holds it. */
export function formatKey({ id, secret, activeFrom }: Key) {
  return {
    id,
    secret: secret.export().toString("base64"),
    ...(activeFrom && { activeFrom: activeFrom.toISOString() }),
  };
}

/**
 * Reads a keyring from its JSON. `where` names the place in messages: `the Secret "ns/name", key "keyring.json"`. Throws a
 * KeyringError that never quotes the text: it is a secret.
 */
export function parseKeyring(text: string, where: string): KeyringJson {
  const json = readJson(text);
  const result = keyringSchema.safeParse(json);
  if (result.success) return { keyring: result.data, json: json as KeyringJson["json"] };
  const faults = result.error.issues.map((issue) => `${issue.path.join(".") || "the text"} (${issue.code})`);
  throw new KeyringError({
    faultCode: "APITOKEN_E_KEYRING_INVALID",
    object: where,
    problem: `it is not a keyring: ${faults.join(", ")}`,
    remedy: "restore the Secret from a backup",
  });
}
