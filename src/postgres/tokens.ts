import type { TokenRow } from "../token/model.ts";
import type { Queryable, Statement } from "./database.ts";
import { FencedError } from "./errors.ts";

/** A row of apitoken.tokens with what is needed to recognise its token. */
export interface TokenRecord extends TokenRow {
  readonly hash: Buffer;
  readonly hashAlgorithm: "hmac-sha256" | "bcrypt";
  /** The id of the pepper that the hash was made under. */
  readonly keyId: string;
}

/** Which ApiToken a row belongs to. */
export interface ResourceIdentity {
  readonly namespace: string;
  readonly name: string;
}

/** A leader's right to write: its cluster's epoch at the time of its election. A bigint, as text. */
export interface Fence {
  readonly clusterId: string;
  readonly epoch: string;
}

/** A row to be written; `hash` is the HMAC-SHA-256 of the token under the pepper `keyId`. */
export interface NewTokenRow extends ResourceIdentity {
  readonly id: string;
  readonly resourceUid: string;
  readonly revision: number;
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly hash: Buffer;
  readonly keyId: string;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

interface Row {
  id: string;
  resource_uid: string;
  revision: number;
  owner: string;
  description: string;
  scopes: string[];
  hash: Buffer;
  hash_algorithm: TokenRecord["hashAlgorithm"];
  key_id: string;
  issued_at: Date;
  expires_at: Date;
  revoked_at: Date | null;
  revocation_reason: string | null;
}

const COLUMNS = `id, resource_uid, revision, owner, description, scopes, hash, hash_algorithm, key_id,
  issued_at, expires_at, revoked_at, revocation_reason`;

/**
 * The rows of an ApiToken's name that matter to its next pass, oldest revision first, and the database's time: those
 * that are live, and the newest of each resource that had the name.
 */
export async function findResourceTokens(
  db: Queryable,
  clusterId: string,
  { namespace, name }: ResourceIdentity,
): Promise<{ now: Date; tokens: TokenRecord[] }> {
  const rows = await db.query<Row & { now: Date }>({
    name: "find-resource-tokens",
    text: `select clock.now, t.*
           from (select now()) as clock
           left join lateral (
             select ${COLUMNS} from apitoken.tokens t
             where cluster_id = $1 and namespace = $2 and name = $3
               and ((expires_at > now() and (revoked_at is null or revoked_at > now()))
                 or not exists (select from apitoken.tokens newer
                                where newer.resource_uid = t.resource_uid and newer.revision > t.revision))
           ) t on true
           order by revision`,
    values: [clusterId, namespace, name],
  });
  const now = rows[0]?.now;
  if (now === undefined) throw new Error("the database did not tell its time");
  return { now, tokens: rows.filter((row) => row.id !== null).map(toRecord) };
}

/** The row with this id, and whether it is live by the database's clock; undefined when there is none. */
export async function findToken(
  db: Queryable,
  id: string,
): Promise<(TokenRecord & { readonly isLive: boolean }) | undefined> {
  const [row] = await db.query<Row & { is_live: boolean }>({
    name: "find-token",
    text: `select ${COLUMNS}, expires_at > now() and (revoked_at is null or revoked_at > now()) as is_live
           from apitoken.tokens where id = $1`,
    values: [id],
  });
  return row && { ...toRecord(row), isLive: row.is_live };
}

/** The ApiTokens of a cluster that have a live row. */
export async function findLiveResources(db: Queryable, clusterId: string): Promise<ResourceIdentity[]> {
  return db.query<ResourceIdentity & Record<string, unknown>>({
    text: `select distinct namespace, name from apitoken.tokens
           where cluster_id = $1 and expires_at > now() and (revoked_at is null or revoked_at > now())`,
    values: [clusterId],
  });
}

/** The ids of all peppers that rows of this cluster were hashed under. */
export async function findKeyIds(db: Queryable, clusterId: string): Promise<string[]> {
  const rows = await db.query<{ key_id: string }>({
    text: "select distinct key_id from apitoken.tokens where cluster_id = $1",
    values: [clusterId],
  });
  return rows.map((row) => row.key_id);
}

/** Inserts a row. Throws a FencedError, or Postgres' unique_violation when the revision is there already. */
export async function issueToken(db: Queryable, fence: Fence, token: NewTokenRow): Promise<void> {
  await runFenced(db, fence, {
    name: "issue-token",
    text: `insert into apitoken.tokens
             (cluster_id, id, namespace, name, resource_uid, revision, owner, description, scopes,
              hash, hash_algorithm, key_id, issued_at, expires_at)
           select $1, $3, $4, $5, $6, $7, $8, $9, $10, $11, 'hmac-sha256', $12, $13, $14 from fence
           returning 1`,
    values: [
      token.id,
      token.namespace,
      token.name,
      token.resourceUid,
      token.revision,
      token.owner,
      token.description,
      token.scopes,
      token.hash,
      token.keyId,
      token.issuedAt,
      token.expiresAt,
    ],
  });
}

/** Puts a new credential in the place of a live one that nobody holds: same revision, so at most one of both exists. */
export async function replaceToken(
  db: Queryable,
  fence: Fence,
  lostId: string,
  token: Omit<NewTokenRow, keyof ResourceIdentity | "resourceUid" | "revision">,
): Promise<void> {
  await runFenced(db, fence, {
    name: "replace-token",
    text: `update apitoken.tokens
           set id = $4, owner = $5, description = $6, scopes = $7, hash = $8, hash_algorithm = 'hmac-sha256',
               key_id = $9, issued_at = $10, expires_at = $11, revoked_at = null, revocation_reason = null,
               last_used_at = null, last_used_address = null
           where cluster_id = $1 and id = $3 and exists (select from fence)
           returning 1`,
    values: [
      lostId,
      token.id,
      token.owner,
      token.description,
      token.scopes,
      token.hash,
      token.keyId,
      token.issuedAt,
      token.expiresAt,
    ],
  });
}

/** Changes what a token may do, and until when, in place. */
export async function updateToken(
  db: Queryable,
  fence: Fence,
  id: string,
  change: { owner: string; description: string; scopes: readonly string[]; expiresAt: Date },
): Promise<void> {
  await runFenced(db, fence, {
    name: "update-token",
    text: `update apitoken.tokens set owner = $4, description = $5, scopes = $6, expires_at = $7
           where cluster_id = $1 and id = $3 and exists (select from fence)
           returning 1`,
    values: [id, change.owner, change.description, change.scopes, change.expiresAt],
  });
}

/** Ends the tokens now; those that have ended already keep their time and reason. */
export async function revokeTokens(db: Queryable, fence: Fence, ids: readonly string[], reason: string): Promise<void> {
  await runFenced(db, fence, {
    name: "revoke-tokens",
    text: `update apitoken.tokens set revoked_at = now(), revocation_reason = $4
           where cluster_id = $1 and id = any($3) and (revoked_at is null or revoked_at > now())
             and exists (select from fence)
           returning 1`,
    values: [ids, reason],
  });
}

/**
 * Runs one data-modifying statement in one transaction with the fence: a newer leader either waits for it, or has
 * raised the epoch, and then nothing is written. `$1` is the cluster, `$2` the epoch, the statement's own values follow.
 */
async function runFenced(db: Queryable, { clusterId, epoch }: Fence, statement: Statement): Promise<void> {
  const [row] = await db.query<{ is_leader: boolean }>({
    ...(statement.name === undefined ? {} : { name: statement.name }),
    text: `with fence as (
             select 1 from apitoken.leader_epoch where cluster_id = $1 and epoch = $2 for share
           ), change as (${statement.text})
           select exists (select from fence) as is_leader, (select count(*) from change)`,
    values: [clusterId, epoch, ...(statement.values ?? [])],
  });
  if (row?.is_leader !== true) throw new FencedError(clusterId, epoch);
}

function toRecord(row: Row): TokenRecord {
  return {
    id: row.id,
    resourceUid: row.resource_uid,
    revision: row.revision,
    owner: row.owner,
    description: row.description,
    scopes: row.scopes,
    hash: row.hash,
    hashAlgorithm: row.hash_algorithm,
    keyId: row.key_id,
    issuedAt: row.issued_at,
    expiresAt: row.expires_at,
    revokedAt: row.revoked_at ?? undefined,
    revocationReason: row.revocation_reason ?? undefined,
  };
}
