/*
 * The status of an OwnerBlock and its Events. Other operators of the same cluster, each with its own database, may report on the
 * same block, so a status is written only when this one's view has changed.
 */
import { isDeepStrictEqual } from "node:util";
import { API_VERSION } from "../../kube/resources/group.ts";
import type { OwnerBlock } from "../../kube/resources/owner-block.ts";
import { writeOwnerBlockStatus } from "../../kube/resources/owner-block-api.ts";
import {
  type BlockClaim,
  describeBlockChange,
  findBlockCondition,
  type ObservedBlockWork,
  type OwnerBlockStatus,
} from "../../token/block.ts";
import { buildConditions } from "../../token/status.ts";
import type { PassContext } from "./context.ts";
import { describeFailure } from "./failures.ts";

/** Reports on a block that the database has recorded. */
export async function reportBlock(
  context: PassContext,
  block: OwnerBlock,
  claims: readonly BlockClaim[],
  { now, apiTokens, acceptedTokens, tokensRevoked }: ObservedBlockWork,
): Promise<void> {
  await write(context, block, claims, now, {
    apiTokens,
    acceptedTokens,
    // A database that was restored from a backup may know less.
    tokensRevoked: Math.max(tokensRevoked, block.status?.tokensRevoked ?? 0),
  });
}

/** Reports that the spec of a block cannot be read. */
export async function reportInvalidBlock(context: PassContext, block: OwnerBlock, problem: string): Promise<void> {
  const claim = { type: "Effective", status: "False", reason: "InvalidSpec", message: problem } as const;
  await write(context, block, [claim], new Date(), countsOf(block.status));
}

const REASONS_OF_FAILURES = ["DatabaseUnavailable", "DatabaseRefused"] as const;

/** Reports why a block does not come into effect; one that is in effect stays so. */
export async function reportBlockFailure(
  context: PassContext,
  name: string,
  error: unknown,
  failures: number,
): Promise<void> {
  const block = context.caches.ownerBlocks.get(name);
  const failure = describeFailure(error, failures);
  if (block === undefined || failure === undefined) return;
  const { conditions = [] } = block.status ?? {};
  const effect = findBlockCondition({ conditions }, "Effective");
  if (effect?.status === "True" && effect.observedGeneration === block.metadata.generation) return;
  const others = conditions.filter(({ type }) => type !== "Effective");
  const reason = REASONS_OF_FAILURES.find((known) => known === failure.reason) ?? "ReconcileFailed";
  const claim = { type: "Effective", status: "False", reason, message: failure.message } as const;
  await write(context, block, [claim, ...others], new Date(), countsOf(block.status));
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
): Promise<void> {
  const { name, uid, generation = 0 } = block.metadata;
  const before = block.status ?? {};
  const conditions = buildConditions(claims, before, generation, now);
  const status: OwnerBlockStatus = { observedGeneration: generation, conditions, ...counts };
  if (isDeepStrictEqual(before, status)) return;
  caches.ownerBlocks.upsert(await writeOwnerBlockStatus(transport, block, status));
  const subject = { apiVersion: API_VERSION, kind: "OwnerBlock", name, uid };
  for (const note of describeBlockChange(before, status)) events.record(subject, note);
}
