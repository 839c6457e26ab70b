/*
 * A block must hold in every cluster that shares the database, and in the very transaction that issues a token. So the
 * record in the database is what counts: this pass copies the resource into it, does what is left to do in batches, and
 * reports back what the block did. An owner may have more tokens than one pass can end; the next pass continues.
 */
import { isDeepStrictEqual } from "node:util";
import { type OwnerBlock, type ParsedBlock, parseOwnerBlock } from "../../kube/resources/owner-block.ts";
import { getOwnerBlock } from "../../kube/resources/owner-block-api.ts";
import {
  findBlock,
  liftBlock,
  type OwnerBlockRow,
  type RecordedBlock,
  recordBlock,
} from "../../postgres/owner-blocks.ts";
import {
  type DesiredBlock,
  describeBlock,
  describeUnreadable,
  findBlockCondition,
  isEffective,
  isUnfinished,
  type ObservedBlockWork,
} from "../../token/block.ts";
import { carryOutBlock } from "./carry-out-block.ts";
import type { PassContext } from "./context.ts";
import { reportBlock, reportBlockFailure, reportInvalidBlock } from "./report-block.ts";

/** The result of a pass over an OwnerBlock. */
export interface BlockResult {
  /** The owners whose ApiTokens need a new pass. */
  readonly changedOwners: readonly string[];
  /** When to run the next pass, in milliseconds from now; undefined if only an event requires one. */
  readonly requeueAfterMs: number | undefined;
  /** Whether the pass has ended or erased something and has not come to the end of it. */
  readonly isHalfDone: boolean;
}

export interface BlockPassOptions {
  /** How many passes over the block have failed in a row. */
  readonly failures?: number;
  /** Called with the number of tokens that were ended, after each batch. */
  readonly onRevoked?: (tokens: number) => void;
}

/** When a pass that could do nothing tries again: somebody else has locked the rows that are left. */
const LOCKED_RETRY_MS = 1_000;

/**
 * Brings the database in line with one OwnerBlock: records the block, ends the owner's tokens once it is in effect,
 * erases the owner if asked to, and lifts the block when the resource is gone. That needs no finalizer, because the
 * record stays in the database until it is lifted. Throws the errors of the database and the API server.
 */
export async function reconcileBlock(
  context: PassContext,
  name: string,
  { failures = 0, onRevoked = () => {} }: BlockPassOptions = {},
): Promise<BlockResult> {
  try {
    return await run(context, name, onRevoked);
  } catch (error) {
    await reportBlockFailure(context, name, error, failures + 1).catch(() => {});
    throw error;
  }
}

async function run(context: PassContext, name: string, onRevoked: (tokens: number) => void): Promise<BlockResult> {
  const { db, clusterId, getFence } = context;
  const recorded = await findBlock(db, clusterId, name);
  const block = await readBlock(context, name, recorded);
  const { desired, problem }: Partial<ParsedBlock> = block === undefined ? {} : parseOwnerBlock(block);
  const former = recorded?.uid === block?.metadata.uid ? undefined : recorded;
  if (block === undefined || desired === undefined) {
    if (former !== undefined) await liftBlock(db, await getFence(), former.uid);
    if (block !== undefined) {
      const kept = former === undefined ? recorded?.owner : undefined;
      await reportInvalidBlock(context, block, describeUnreadable(problem ?? "", kept));
    }
    return { changedOwners: former ? [former.owner] : [], requeueAfterMs: undefined, isHalfDone: false };
  }
  const { owner, reason, effectiveAt } = desired;
  const row = { uid: block.metadata.uid, name, owner, reason, effectiveAt };
  const isNew = !isRecorded(recorded, row);
  if (isNew) await recordBlock(db, await getFence(), row);
  let current = block;
  const report = async (seen: ObservedBlockWork) => {
    current = await reportBlock(context, current, describeBlock(desired, seen, problem), seen);
  };
  const { work, steps } = await carryOutBlock(context, block, desired, {
    isNew,
    tokensRevoked: former === undefined ? (recorded?.tokensRevoked ?? 0) : 0,
    hasErased: former === undefined && recorded?.hasErased === true,
    onRevoked,
    async onEnded(ended) {
      if (findBlockCondition(block.status ?? {}, "Effective")?.status !== "True") await report(ended);
    },
  });
  await report(work);

  const mustGoOn = isUnfinished(desired, work);
  const isChanged = isNew || (steps > 0 && !mustGoOn);
  return {
    changedOwners: [...(former ? [former.owner] : []), ...(isChanged ? [owner] : [])],
    requeueAfterMs: timeToNextPass(desired, work, steps),
    isHalfDone: mustGoOn && steps > 0,
  };
}

function timeToNextPass(desired: DesiredBlock, work: ObservedBlockWork, steps: number): number | undefined {
  if (!isEffective(desired, work.now)) return desired.effectiveAt.getTime() - work.now.getTime();
  if (!isUnfinished(desired, work)) return undefined;
  return steps > 0 ? 0 : LOCKED_RETRY_MS;
}

/** What the database has recorded under the name of another resource is undone only after a look at the server. */
async function readBlock(
  { transport, caches }: PassContext,
  name: string,
  recorded: RecordedBlock | undefined,
): Promise<OwnerBlock | undefined> {
  const cached = caches.ownerBlocks.get(name);
  if (cached !== undefined && (recorded === undefined || recorded.uid === cached.metadata.uid)) return cached;
  const block = await getOwnerBlock(transport, name);
  if (block !== undefined) caches.ownerBlocks.upsert(block);
  return block;
}

function isRecorded(row: RecordedBlock | undefined, wanted: OwnerBlockRow): boolean {
  return (
    row !== undefined &&
    isDeepStrictEqual(
      [row.uid, row.owner, row.reason, row.effectiveAt.getTime()],
      [wanted.uid, wanted.owner, wanted.reason, wanted.effectiveAt.getTime()],
    )
  );
}
