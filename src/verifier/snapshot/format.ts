/*
 * What a snapshot holds, as text: its facts first, then tokens. It is read only after the seal has been checked, by the version
 * that the seal names, so its parts need no further checks.
 */
import type { VerifiableToken } from "../../postgres/verification.ts";
import type { BlockagesState } from "../memory/blockages.ts";

/** When a snapshot was true, and of what. */
export interface SnapshotFacts {
  /** The start of the machine that `trueAtMachineMs` counts from. */
  readonly startId: string;
  /** Everything that was committed before this moment is in it: the machine's time, and the database's. */
  readonly trueAtMachineMs: number;
  readonly trueAtDatabaseMs: number;
  /** Which database it is of. */
  readonly database: string;
  readonly blocks: BlockagesState;
}

/** A token in a snapshot; `isSuspect`: it has changed since its row was read. */
export interface SnapshotToken {
  readonly row: VerifiableToken;
  readonly isSuspect: boolean;
}

/** The text of the facts. */
export function formatFacts(facts: SnapshotFacts): string {
  return JSON.stringify(facts);
}

/** The facts of a text that `formatFacts` made. */
export function parseFacts(text: string): SnapshotFacts {
  return JSON.parse(text) as SnapshotFacts;
}

type Item = readonly [
  id: string,
  namespace: string,
  name: string,
  owner: string,
  scopes: readonly string[],
  allowedCidrs: readonly string[],
  grace: readonly [periodMs: number, scopes: readonly string[]] | null,
  rateLimit: readonly [requests: number, seconds: number] | null,
  hash: string,
  hashAlgorithm: VerifiableToken["hashAlgorithm"],
  keyId: string,
  metadata: readonly [bytes: string, keyId: string] | null,
  issuedAtMs: number,
  expiresAtMs: number,
  revokedAtMs: number | null,
  isEndRequested: boolean,
  isSuspect: boolean,
];

/** The text of one token. */
export function formatToken({ row, isSuspect }: SnapshotToken): string {
  const { encryptedMetadata: metadata } = row;
  const item: Item = [
    row.id,
    row.namespace,
    row.name,
    row.owner,
    row.scopes,
    row.allowedCidrs,
    row.grace === undefined ? null : [row.grace.periodMs, row.grace.scopes],
    row.rateLimit === undefined ? null : [row.rateLimit.requests, row.rateLimit.seconds],
    row.hash.toString("base64"),
    row.hashAlgorithm,
    row.keyId,
    metadata === undefined ? null : [metadata.bytes.toString("base64"), metadata.keyId],
    row.issuedAt.getTime(),
    row.expiresAt.getTime(),
    row.revokedAt?.getTime() ?? null,
    row.isEndRequested,
    isSuspect,
  ];
  return JSON.stringify(item);
}

/** The text of several tokens, from the texts of each. */
export function joinTokens(texts: readonly string[]): string {
  return `[${texts.join(",")}]`;
}

/** The tokens of a text that `joinTokens` made. */
export function parseTokens(text: string): SnapshotToken[] {
  return (JSON.parse(text) as Item[]).map(toToken);
}

function toToken(item: Item): SnapshotToken {
  const [id, namespace, name, owner, scopes, allowedCidrs, grace, rateLimit, hash, hashAlgorithm, ...rest] = item;
  const [keyId, metadata, issuedAtMs, expiresAtMs, revokedAtMs, isEndRequested, isSuspect] = rest;
  return {
    row: {
      id,
      namespace,
      name,
      owner,
      scopes,
      allowedCidrs,
      grace: grace === null ? undefined : { periodMs: grace[0], scopes: grace[1] },
      rateLimit: rateLimit === null ? undefined : { requests: rateLimit[0], seconds: rateLimit[1] },
      hash: Buffer.from(hash, "base64"),
      hashAlgorithm,
      keyId,
      encryptedMetadata:
        metadata === null ? undefined : { bytes: Buffer.from(metadata[0], "base64"), keyId: metadata[1] },
      issuedAt: new Date(issuedAtMs),
      expiresAt: new Date(expiresAtMs),
      revokedAt: revokedAtMs === null ? undefined : new Date(revokedAtMs),
      isEndRequested,
    },
    isSuspect,
  };
}
