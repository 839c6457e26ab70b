/*
 * The work of a block that is recorded. An owner may have more rows than can be changed, or even counted, in one go: each turn
 * ends or erases a few batches, and counts only where a count is due.
 */
import type { OwnerBlock } from "../../kube/resources/owner-block.ts";
import {
  countNamedEvents,
  countOwnerTokens,
  endBlockedTokens,
  eraseBlockedOwner,
} from "../../postgres/owner-blocks.ts";
import {
  COUNTED_UP_TO,
  type CountedWork,
  type DesiredBlock,
  findBlockCondition,
  isEffective,
  mustCountEvents,
  mustEraseNow,
  type ObservedBlockWork,
} from "../../token/block.ts";
import { pseudonymOf } from "../../token/keyring.ts";
import { APITOKENS_BY_OWNER } from "./caches.ts";
import type { PassContext } from "./context.ts";

/** What the database has recorded of a block's work so far. */
export interface BlockProgress {
  /** Whether the database has recorded the block only in this pass, or has recorded a change of it. */
  readonly isNew: boolean;
  readonly tokensRevoked: number;
  readonly hasErased: boolean;
  /** Called with the number of tokens that were ended, after each batch. */
  readonly onRevoked: (tokens: number) => void;
  /** Called when every token has ended, before the erasure: that may fail, and the block is in effect all the same. */
  readonly onEnded: (work: CountedWork) => Promise<void>;
}

/** How long a pass works on one block before it lets others have their turn. */
const TURN_MS = 1_000;

/**
 * Ends and erases what is left, batch by batch, until nothing is left or the turn is over. Returns what is left, and how many
 * rows and events were changed.
 */
export async function carryOutBlock(
  context: PassContext,
  block: OwnerBlock,
  desired: DesiredBlock,
  progress: BlockProgress,
): Promise<{ readonly work: ObservedBlockWork; readonly steps: number }> {
  const until = performance.now() + TURN_MS;
  const view = {
    apiTokens: context.caches.apiTokens.byIndex(APITOKENS_BY_OWNER, desired.owner).length,
    tokensRevoked: progress.tokensRevoked,
    hasErased: progress.hasErased,
  };
  const look = async (): Promise<CountedWork> => {
    const tokens = await countOwnerTokens(context.db, desired.owner, desired.mustErase ? COUNTED_UP_TO : 1);
    return { kind: "counted", ...tokens, namedEvents: undefined, ...view };
  };

  const { conditions = [], acceptedTokens: lastCount } = block.status ?? {};
  const effect = progress.isNew ? undefined : findBlockCondition({ conditions }, "Effective");
  const isGoingOn = effect?.reason === "InProgress" && lastCount !== undefined;
  let work = isGoingOn ? undefined : await look();
  if (work !== undefined && !isEffective(desired, work.now)) return { work, steps: 0 };
  let steps = 0;
  // At least once after the block has come into effect: a token may have been issued at that very moment.
  if (work === undefined || work.acceptedTokens > 0 || effect?.status !== "True") {
    const sweep = await endTokens(context, block, until, progress.onRevoked);
    view.tokensRevoked += sweep.ended;
    steps += sweep.ended;
    const left = Math.max((work?.acceptedTokens ?? lastCount ?? 0) - sweep.ended, 1);
    if (!sweep.isComplete) return { work: { kind: "inProgress", now: sweep.now, left, ...view }, steps };
    work = await look();
  }
  if (mustCountEvents(desired, work)) work = await withEvents(context, desired, work);
  if (!mustEraseNow(desired, work)) return { work, steps };
  await progress.onEnded(work);
  const erasure = await erase(context, block, desired.owner, until);
  view.hasErased ||= erasure.isComplete;
  return { work: await withEvents(context, desired, await look()), steps: steps + erasure.erased };
}

async function withEvents({ db }: PassContext, { owner, mustErase }: DesiredBlock, work: CountedWork) {
  return { ...work, namedEvents: await countNamedEvents(db, owner, mustErase ? COUNTED_UP_TO : 1) };
}

async function endTokens(
  { db, getFence }: PassContext,
  { metadata: { uid } }: OwnerBlock,
  untilMs: number,
  onRevoked: (tokens: number) => void,
): Promise<{ ended: number; isComplete: boolean; now: Date }> {
  for (let ended = 0; ; ) {
    const batch = await endBlockedTokens(db, await getFence(), uid);
    onRevoked(batch.ended);
    ended += batch.ended;
    const isComplete = batch.ended === 0;
    if (isComplete || performance.now() >= untilMs) return { ended, isComplete, now: batch.now };
  }
}

async function erase(
  { db, getFence, keyring }: PassContext,
  { metadata: { uid } }: OwnerBlock,
  owner: string,
  untilMs: number,
): Promise<{ erased: number; isComplete: boolean }> {
  const pseudonym = pseudonymOf(owner, keyring);
  for (let erased = 0; ; ) {
    const batch = await eraseBlockedOwner(db, await getFence(), uid, pseudonym);
    erased += batch.rows;
    // Without a row, all that are left are locked.
    const mustStop = batch.isComplete || batch.rows === 0 || performance.now() >= untilMs;
    if (mustStop) return { erased, isComplete: batch.isComplete };
  }
}
