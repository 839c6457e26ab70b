/*
 * Every write of tokens. Each is one fenced statement: whatever interrupts it, it has taken effect completely or not at all.
 */
import type { EncryptedMetadata } from "../token/metadata-cipher.ts";
import type { Grace, OwnerLimit } from "../token/model.ts";
import type { RateLimit } from "../token/rate-limit.ts";
import type { Queryable, Statement } from "./database.ts";
import { FencedError, IssueRefusedError } from "./errors.ts";
import type { Fence } from "./leader-epoch.ts";
import type { ResourceIdentity, TokenRecord } from "./tokens.ts";

/** What a token may do; can be changed in place. */
export interface TokenGrant {
  readonly owner: string;
  readonly description: string;
  readonly scopes: readonly string[];
  readonly allowedCidrs: readonly string[];
  readonly grace: Grace | undefined;
  readonly rateLimit: RateLimit | undefined;
  readonly encryptedMetadata: EncryptedMetadata | undefined;
}

/** A credential to write; `hash` was made with the pepper `keyId`. */
export interface NewCredential extends TokenGrant {
  readonly id: string;
  readonly hash: Buffer;
  readonly hashAlgorithm: TokenRecord["hashAlgorithm"];
  readonly keyId: string;
  readonly issuedAt: Date;
  readonly expiresAt: Date;
}

/** Everything that an insert needs; the schema's defaults fill in the rest. */
export interface NewTokenRow extends NewCredential, ResourceIdentity {
  readonly resourceUid: string;
  readonly resourceCreatedAt: Date;
  readonly revision: number;
  readonly activeSince: Date;
  /** Who asked for it, as the API server knows them; for the audit trail. */
  readonly requestedBy: string | undefined;
}

/**
 * Inserts a row. With `RevokeOldest`, a token for which older ApiTokens of the owner must make room is marked: `takeOver` ends
 * theirs once it is in its Secret. Throws a FencedError, an IssueRefusedError, or Postgres' unique_violation if the revision
 * already exists.
 */
export async function issueToken(
  db: Queryable,
  fence: Fence,
  token: NewTokenRow,
  { max, onLimit, scope }: OwnerLimit,
): Promise<void> {
  const row = {
    ...credentialRow(fence, token),
    namespace: token.namespace,
    name: token.name,
    resource_uid: token.resourceUid,
    resource_created_at: token.resourceCreatedAt,
    revision: token.revision,
    active_since: token.activeSince,
    requested_by: token.requestedBy,
  };
  const [answer] = await db.query<{ outcome: string }>({
    name: "issue-token",
    text: "select apitoken.issue_token($1, $2, $3, $4, $5) as outcome",
    values: [fence.epoch, JSON.stringify(row), max, onLimit, scope],
  });
  requireIssued(fence, answer?.outcome);
}

/**
 * Replaces a current token that nobody holds by another one of the same revision, so that only one of the two can exist. It is
 * refused whenever a new token would be, and if the lost one has ended. Throws a FencedError or an IssueRefusedError.
 */
export async function replaceToken(
  db: Queryable,
  fence: Fence,
  lostId: string,
  token: NewCredential,
  { max, onLimit, scope }: OwnerLimit,
): Promise<void> {
  const [answer] = await db.query<{ outcome: string }>({
    name: "replace-token",
    text: "select apitoken.replace_token($1, $2, $3, $4, $5, $6) as outcome",
    values: [fence.epoch, lostId, JSON.stringify(credentialRow(fence, token)), max, onLimit, scope],
  });
  requireIssued(fence, answer?.outcome);
}

/** Lets a token that is in its Secret take the place of the owner's oldest ApiTokens beyond the limit. Throws a FencedError. */
export async function takeOver(
  db: Queryable,
  { clusterId, epoch }: Fence,
  id: string,
  { max, scope }: OwnerLimit,
): Promise<void> {
  const [answer] = await db.query<{ superseded: number | null }>({
    name: "take-over",
    text: "select apitoken.take_over($1, $2, $3, $4, $5) as superseded",
    values: [epoch, clusterId, id, max, scope],
  });
  if (answer === undefined || answer.superseded === null) throw new FencedError(clusterId, epoch);
}

function requireIssued({ clusterId, epoch }: Fence, outcome: string | undefined): void {
  if (outcome === "fenced") throw new FencedError(clusterId, epoch);
  if (outcome !== "issued") throw new IssueRefusedError(outcome ?? "no answer");
}

/** A credential as the columns of its row. */
function credentialRow({ clusterId }: Fence, token: NewCredential) {
  return {
    cluster_id: clusterId,
    id: token.id,
    owner: token.owner,
    description: token.description,
    scopes: token.scopes,
    allowed_cidrs: token.allowedCidrs,
    grace_seconds: graceSeconds(token.grace) ?? null,
    grace_scopes: token.grace?.scopes ?? [],
    rate_limit_requests: token.rateLimit?.requests ?? null,
    rate_limit_seconds: token.rateLimit?.seconds ?? null,
    hash: formatBytes(token.hash),
    hash_algorithm: token.hashAlgorithm,
    key_id: token.keyId,
    metadata: token.encryptedMetadata === undefined ? null : formatBytes(token.encryptedMetadata.bytes),
    metadata_key_id: token.encryptedMetadata?.keyId ?? null,
    issued_at: token.issuedAt,
    expires_at: token.expiresAt,
  };
}

/** Changes in place what a token may do and, with `expiresAt`, until when. */
export async function updateToken(
  db: Queryable,
  fence: Fence,
  id: string,
  grant: TokenGrant,
  expiresAt?: Date,
): Promise<void> {
  await runFenced(db, fence, {
    name: "update-token",
    text: `update apitoken.tokens
           set owner = $4, description = $5, scopes = $6, allowed_cidrs = $7, grace_seconds = $8, grace_scopes = $9,
               rate_limit_requests = $10, rate_limit_seconds = $11, metadata = $12, metadata_key_id = $13,
               expires_at = coalesce($14, expires_at)
           where cluster_id = $1 and id = $3 and exists (select from fence)
           returning 1`,
    values: [id, ...grantValues(grant), expiresAt],
  });
}

/** Revokes tokens at `at`, or now. Tokens with an earlier revocation keep its time and reason. */
export async function revokeTokens(
  db: Queryable,
  fence: Fence,
  ids: readonly string[],
  reason: string,
  at?: Date,
): Promise<void> {
  await runFenced(db, fence, {
    name: "revoke-tokens",
    // Locked in the order of their ids, like everything that changes several rows: no two of these deadlock.
    text: `update apitoken.tokens set revoked_at = coalesce($5, now()), revocation_reason = $4
           where id in (
             select id from apitoken.tokens
             where cluster_id = $1 and id = any($3) and (revoked_at is null or revoked_at > coalesce($5, now()))
               and exists (select from fence)
             order by id for update)
           returning 1`,
    values: [ids, reason, at],
  });
}

function grantValues(grant: TokenGrant): unknown[] {
  const { owner, description, scopes, allowedCidrs, grace, rateLimit, encryptedMetadata } = grant;
  return [
    owner,
    description,
    scopes,
    allowedCidrs,
    graceSeconds(grace),
    grace?.scopes ?? [],
    rateLimit?.requests,
    rateLimit?.seconds,
    encryptedMetadata?.bytes,
    encryptedMetadata?.keyId,
  ];
}

/** A bytea in Postgres' hex format, because JSON has no bytes. */
function formatBytes(bytes: Buffer): string {
  return `\\x${bytes.toString("hex")}`;
}

function graceSeconds(grace: Grace | undefined): number | undefined {
  return grace && grace.periodMs / 1_000;
}

/**
 * Runs one data-modifying statement together with the fence: either a newer leader waits until it has ended, or the newer
 * leader's epoch has begun and nothing is written. `$1` is the cluster, `$2` the epoch; the statement's own values follow.
 * Throws a FencedError.
 */
export async function runFenced(db: Queryable, { clusterId, epoch }: Fence, statement: Statement): Promise<void> {
  const [row] = await db.query<{ is_leader: boolean }>({
    ...(statement.name === undefined ? {} : { name: statement.name }),
    text: `with fence as (
             select where apitoken.is_leader($1, $2)
           ), change as (${statement.text})
           select exists (select from fence) as is_leader, (select count(*) from change)`,
    values: [clusterId, epoch, ...(statement.values ?? [])],
  });
  if (row?.is_leader !== true) throw new FencedError(clusterId, epoch);
}
