import { createHmac } from "node:crypto";
import type { Key } from "./keyring.ts";
import type { DesiredSecret } from "./model.ts";
import { formatTime } from "./status.ts";

/** What a Secret's templates may speak of. */
export interface ContentsSubject {
  readonly id: string;
  readonly owner: string;
  readonly expiresAt: Date;
}

/** The values of a Secret: the token under its key, and the templates with their variables filled in. */
export function renderContents(
  secret: DesiredSecret,
  subject: ContentsSubject,
  plaintext: string,
): Record<string, string> {
  const variables: Readonly<Record<string, string>> = { ...describeSubject(subject), token: plaintext };
  const fill = (template: string) =>
    template.replaceAll(/\$\{([A-Za-z]+)\}/g, (whole, name: string) =>
      Object.hasOwn(variables, name) ? (variables[name] as string) : whole,
    );
  const data = Object.entries(secret.data).map(([key, template]): [string, string] => [key, fill(template)]);
  return { ...Object.fromEntries(data), [secret.key]: plaintext };
}

/**
 * An HMAC under a pepper of what the values were made from and of what they are (`fingerprints`: the HMAC of each value
 * under the same pepper, by key). It tells whether a Secret still holds what the spec asks for without its plaintext.
 * Base64; undefined where there are no templates, for the token's own hash says enough then.
 */
export function sealContents(
  secret: DesiredSecret,
  subject: ContentsSubject,
  fingerprints: Readonly<Record<string, Buffer>>,
  pepper: Key,
): string | undefined {
  if (Object.keys(secret.data).length === 0) return undefined;
  const values = Object.entries(fingerprints).map(([key, fingerprint]) => [key, fingerprint.toString("hex")]);
  const text = JSON.stringify([
    secret.key,
    sortByKey(Object.entries(secret.data)),
    sortByKey(values),
    describeSubject(subject),
  ]);
  return createHmac("sha256", pepper.secret).update(text).digest("base64");
}

/**
 * An HMAC under a pepper that ties a token (`fingerprint`: its HMAC under the same pepper) to a slow hash of it. Kept beside
 * the token in its Secret, it spares the slow comparison at every start, and nobody can make it without the pepper. Base64.
 */
export function proveHash(fingerprint: Buffer, hash: Buffer, pepper: Key): string {
  return createHmac("sha256", pepper.secret)
    .update("apitoken hash proof")
    .update(fingerprint)
    .update(hash)
    .digest("base64");
}

/** The keys that a Secret of this spec has, and no others. */
export function contentKeys({ key, data }: DesiredSecret): string[] {
  return [...new Set([...Object.keys(data), key])];
}

function describeSubject({ id, owner, expiresAt }: ContentsSubject) {
  return { tokenId: id, owner, expiresAt: formatTime(expiresAt) };
}

function sortByKey<T>(entries: T[][]): T[][] {
  return entries.sort(([left], [right]) => (String(left) < String(right) ? -1 : 1));
}
