/*
 * Reads rows of tokens, always together with the database's time: what a row is worth depends on it, and clocks of pods differ.
 */
import type { EncryptedMetadata } from "../token/metadata-cipher.ts";
import type { Grace, ObservedBlock, OwnerLimit, Rivals, TokenRow } from "../token/model.ts";
import type { RateLimit } from "../token/rate-limit.ts";
import type { Queryable } from "./database.ts";
import { type PostgresTime, toDate, toOptionalDate } from "./time.ts";

/** A row of apitoken.tokens with what it takes to recognise its token, and with its metadata still encrypted. */
export interface TokenRecord extends Omit<TokenRow, "metadata" | "isMetadataStale"> {
  readonly hash: Buffer;
  readonly hashAlgorithm: "hmac-sha256" | "bcrypt";
  /** The id of the pepper that the hash was made with. */
  readonly keyId: string;
  readonly encryptedMetadata: EncryptedMetadata | undefined;
}

/** The ApiToken that a row belongs to. */
export interface ResourceIdentity {
  readonly namespace: string;
  readonly name: string;
}

/** An ApiToken whose owner's other ApiTokens are counted. */
export interface OwnerClaim {
  readonly resourceUid: string;
  readonly createdAt: Date;
  readonly owner: string;
  /** Undefined if nothing has to be counted. */
  readonly limit: OwnerLimit | undefined;
}

/** What the database knows about one ApiToken. */
export interface ResourceTokens {
  /** The database's time. */
  readonly now: Date;
  readonly tokens: TokenRecord[];
  readonly block: ObservedBlock | undefined;
  readonly rivals: Rivals;
  /** The tokens that their holders have ended and that are not revoked yet. */
  readonly requestedEnds: readonly string[];
}

interface Row {
  id: string;
  resource_uid: string;
  revision: number;
  owner: string;
  description: string;
  scopes: string[];
  allowed_cidrs: string[];
  grace_seconds: number | null;
  grace_scopes: string[];
  rate_limit_requests: number | null;
  rate_limit_seconds: number | null;
  supersedes: boolean;
  hash: Buffer;
  hash_algorithm: TokenRecord["hashAlgorithm"];
  key_id: string;
  metadata: Buffer | null;
  metadata_key_id: string | null;
  issued_at: PostgresTime;
  expires_at: PostgresTime;
  revoked_at: PostgresTime | null;
  revocation_reason: string | null;
  active_since: PostgresTime;
  last_used_at: PostgresTime | null;
}

const COLUMNS = `id, resource_uid, revision, owner, description, scopes, allowed_cidrs, grace_seconds, grace_scopes,
  rate_limit_requests, rate_limit_seconds, supersedes, hash, hash_algorithm, key_id, metadata, metadata_key_id, issued_at,
  expires_at, revoked_at, revocation_reason, active_since`;

/** What verifiers have noted and the controller has not taken over yet counts already. */
const LAST_USED_AT = `greatest(t.last_used_at,
  (select max(u.used_at) from apitoken.token_uses u where u.token_id = t.id)) as last_used_at`;
/** Whether the holder of a row `t` has ended it through a verifier. */
export const IS_END_REQUESTED = "exists (select from apitoken.requested_ends e where e.token_id = t.id)";

/** A token of another ApiToken of the claim's owner that counts towards the owner's limit. */
const IS_RIVAL = `owner = $4 and resource_uid <> $5 and apitoken.is_counted(rival, now())
  and ($8 = 'Database' or cluster_id = $1)`;

/**
 * What the next pass of an ApiToken needs: among the rows with its name the accepted ones and the newest row of each resource that
 * had the name, oldest revision first; the block on its owner; and how many other ApiTokens of the owner count towards its limit.
 */
export async function findResourceTokens(
  db: Queryable,
  clusterId: string,
  { namespace, name }: ResourceIdentity,
  claim?: OwnerClaim,
): Promise<ResourceTokens> {
  const { owner, resourceUid, createdAt, limit } = claim ?? {};
  const rows = await db.query<ResourceRow>({
    name: "find-resource-tokens",
    text: `select clock.now, block.*, rivals.*, t.*
           from (select now()) as clock
           left join lateral (
             select reason as block_reason, effective_at as block_effective_at
             from apitoken.blocked_owners where owner = $4 order by effective_at limit 1
           ) block on true
           cross join lateral (select
             (select count(*) from (
               select distinct resource_uid from apitoken.tokens rival
               where ${IS_RIVAL} and (resource_created_at, resource_uid) < ($6, $5) limit $7) as o) as older,
             (select count(*) from (
               select distinct resource_uid from apitoken.tokens rival
               where ${IS_RIVAL} and (resource_created_at, resource_uid) > ($6, $5) limit $7) as n) as newer
           ) rivals
           left join lateral (
             select ${COLUMNS}, ${LAST_USED_AT}, ${IS_END_REQUESTED} as is_end_requested from apitoken.tokens t
             where cluster_id = $1 and namespace = $2 and name = $3
               and (apitoken.is_accepted(t, now())
                 or not exists (select from apitoken.tokens newer
                                where newer.resource_uid = t.resource_uid and newer.revision > t.revision))
           ) t on true
           order by revision`,
    values: [clusterId, namespace, name, owner, resourceUid, createdAt, limit?.max ?? 0, limit?.scope],
  });
  const first = rows[0];
  if (first === undefined) throw new Error("the database did not return its time");
  return {
    now: first.now,
    tokens: rows.filter((row) => row.id !== null).map(toRecord),
    block:
      first.block_reason === null || first.block_effective_at === null
        ? undefined
        : { reason: first.block_reason, effectiveAt: toDate(first.block_effective_at) },
    rivals: { older: Number(first.older), newer: Number(first.newer) },
    requestedEnds: rows.filter(({ is_end_requested }) => is_end_requested).map(({ id }) => id),
  };
}

interface ResourceRow extends Row {
  now: Date;
  block_reason: string | null;
  block_effective_at: PostgresTime | null;
  older: string;
  newer: string;
  is_end_requested: boolean;
}

/** The ApiTokens of a cluster that have an accepted token. */
export async function findAcceptedResources(db: Queryable, clusterId: string): Promise<ResourceIdentity[]> {
  return db.query<ResourceIdentity & Record<string, unknown>>({
    text: `select distinct namespace, name from apitoken.tokens t
           where cluster_id = $1 and apitoken.is_accepted(t, now())`,
    values: [clusterId],
  });
}

/** Whether a cluster has any row at all. */
export async function hasTokens(db: Queryable, clusterId: string): Promise<boolean> {
  const [row] = await db.query<{ exists: boolean }>({
    text: "select exists (select from apitoken.tokens where cluster_id = $1)",
    values: [clusterId],
  });
  return row?.exists === true;
}

function toRecord(row: Row): TokenRecord {
  return {
    id: row.id,
    resourceUid: row.resource_uid,
    revision: row.revision,
    owner: row.owner,
    description: row.description,
    scopes: row.scopes,
    allowedCidrs: row.allowed_cidrs,
    grace: toGrace(row),
    rateLimit: toRateLimit(row),
    supersedes: row.supersedes,
    hash: row.hash,
    hashAlgorithm: row.hash_algorithm,
    keyId: row.key_id,
    encryptedMetadata: toEncryptedMetadata(row),
    issuedAt: toDate(row.issued_at),
    expiresAt: toDate(row.expires_at),
    revokedAt: toOptionalDate(row.revoked_at),
    revocationReason: row.revocation_reason ?? undefined,
    activeSince: toDate(row.active_since),
    lastUsedAt: toOptionalDate(row.last_used_at),
  };
}

/** The grace in two columns of a row. */
export function toGrace({
  grace_seconds,
  grace_scopes,
}: Pick<Row, "grace_seconds" | "grace_scopes">): Grace | undefined {
  return grace_seconds === null ? undefined : { periodMs: grace_seconds * 1_000, scopes: grace_scopes };
}

/** The rate limit in two columns of a row. */
export function toRateLimit({
  rate_limit_requests: requests,
  rate_limit_seconds: seconds,
}: Pick<Row, "rate_limit_requests" | "rate_limit_seconds">): RateLimit | undefined {
  return requests === null || seconds === null ? undefined : { requests, seconds };
}

/** The encrypted metadata in two columns of a row. */
export function toEncryptedMetadata({
  metadata,
  metadata_key_id,
}: Pick<Row, "metadata" | "metadata_key_id">): EncryptedMetadata | undefined {
  return metadata === null || metadata_key_id === null ? undefined : { bytes: metadata, keyId: metadata_key_id };
}
