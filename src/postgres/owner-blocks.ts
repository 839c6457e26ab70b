/*
 * OwnerBlocks apply in every cluster that shares the database, so the database mirrors them: it refuses to issue for a blocked
 * owner even if a controller does not know of the block yet. What a block has done is kept by the uid of its resource.
 */
import type { Queryable } from "./database.ts";
import { FencedError } from "./errors.ts";
import type { Fence } from "./leader-epoch.ts";
import { type PostgresTime, toDate } from "./time.ts";
import { runFenced } from "./token-writes.ts";

/** An OwnerBlock as the database mirrors it. */
export interface OwnerBlockRow {
  readonly uid: string;
  readonly name: string;
  readonly owner: string;
  readonly reason: string;
  readonly effectiveAt: Date;
}

/** What the database has recorded under the name of an OwnerBlock, by a resource that may be gone. */
export interface RecordedBlock extends OwnerBlockRow {
  /** How many tokens the block has ended. */
  readonly tokensRevoked: number;
  /** Whether the block has ever erased its owner. */
  readonly hasErased: boolean;
}

/** What the table of tokens has of an owner. */
export interface OwnerTokens {
  /** The database's time. */
  readonly now: Date;
  /** The owner's accepted tokens in all clusters. */
  readonly acceptedTokens: number;
  /** The owner's rows in all clusters, counted up to the given limit. */
  readonly tokenRows: number;
}

/** What the database has recorded for this cluster under the name of an OwnerBlock. */
export async function findBlock(db: Queryable, clusterId: string, name: string): Promise<RecordedBlock | undefined> {
  const [row] = await db.query<{
    uid: string;
    owner: string;
    reason: string;
    effective_at: PostgresTime;
    tokens_revoked: string;
    has_erased: boolean;
  }>({
    name: "find-block",
    text: `select uid, owner, reason, effective_at, tokens_revoked, erased_at is not null as has_erased
           from apitoken.blocked_owners where cluster_id = $1 and name = $2`,
    values: [clusterId, name],
  });
  if (row === undefined) return undefined;
  return {
    uid: row.uid,
    name,
    owner: row.owner,
    reason: row.reason,
    effectiveAt: toDate(row.effective_at),
    tokensRevoked: Number(row.tokens_revoked),
    hasErased: row.has_erased,
  };
}

/** Counts the tokens of an owner; rows up to `limit`. */
export async function countOwnerTokens(db: Queryable, owner: string, limit: number): Promise<OwnerTokens> {
  const [row] = await db.query<{ now: Date; accepted: string; rows: string }>({
    name: "count-owner-tokens",
    text: `select now() as now,
             (select count(*) from apitoken.tokens t where owner = $1 and apitoken.is_accepted(t, now())) as accepted,
             (select count(*) from (select from apitoken.tokens where owner = $1 limit $2) r) as rows`,
    values: [owner, limit],
  });
  if (row === undefined) throw new Error("the database did not return its time");
  return { now: row.now, acceptedTokens: Number(row.accepted), tokenRows: Number(row.rows) };
}

/**
 * Counts the events that name an owner, up to `limit`. A statement of its own: it waits for whoever empties an old month of the
 * audit trail, which a login of the cleanup may do, and for as long as it likes.
 */
export async function countNamedEvents(db: Queryable, owner: string, limit: number): Promise<number> {
  const [row] = await db.query<{ events: string }>({
    name: "count-named-events",
    text: "select count(*) as events from (select from apitoken.security_events where owner = $1 limit $2) e",
    values: [owner, limit],
  });
  return Number(row?.events);
}

/** The names of the OwnerBlocks that the database has recorded for a cluster. */
export async function findBlockNames(db: Queryable, clusterId: string): Promise<string[]> {
  const rows = await db.query<{ name: string }>({
    text: "select name from apitoken.blocked_owners where cluster_id = $1",
    values: [clusterId],
  });
  return rows.map(({ name }) => name);
}

/** Records a block, in place of any former one of the same name. Throws a FencedError. */
export async function recordBlock(db: Queryable, { clusterId, epoch }: Fence, block: OwnerBlockRow): Promise<void> {
  const [row] = await db.query<{ is_leader: boolean }>({
    name: "record-block",
    text: "select apitoken.record_block($1, $2, $3, $4, $5, $6, $7) as is_leader",
    values: [epoch, clusterId, block.uid, block.name, block.owner, block.reason, block.effectiveAt],
  });
  if (row?.is_leader !== true) throw new FencedError(clusterId, epoch);
}

/** Lifts a block: the owner may get tokens again unless another block applies. Revoked tokens stay revoked. */
export async function liftBlock(db: Queryable, fence: Fence, uid: string): Promise<void> {
  await runFenced(db, fence, {
    name: "lift-block",
    text: `delete from apitoken.blocked_owners where cluster_id = $1 and uid = $3 and exists (select from fence)
           returning 1`,
    values: [uid],
  });
}

/**
 * How many rows one statement changes. Each revocation also writes an event, so that this many take about a tenth of a second,
 * far from the time limit of a statement and from what others notice.
 */
const BATCH = 1_000;

/** Ends a batch of the accepted tokens of a blocked owner. Returns how many, and the database's time. Throws a FencedError. */
export async function endBlockedTokens(
  db: Queryable,
  { clusterId, epoch }: Fence,
  uid: string,
): Promise<{ readonly ended: number; readonly now: Date }> {
  const [row] = await db.query<{ ended: number | null; now: Date }>({
    name: "end-blocked-tokens",
    text: "select apitoken.end_blocked_tokens($1, $2, $3, $4) as ended, now() as now",
    values: [epoch, clusterId, uid, BATCH],
  });
  if (row === undefined || row.ended === null) throw new FencedError(clusterId, epoch);
  return { ended: row.ended, now: row.now };
}

/**
 * Erases a batch of what names a blocked owner: deletes rows, and then puts the pseudonym into the audit trail. Returns how many
 * rows and events, and whether nothing is left and the erasure is recorded: rows that somebody else has locked are left for a
 * later batch. Throws a FencedError.
 */
export async function eraseBlockedOwner(
  db: Queryable,
  { clusterId, epoch }: Fence,
  uid: string,
  pseudonym: string,
): Promise<{ readonly rows: number; readonly isComplete: boolean }> {
  const [row] = await db.query<{ erased: number | null; is_complete: boolean }>({
    name: "erase-blocked-owner",
    text: "select erased, is_complete from apitoken.erase_blocked_owner($1, $2, $3, $4, $5)",
    values: [epoch, clusterId, uid, pseudonym, BATCH],
  });
  if (row === undefined || row.erased === null) throw new FencedError(clusterId, epoch);
  return { rows: row.erased, isComplete: row.is_complete };
}
