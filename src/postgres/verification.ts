/*
 * What a verifier reads: tokens by id, all that are accepted, and the blocks on owners; always with the database's time, which
 * decides what they are worth.
 */
import type { EncryptedMetadata } from "../token/metadata-cipher.ts";
import type { Grace } from "../token/model.ts";
import type { RateLimit } from "../token/rate-limit.ts";
import type { Queryable } from "./database.ts";
import { type PostgresTime, toDate, toOptionalDate } from "./time.ts";
import { IS_END_REQUESTED, toEncryptedMetadata, toGrace, toRateLimit } from "./tokens.ts";

/** What it takes to recognise a token and to say what it is good for. */
export interface VerifiableToken {
  readonly id: string;
  readonly namespace: string;
  readonly name: string;
  readonly owner: string;
  readonly scopes: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly grace: Grace | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly hash: Buffer;
  readonly hashAlgorithm: "hmac-sha256" | "bcrypt";
  /** The id of the pepper that the hash was made with. */
  readonly keyId: string;
  readonly encryptedMetadata: EncryptedMetadata | undefined;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
  /** May be in the future: that is how an overlap ends. */
  readonly revokedAt: Date | undefined;
  /** Whether its holder has ended it, so that it counts as revoked although the controller has not written that yet. */
  readonly isEndRequested: boolean;
}

/** A token of one row, and when the block on its owner begins to count; undefined if there is none. */
export interface FoundToken {
  readonly token: VerifiableToken;
  readonly blockedFrom: Date | undefined;
}

/** What was read at one moment. */
export interface Reading<Item> {
  /** The database's time. */
  readonly now: Date;
  readonly items: readonly Item[];
}

interface Row {
  id: string;
  namespace: string;
  name: string;
  owner: string;
  scopes: string[];
  allowed_cidrs: string[];
  grace_seconds: number | null;
  grace_scopes: string[];
  rate_limit_requests: number | null;
  rate_limit_seconds: number | null;
  hash: Buffer;
  hash_algorithm: VerifiableToken["hashAlgorithm"];
  key_id: string;
  metadata: Buffer | null;
  metadata_key_id: string | null;
  issued_at: PostgresTime;
  expires_at: PostgresTime;
  revoked_at: PostgresTime | null;
  is_end_requested: boolean;
}

const COLUMNS = `id, namespace, name, owner, scopes, allowed_cidrs, grace_seconds, grace_scopes, rate_limit_requests,
  rate_limit_seconds, hash, hash_algorithm, key_id, metadata, metadata_key_id, issued_at, expires_at, revoked_at,
  ${IS_END_REQUESTED} as is_end_requested`;

/** The tokens with these ids, accepted or not. Ids without a row are left out. */
export async function findTokens(db: Queryable, ids: readonly string[]): Promise<Reading<FoundToken>> {
  const rows = await db.query<Row & { now: Date; blocked_from: PostgresTime | null }>({
    name: "find-tokens",
    text: `select clock.now, t.*
           from (select clock_timestamp() as now) as clock
           left join (
             select ${COLUMNS},
                    (select min(b.effective_at) from apitoken.blocked_owners b where b.owner = t.owner) as blocked_from
             from apitoken.tokens t where id = any ($1)
           ) t on true`,
    values: [ids],
  });
  return {
    now: timeOf(rows),
    items: rows
      .filter(({ id }) => id !== null)
      .map((row) => ({ token: toToken(row), blockedFrom: toOptionalDate(row.blocked_from) })),
  };
}

/** A page of the accepted tokens of all clusters, in the order of their ids, after the given one. */
export async function readAcceptedTokens(
  db: Queryable,
  afterId: string,
  limit: number,
): Promise<Reading<VerifiableToken>> {
  const rows = await db.query<Row & { now: Date }>({
    name: "read-accepted-tokens",
    text: `select clock.now, t.*
           from (select now()) as clock
           left join (
             select ${COLUMNS} from apitoken.tokens t
             where id > $1 and apitoken.is_accepted(t, now()) order by id limit $2
           ) t on true
           order by t.id`,
    values: [afterId, limit],
  });
  return { now: timeOf(rows), items: rows.filter(({ id }) => id !== null).map(toToken) };
}

/** Since when an owner's tokens are refused, or from when on they will be. */
export interface OwnerBlockage {
  readonly owner: string;
  readonly from: Date;
}

/** The blocks on all owners, or on one. */
export async function readBlockages(db: Queryable, owner?: string): Promise<OwnerBlockage[]> {
  const rows = await db.query<{ owner: string; from: PostgresTime }>({
    name: "read-blockages",
    text: `select owner, min(effective_at) as from from apitoken.blocked_owners
           where $1::text is null or owner = $1 group by owner`,
    values: [owner],
  });
  return rows.map((row) => ({ owner: row.owner, from: toDate(row.from) }));
}

/** Ends the token with this hash for whoever has shown it. Says nothing, also if there is no such token. */
export async function endToken(
  db: Queryable,
  { id, hash }: Pick<VerifiableToken, "id" | "hash">,
  reason: "RevokedByHolder" | "Leaked",
): Promise<void> {
  await db.query({ name: "end-token", text: "select apitoken.end_token($1, $2, $3)", values: [id, hash, reason] });
}

function timeOf([row]: readonly { readonly now: Date }[]): Date {
  if (row === undefined) throw new Error("the database did not return its time");
  return row.now;
}

function toToken(row: Row): VerifiableToken {
  return {
    id: row.id,
    namespace: row.namespace,
    name: row.name,
    owner: row.owner,
    scopes: row.scopes,
    allowedCidrs: row.allowed_cidrs,
    grace: toGrace(row),
    rateLimit: toRateLimit(row),
    hash: row.hash,
    hashAlgorithm: row.hash_algorithm,
    keyId: row.key_id,
    encryptedMetadata: toEncryptedMetadata(row),
    issuedAt: toDate(row.issued_at),
    expiresAt: toDate(row.expires_at),
    revokedAt: toOptionalDate(row.revoked_at),
    isEndRequested: row.is_end_requested,
  };
}
