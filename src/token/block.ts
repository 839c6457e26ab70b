/*
 * What an OwnerBlock still has to do, and what its status says of it. Blocking an owner takes two steps: the record, from which
 * on nothing is issued and verifiers refuse the owner's tokens, and the end of each token, in batches.
 */
import { formatCount } from "./amounts.ts";
import { type BlockClaim, type BlockConditionType, type BlockReason, meaningOfBlock } from "./block-reasons.ts";
import type { DatedClaim } from "./condition.ts";
import { claimProgress, isProgress } from "./kstatus.ts";
import type { Note } from "./notes.ts";
import { formatTime } from "./status.ts";

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

/** What every look at a block that the database has recorded shows. */
interface BlockView {
  /** The database's time. */
  readonly now: Date;
  /** ApiTokens of this cluster that have the owner. */
  readonly apiTokens: number;
  /** How many tokens the block has ended. */
  readonly tokensRevoked: number;
  /** Whether the block has ever erased the owner. */
  readonly hasErased: boolean;
}

/** The block is in effect, and its tokens are being ended; what the database has of the owner is not counted until then. */
export interface WorkInProgress extends BlockView {
  readonly kind: "inProgress";
  /** How many accepted tokens are left, as far as is known: at least one. */
  readonly left: number;
}

/** What the database has of the owner was counted. */
export interface CountedWork extends BlockView {
  readonly kind: "counted";
  /** The owner's accepted tokens in all clusters. */
  readonly acceptedTokens: number;
  /** The owner's rows in all clusters, and the events that name the owner: up to COUNTED_UP_TO, or 1 if nobody is to be erased. */
  readonly tokenRows: number;
  /** Undefined if they were not counted: see `mustCountEvents`. */
  readonly namedEvents: number | undefined;
}

/** What is known of a block that the database has recorded. */
export type ObservedBlockWork = WorkInProgress | CountedWork;

/** Whether the block's time has come. */
export function isEffective({ effectiveAt }: Pick<DesiredBlock, "effectiveAt">, now: Date): boolean {
  return effectiveAt <= now;
}

/** How many of the owner's tokens are still to be ended, or would be if the block were in effect. */
export function countAccepted(work: ObservedBlockWork): number {
  return work.kind === "inProgress" ? work.left : work.acceptedTokens;
}

/** Whether the owner is erased: the database has recorded it, and nothing names the owner again. */
export function isErased({
  hasErased,
  tokenRows,
  namedEvents,
}: Pick<CountedWork, "hasErased" | "tokenRows" | "namedEvents">): boolean {
  return hasErased && tokenRows === 0 && namedEvents === 0;
}

/**
 * Whether something depends on the events that name the owner. They are counted only then: somebody may have locked a part of the
 * audit trail, and that must hold up neither the end of a token nor the report of it.
 */
export function mustCountEvents(desired: DesiredBlock, work: CountedWork): boolean {
  if (!isEffective(desired, work.now) || work.acceptedTokens > 0) return false;
  return desired.mustErase ? work.hasErased && work.tokenRows === 0 : !isKnown({ ...work, namedEvents: 0 });
}

/** Whether the owner has to be erased now: all tokens have ended, and something may still name the owner. */
export function mustEraseNow(desired: DesiredBlock, work: ObservedBlockWork): boolean {
  const hasEnded = isEffective(desired, work.now) && work.kind === "counted" && work.acceptedTokens === 0;
  return desired.mustErase && hasEnded && !isErased(work);
}

/** Whether a later pass has to continue, although the block's time has come. */
export function isUnfinished(desired: DesiredBlock, work: ObservedBlockWork): boolean {
  return isEffective(desired, work.now) && (countAccepted(work) > 0 || mustEraseNow(desired, work));
}

/** The conditions of a block that the database has recorded. `problem` is what is wrong with the rest of its spec. */
export function describeBlock(desired: DesiredBlock, work: ObservedBlockWork, problem?: string): BlockClaim[] {
  const effect = describeEffect(desired, work);
  const message = problem === undefined ? effect.message : `${effect.message} Part of the spec is ignored: ${problem}`;
  return withProgress([{ ...effect, message }, ...describeErasure(desired, work)]);
}

/** The conditions of a block whose owner or time cannot be read. */
export function describeProblem(message: string): BlockClaim[] {
  return withProgress([{ type: "Effective", status: "False", reason: "InvalidSpec", message }]);
}

/** The claims, and what they mean to tools after so many failures in a row; what is Stalled counts before what is not. */
export function withProgress(claims: readonly BlockClaim[], failures = 0): BlockClaim[] {
  const progress = claims.flatMap((claim) => claimProgress(meaningOfBlock(claim), claim, failures));
  const [first] = [...progress.filter(({ type }) => type === "Stalled"), ...progress];
  return [...claims, ...(first ? [first] : [])];
}

/** What is wrong with a block whose owner or time cannot be read; `recordedOwner` is whom its record in the database blocks. */
export function describeUnreadable(problem: string, recordedOwner: string | undefined): string {
  if (recordedOwner === undefined) return problem;
  return `${problem} Until it can be read, what was recorded of it before stays: the block of owner "${recordedOwner}".`;
}

function describeEffect(desired: DesiredBlock, work: ObservedBlockWork): BlockClaim {
  const { owner, effectiveAt } = desired;
  if (!isEffective(desired, work.now)) {
    const message = `Takes effect at ${formatTime(effectiveAt)}. Until then tokens are issued and keep working.`;
    return { type: "Effective", status: "False", reason: "Pending", message };
  }
  if (work.kind === "inProgress" || work.acceptedTokens > 0) {
    const all = work.tokensRevoked + countAccepted(work);
    return {
      type: "Effective",
      status: "False",
      reason: "InProgress",
      message: `Nothing is issued to the owner any longer, and verifiers refuse the owner's tokens. Ended ${formatCount(work.tokensRevoked)} of ${formatCount(all)} tokens.`,
    };
  }
  if (!isKnown(work)) {
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

/** Whether anything has the owner. Nobody is called unknown as long as the events have not been counted. */
function isKnown({ apiTokens, tokensRevoked, tokenRows, namedEvents, hasErased }: CountedWork): boolean {
  return apiTokens + tokensRevoked + tokenRows > 0 || namedEvents !== 0 || hasErased;
}

function describeErasure(desired: DesiredBlock, work: ObservedBlockWork): BlockClaim[] {
  if (!desired.mustErase && !work.hasErased) return [];
  const isWaiting = !isEffective(desired, work.now) || countAccepted(work) > 0;
  if (desired.mustErase && isWaiting) {
    const message = "The owner is erased once the block is in effect and every token has ended.";
    return [{ type: "Erased", status: "False", reason: "Pending", message }];
  }
  if (work.kind === "counted" && mustEraseNow(desired, work)) {
    const { tokenRows, namedEvents } = work;
    const events = namedEvents === undefined ? "" : `${formatCapped(namedEvents)} events of `;
    const message = `Still to be erased: ${formatCapped(tokenRows)} token rows, and the name in ${events}the audit trail.`;
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
    const severity = isProgress({ type }) ? undefined : RECORDED[reason];
    const isNews = findBlockCondition(before, type)?.reason !== reason;
    return isNews && severity ? [{ type: severity, reason, action: "Block", message }] : [];
  });
}

function formatCapped(amount: number): string {
  return amount < COUNTED_UP_TO ? formatCount(amount) : `${formatCount(COUNTED_UP_TO)} or more`;
}
