/*
 * What a Secret holds, and how the controller recognises it again. The caches keep no plaintext, so what the Secret should
 * hold is compared by HMACs.
 */
import { createHmac } from "node:crypto";
import type { Key } from "./keyring.ts";
import type { DesiredSecret } from "./model.ts";
import { formatTime } from "./status.ts";

/** The token's facts that a Secret's templates may use. */
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
 * An HMAC under a pepper of the inputs of the values and of the values themselves (`fingerprints`: the HMAC of each value
 * under the same pepper, by key). It shows whether a Secret still holds what the spec asks for, without plaintext.
 * Base64; undefined if there are no templates, because then the token's own hash is enough.
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
 * An HMAC under a pepper that ties a token (`fingerprint`: its HMAC under the same pepper) to its bcrypt hash. Stored next
 * to the token in its Secret, it saves the slow comparison at every start; nobody can forge it without the pepper. Base64.
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
