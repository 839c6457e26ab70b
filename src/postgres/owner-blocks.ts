/*
 * OwnerBlocks apply in every cluster that shares the database, so the database mirrors them: it refuses to issue for a blocked
 * owner even if a controller does not know of the block yet.
 */
import type { Queryable } from "./database.ts";
import { FencedError } from "./errors.ts";
import type { Fence } from "./leader-epoch.ts";
import { runFenced } from "./token-writes.ts";

/** An OwnerBlock as the database mirrors it. */
export interface OwnerBlockRow {
  readonly name: string;
  readonly owner: string;
  readonly reason: string;
  readonly effectiveAt: Date;
}

/** What the database has recorded for an OwnerBlock. */
export interface BlockState {
  /** The database's time. */
  readonly now: Date;
  readonly row: (OwnerBlockRow & { readonly tokensRevoked: number; readonly isErased: boolean }) | undefined;
  /** How many accepted tokens the owner still has in all clusters. */
  readonly acceptedTokens: number;
}

/** Reads what the database has recorded for an OwnerBlock of this cluster. */
export async function findBlock(db: Queryable, clusterId: string, name: string, owner: string): Promise<BlockState> {
  const [row] = await db.query<{
    now: Date;
    owner: string | null;
    reason: string;
    effective_at: Date;
    tokens_revoked: string;
    erased_at: Date | null;
    accepted: string;
  }>({
    name: "find-block",
    text: `select now() as now, b.owner, b.reason, b.effective_at, b.tokens_revoked, b.erased_at,
             (select count(*) from apitoken.tokens t where owner = $3 and apitoken.is_accepted(t, now())) as accepted
           from (select) as always
           left join apitoken.blocked_owners b on b.cluster_id = $1 and b.name = $2`,
    values: [clusterId, name, owner],
  });
  if (row === undefined) throw new Error("the database did not return its time");
  return {
    now: row.now,
    acceptedTokens: Number(row.accepted),
    row:
      row.owner === null
        ? undefined
        : {
            name,
            owner: row.owner,
            reason: row.reason,
            effectiveAt: row.effective_at,
            tokensRevoked: Number(row.tokens_revoked),
            isErased: row.erased_at !== null,
          },
  };
}

/** The names of the OwnerBlocks that the database has recorded for a cluster. */
export async function findBlockNames(db: Queryable, clusterId: string): Promise<string[]> {
  const rows = await db.query<{ name: string }>({
    text: "select name from apitoken.blocked_owners where cluster_id = $1",
    values: [clusterId],
  });
  return rows.map(({ name }) => name);
}

/**
 * Records a block and, once it is in effect, revokes every live token of the owner in one statement. Returns how many the
 * block has revoked so far. Throws a FencedError.
 */
export async function blockOwner(db: Queryable, { clusterId, epoch }: Fence, block: OwnerBlockRow): Promise<number> {
  const [row] = await db.query<{ ended: string | null }>({
    name: "block-owner",
    text: "select apitoken.block_owner($1, $2, $3, $4, $5, $6) as ended",
    values: [epoch, clusterId, block.name, block.owner, block.reason, block.effectiveAt],
  });
  if (row === undefined || row.ended === null) throw new FencedError(clusterId, epoch);
  return Number(row.ended);
}

/** Lifts a block: the owner may get tokens again unless another block applies. Revoked tokens stay revoked. */
export async function liftBlock(db: Queryable, fence: Fence, name: string): Promise<void> {
  await runFenced(db, fence, {
    name: "lift-block",
    text: `delete from apitoken.blocked_owners where cluster_id = $1 and name = $3 and exists (select from fence)
           returning 1`,
    values: [name],
  });
}

/** Deletes all rows of a blocked owner and replaces the name by a pseudonym in the audit trail. */
export async function eraseOwner(
  db: Queryable,
  { clusterId, epoch }: Fence,
  name: string,
  pseudonym: string,
): Promise<void> {
  const [row] = await db.query<{ is_leader: boolean }>({
    name: "erase-owner",
    text: "select apitoken.erase_owner($1, $2, $3, $4) as is_leader",
    values: [epoch, clusterId, name, pseudonym],
  });
  if (row?.is_leader !== true) throw new FencedError(clusterId, epoch);
}
