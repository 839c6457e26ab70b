/*
 * A block must hold in every cluster that shares the database, and in the very transaction that issues a token. So the
 * record in the database is what counts: this pass copies the resource into it and reports back what the block did.
 */
import { createHmac } from "node:crypto";
import { isDeepStrictEqual } from "node:util";
import { type OwnerBlock, type OwnerBlockStatus, parseOwnerBlock } from "../../kube/resources/owner-block.ts";
import { getOwnerBlock, writeOwnerBlockStatus } from "../../kube/resources/owner-block-api.ts";
import { type BlockState, blockOwner, eraseOwner, findBlock, liftBlock } from "../../postgres/owner-blocks.ts";
import type { Keyring } from "../../token/keyring.ts";
import { formatTime } from "../../token/status.ts";
import type { PassContext } from "./context.ts";

/** The result of a pass over an OwnerBlock. */
export interface BlockResult {
  /** The owner whose ApiTokens need a new pass; undefined if nothing changed. */
  readonly changedOwner: string | undefined;
  /** When to run the next pass, in milliseconds from now; undefined if only an event requires one. */
  readonly requeueAfterMs: number | undefined;
}

const UNCHANGED: BlockResult = { changedOwner: undefined, requeueAfterMs: undefined };

/**
 * Brings the database in line with one OwnerBlock: records the block, revokes the owner's tokens once it is in effect,
 * and lifts it when the resource is gone. That needs no finalizer, because the record stays in the database until it is
 * lifted. `onRevoked` gets the number of tokens that were revoked, even if the rest of the pass fails. Throws the
 * errors of the database and the API server.
 */
export async function reconcileBlock(
  context: PassContext,
  name: string,
  onRevoked: (tokens: number) => void = () => {},
): Promise<BlockResult> {
  const block = context.caches.ownerBlocks.get(name) ?? (await getOwnerBlock(context.transport, name));
  if (block === undefined) return lift(context, name);
  const { desired, problem } = parseOwnerBlock(block);
  if (desired === undefined) {
    await report(context, block, { message: problem });
    return UNCHANGED;
  }
  const row = { name, owner: desired.owner, reason: desired.reason, effectiveAt: desired.effectiveAt };
  const state = await findBlock(context.db, context.clusterId, name, desired.owner);
  const isEffective = row.effectiveAt <= state.now;
  const isNew = !isRecorded(state, row) || (isEffective && state.acceptedTokens > 0);
  const tokensRevoked = isNew
    ? await blockOwner(context.db, await context.getFence(), row)
    : (state.row?.tokensRevoked ?? 0);
  onRevoked(tokensRevoked - (state.row?.tokensRevoked ?? 0));

  const mustErase = desired.mustErase && isEffective && !state.row?.isErased;
  if (mustErase) {
    await eraseOwner(context.db, await context.getFence(), name, pseudonymOf(row.owner, context.keyring));
  }
  const isErased = mustErase || state.row?.isErased || block.status?.erased;
  await report(context, block, {
    effective: isEffective,
    // Several operators may share a cluster, each with its own namespaces: none may lower what another has counted.
    tokensRevoked: Math.max(tokensRevoked, block.status?.tokensRevoked ?? 0),
    ...(isErased ? { erased: true } : {}),
    message: isEffective
      ? "Tokens of this owner are revoked, and none is issued."
      : `Takes effect at ${formatTime(row.effectiveAt)}.`,
  });
  return {
    changedOwner: isNew ? row.owner : undefined,
    requeueAfterMs: isEffective ? undefined : row.effectiveAt.getTime() - state.now.getTime(),
  };
}

async function lift(context: PassContext, name: string): Promise<BlockResult> {
  const { row } = await findBlock(context.db, context.clusterId, name, "");
  if (row === undefined) return UNCHANGED;
  await liftBlock(context.db, await context.getFence(), name);
  return { changedOwner: row.owner, requeueAfterMs: undefined };
}

function isRecorded({ row }: BlockState, wanted: { owner: string; reason: string; effectiveAt: Date }): boolean {
  return (
    row?.owner === wanted.owner &&
    row.reason === wanted.reason &&
    row.effectiveAt.getTime() === wanted.effectiveAt.getTime()
  );
}

async function report(
  { transport, caches }: PassContext,
  block: OwnerBlock,
  result: Omit<OwnerBlockStatus, "observedGeneration">,
): Promise<void> {
  const status = { observedGeneration: block.metadata.generation ?? 0, ...result };
  if (isDeepStrictEqual(block.status, status)) return;
  caches.ownerBlocks.upsert(await writeOwnerBlockStatus(transport, block, status));
}

/** Stable, so that repeated erasures of an owner agree; keyed, so that it cannot be traced back without the keyring. */
function pseudonymOf(owner: string, { peppers: [pepper] }: Keyring): string {
  return `erased-${createHmac("sha256", pepper.secret).update(`owner ${owner}`).digest("hex").slice(0, 32)}`;
}
