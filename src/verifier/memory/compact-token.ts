/*
 * A verifier keeps a hundred thousand rows in memory, so a row is kept in as few bytes as it takes: times as numbers, the hash as a
 * string of bytes, and what many rows have in common only once. A Date or a Buffer takes more than all texts of a row.
 */

import type { VerifiableToken } from "../../postgres/verification.ts";
import type { EncryptedMetadata } from "../../token/metadata-cipher.ts";
import type { Grace } from "../../token/model.ts";
import type { RateLimit } from "../../token/rate-limit.ts";

/** So many different texts, and lists of texts, are shared; beyond that, sharing begins again. */
const MOST_SHARED = 20_000;

const NO_TEXTS: readonly string[] = [];
const texts = new Map<string, string>();
const lists = new Map<string, readonly string[]>();

/** Reads like the row that it was made from. */
export class CompactToken implements VerifiableToken {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  readonly scopes: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly grace: Grace | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly hashAlgorithm: VerifiableToken["hashAlgorithm"];
  readonly keyId: string;
  readonly encryptedMetadata: EncryptedMetadata | undefined;
  readonly isEndRequested: boolean;
  readonly #hash: string;
  readonly #issuedMs: number;
  readonly #expiresMs: number;
  readonly #revokedMs: number | undefined;

  constructor(row: VerifiableToken) {
    this.id = row.id;
    this.namespace = share(row.namespace);
    this.name = row.name;
    this.owner = share(row.owner);
    this.scopes = shareList(row.scopes);
    this.allowedCidrs = shareList(row.allowedCidrs);
    this.grace = row.grace && { periodMs: row.grace.periodMs, scopes: shareList(row.grace.scopes) };
    this.rateLimit = row.rateLimit;
    this.hashAlgorithm = share(row.hashAlgorithm) as VerifiableToken["hashAlgorithm"];
    this.keyId = share(row.keyId);
    this.encryptedMetadata = row.encryptedMetadata;
    this.isEndRequested = row.isEndRequested;
    this.#hash = row.hash.toString("latin1");
    this.#issuedMs = row.issuedAt.getTime();
    this.#expiresMs = row.expiresAt.getTime();
    this.#revokedMs = row.revokedAt?.getTime();
  }

  get hash(): Buffer {
    return Buffer.from(this.#hash, "latin1");
  }

  get issuedAt(): Date {
    return new Date(this.#issuedMs);
  }

  get expiresAt(): Date {
    return new Date(this.#expiresMs);
  }

  get revokedAt(): Date | undefined {
    return this.#revokedMs === undefined ? undefined : new Date(this.#revokedMs);
  }
}

function share(text: string): string {
  const shared = texts.get(text);
  if (shared !== undefined) return shared;
  if (texts.size >= MOST_SHARED) texts.clear();
  texts.set(text, text);
  return text;
}

function shareList(list: readonly string[]): readonly string[] {
  if (list.length === 0) return NO_TEXTS;
  const key = JSON.stringify(list);
  const shared = lists.get(key);
  if (shared !== undefined) return shared;
  if (lists.size >= MOST_SHARED) lists.clear();
  lists.set(key, list);
  return list;
}
