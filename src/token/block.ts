/*
 * What an OwnerBlock still has to do, and what its status says of it. Blocking an owner takes two steps: the record, from which
 * on nothing is issued and verifiers refuse the owner's tokens, and the end of each token, in batches.
 */
import { formatCount } from "./amounts.ts";
import type { Claim, DatedClaim } from "./model.ts";
import type { Note } from "./notes.ts";
import { formatTime } from "./status.ts";

/** Why a condition of an OwnerBlock has each of its statuses; docs/lifecycle.md explains each. */
export const BLOCK_REASONS = {
  Effective: {
    True: ["Blocked", "NothingMatched"],
    False: ["Pending", "InProgress", "InvalidSpec", "DatabaseUnavailable", "DatabaseRefused", "ReconcileFailed"],
  },
  Erased: { True: ["Erased"], False: ["Pending", "InProgress"] },
} as const;

export type BlockConditionType = keyof typeof BLOCK_REASONS;

export type BlockReason = (typeof BLOCK_REASONS)[BlockConditionType]["True" | "False"][number];

/** A condition of an OwnerBlock without its times. */
export type BlockClaim = Claim<BlockConditionType, BlockReason>;

/** A condition of an OwnerBlock. */
export type BlockCondition = DatedClaim<BlockConditionType, BlockReason>;

/** An OwnerBlock's status. */
export interface OwnerBlockStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly BlockCondition[];
  readonly apiTokens?: number;
  readonly acceptedTokens?: number;
  readonly tokensRevoked?: number;
}

/** What an OwnerBlock asks for. */
export interface DesiredBlock {
  readonly owner: string;
  readonly reason: string;
  readonly effectiveAt: Date;
  readonly mustErase: boolean;
}

/** How far rows and events are counted, so that a count takes a fraction of a second whatever there is. */
export const COUNTED_UP_TO = 100_000;

/** What is known of a block that the database has recorded. */
export interface ObservedBlockWork {
  /** The database's time. */
  readonly now: Date;
  /** ApiTokens of this cluster that have the owner. */
  readonly apiTokens: number;
  /** The owner's accepted tokens in all clusters. */
  readonly acceptedTokens: number;
  /** The owner's rows in all clusters, and the events that name the owner: up to COUNTED_UP_TO, or 1 if nobody is to be erased. */
  readonly tokenRows: number;
  readonly namedEvents: number;
  /** How many tokens the block has ended. */
  readonly tokensRevoked: number;
  /** Whether the block has ever erased the owner. */
  readonly hasErased: boolean;
}

/** Whether the block's time has come. */
export function isEffective({ effectiveAt }: DesiredBlock, now: Date): boolean {
  return effectiveAt <= now;
}

/** Whether the owner has to be erased now: all tokens have ended, and something still names the owner. */
export function mustEraseNow(desired: DesiredBlock, work: ObservedBlockWork): boolean {
  const isDone = work.hasErased && work.tokenRows === 0 && work.namedEvents === 0;
  return desired.mustErase && isEffective(desired, work.now) && work.acceptedTokens === 0 && !isDone;
}

/** Whether a later pass has to continue, although the block's time has come. */
export function isUnfinished(desired: DesiredBlock, work: ObservedBlockWork): boolean {
  return isEffective(desired, work.now) && (work.acceptedTokens > 0 || mustEraseNow(desired, work));
}

/** The conditions of a block that the database has recorded. `problem` is what is wrong with the rest of its spec. */
export function describeBlock(desired: DesiredBlock, work: ObservedBlockWork, problem?: string): BlockClaim[] {
  const effect = describeEffect(desired, work);
  const message = problem === undefined ? effect.message : `${effect.message} Part of the spec is ignored: ${problem}`;
  return [{ ...effect, message }, ...describeErasure(desired, work)];
}

/** What is wrong with a block whose owner or time cannot be read; `recordedOwner` is whom its record in the database blocks. */
export function describeUnreadable(problem: string, recordedOwner: string | undefined): string {
  if (recordedOwner === undefined) return problem;
  return `${problem} Until it can be read, what was recorded of it before stays: the block of owner "${recordedOwner}".`;
}

function describeEffect(desired: DesiredBlock, work: ObservedBlockWork): BlockClaim {
  const { owner, effectiveAt } = desired;
  const { now, apiTokens, acceptedTokens, tokensRevoked, tokenRows, namedEvents, hasErased } = work;
  if (!isEffective(desired, now)) {
    const message = `Takes effect at ${formatTime(effectiveAt)}. Until then tokens are issued and keep working.`;
    return { type: "Effective", status: "False", reason: "Pending", message };
  }
  if (acceptedTokens > 0) {
    const all = tokensRevoked + acceptedTokens;
    return {
      type: "Effective",
      status: "False",
      reason: "InProgress",
      message: `Nothing is issued to the owner any longer, and verifiers refuse the owner's tokens. Ended ${formatCount(tokensRevoked)} of ${formatCount(all)} tokens.`,
    };
  }
  const isKnown = apiTokens + tokensRevoked + tokenRows + namedEvents > 0 || hasErased;
  if (!isKnown) {
    return {
      type: "Effective",
      status: "True",
      reason: "NothingMatched",
      message: `In effect, but nothing has the owner "${owner}": no ApiToken in this cluster, no token in the database. Check that spec.owner is written as in the ApiTokens.`,
    };
  }
  const message = "Tokens of this owner are revoked, and none is issued.";
  return { type: "Effective", status: "True", reason: "Blocked", message };
}

function describeErasure(desired: DesiredBlock, work: ObservedBlockWork): BlockClaim[] {
  if (!desired.mustErase && !work.hasErased) return [];
  const isWaiting = !isEffective(desired, work.now) || work.acceptedTokens > 0;
  if (desired.mustErase && isWaiting) {
    const message = "The owner is erased once the block is in effect and every token has ended.";
    return [{ type: "Erased", status: "False", reason: "Pending", message }];
  }
  if (mustEraseNow(desired, work)) {
    const message = `Still to be erased: ${formatCapped(work.tokenRows)} token rows, and the name in ${formatCapped(work.namedEvents)} events of the audit trail.`;
    return [{ type: "Erased", status: "False", reason: "InProgress", message }];
  }
  const message = "The owner's token rows are deleted, and the audit trail has a pseudonym instead of the name.";
  return [{ type: "Erased", status: "True", reason: "Erased", message }];
}

/** The condition of this type, if the status has one. */
export function findBlockCondition(status: OwnerBlockStatus, type: BlockConditionType): BlockCondition | undefined {
  return status.conditions?.find((condition) => condition.type === type);
}

/** The reasons that also cause an Event; progress and waiting are not worth one. */
const RECORDED: Readonly<Partial<Record<BlockReason, Note["type"]>>> = {
  Blocked: "Normal",
  NothingMatched: "Warning",
  InvalidSpec: "Warning",
  Erased: "Normal",
};

/** The Events for a change of status. */
export function describeBlockChange(before: OwnerBlockStatus, after: OwnerBlockStatus): Note[] {
  return (after.conditions ?? []).flatMap(({ type, reason, message }) => {
    const severity = RECORDED[reason];
    const isNews = findBlockCondition(before, type)?.reason !== reason;
    return isNews && severity ? [{ type: severity, reason, action: "Block", message }] : [];
  });
}

function formatCapped(amount: number): string {
  return amount < COUNTED_UP_TO ? formatCount(amount) : `${formatCount(COUNTED_UP_TO)} or more`;
}
