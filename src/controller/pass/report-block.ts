/*
 * The status of an OwnerBlock and its Events. Other operators of the same cluster, each with its own database, may report on the
 * same block, so a status is written only when this one's view has changed.
 */
import { isDeepStrictEqual } from "node:util";
import { API_VERSION } from "../../kube/resources/group.ts";
import { type OwnerBlock, parseOwnerBlock } from "../../kube/resources/owner-block.ts";
import { writeOwnerBlockStatus } from "../../kube/resources/owner-block-api.ts";
import {
  countAccepted,
  describeBlockChange,
  describeProblem,
  type ObservedBlockWork,
  type OwnerBlockStatus,
} from "../../token/block.ts";
import { describeBlockFailure } from "../../token/block-failure.ts";
import { type BlockClaim, FAILURES } from "../../token/block-reasons.ts";
import { buildConditions } from "../../token/status.ts";
import type { PassContext } from "./context.ts";
import { describeFailure } from "./failures.ts";

/** Reports on a block that the database has recorded. Returns the resource as it is then. */
export async function reportBlock(
  context: PassContext,
  block: OwnerBlock,
  claims: readonly BlockClaim[],
  work: ObservedBlockWork,
): Promise<OwnerBlock> {
  return write(context, block, claims, work.now, {
    apiTokens: work.apiTokens,
    acceptedTokens: countAccepted(work),
    // A database that was restored from a backup may know less.
    tokensRevoked: Math.max(work.tokensRevoked, block.status?.tokensRevoked ?? 0),
  });
}

/** Reports that the spec of a block cannot be read. */
export async function reportInvalidBlock(context: PassContext, block: OwnerBlock, problem: string): Promise<void> {
  await write(context, block, describeProblem(problem), new Date(), countsOf(block.status));
}

/** Reports why a block does not come into effect, or why its owner is not erased; one that is in effect stays so. */
export async function reportBlockFailure(
  context: PassContext,
  name: string,
  error: unknown,
  failures: number,
): Promise<void> {
  const block = context.caches.ownerBlocks.get(name);
  const failure = describeFailure(error, failures);
  if (block === undefined || failure === undefined) return;
  const { status = {}, metadata } = block;
  const reason = FAILURES.find((known) => known === failure.reason) ?? "ReconcileFailed";
  const now = context.clock.now();
  const view = { now, generation: metadata.generation ?? 0, failures };
  const { desired } = parseOwnerBlock(block);
  const claims = describeBlockFailure(status, desired, { reason, message: failure.message }, view);
  if (claims !== undefined) await write(context, block, claims, now, countsOf(status));
}

type Counts = Pick<OwnerBlockStatus, "apiTokens" | "acceptedTokens" | "tokensRevoked">;

function countsOf({ apiTokens, acceptedTokens, tokensRevoked }: OwnerBlockStatus = {}): Counts {
  return {
    ...(apiTokens === undefined ? {} : { apiTokens }),
    ...(acceptedTokens === undefined ? {} : { acceptedTokens }),
    ...(tokensRevoked === undefined ? {} : { tokensRevoked }),
  };
}

async function write(
  { transport, caches, events }: PassContext,
  block: OwnerBlock,
  claims: readonly BlockClaim[],
  now: Date,
  counts: Counts,
): Promise<OwnerBlock> {
  const { name, uid, generation = 0 } = block.metadata;
  const before = block.status ?? {};
  const conditions = buildConditions(claims, before, generation, now);
  const status: OwnerBlockStatus = { observedGeneration: generation, conditions, ...counts };
  if (isDeepStrictEqual(before, status)) return block;
  const written = await writeOwnerBlockStatus(transport, block, status);
  caches.ownerBlocks.upsert(written);
  const subject = { apiVersion: API_VERSION, kind: "OwnerBlock", name, uid };
  for (const note of describeBlockChange(before, status)) events.record(subject, note);
  return written;
}
