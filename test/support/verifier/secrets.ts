/*
 * What a verifier must keep to itself, in every way in which it could be spelled.
 */
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import type { Keyring } from "../../../src/token/keyring.ts";

/** Where the secrets of a test are. */
export interface SecretSources {
  readonly databaseUrl: string;
  readonly keyring: Keyring;
  /** Plaintexts. */
  readonly tokens: readonly string[];
  /** The file with the keys that sign answers. */
  readonly signingKeyFile: string;
  /** The hashes of break-glass tokens, in hex. */
  readonly breakGlassHashes: readonly string[];
}

/** The bytes of all secrets: tokens, hashes, peppers and other keys. */
export async function listSecrets(sources: SecretSources): Promise<readonly Buffer[]> {
  const { databaseUrl, keyring, tokens, signingKeyFile, breakGlassHashes } = sources;
  const keys = [...keyring.peppers, ...keyring.encryption, keyring.pseudonym].map(({ secret }) => secret.export());
  const rows = await runAsSuperuser<{ hash: Buffer }>(databaseUrl, "select hash from apitoken.tokens");
  const { d = "" } = createPrivateKey(readFileSync(signingKeyFile)).export({ format: "jwk" });
  return [
    ...tokens.flatMap((token) => [Buffer.from(token), Buffer.from(token.slice(16, 16 + 43))]),
    ...keys,
    ...rows.map(({ hash }) => hash),
    ...breakGlassHashes.map((hash) => Buffer.from(hash, "hex")),
    Buffer.from(d, "base64url"),
  ];
}

/** Throws unless the place holds something, and none of the secrets: as they are, and in hex and base64. */
export function expectNoSecret(content: string | Buffer, place: string, secrets: readonly Buffer[]): void {
  expect(content.length, `${place} is empty`).toBeGreaterThan(10);
  const bytes = Buffer.from(content);
  for (const [index, secret] of secrets.entries()) {
    for (const spelled of [secret, ...spell(secret)]) expect(bytes.includes(spelled), `${place}, ${index}`).toBe(false);
  }
}

const spell = (bytes: Buffer) => [bytes.toString("hex"), bytes.toString("base64"), bytes.toString("base64url")];
