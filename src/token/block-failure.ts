/*
 * What the status of an OwnerBlock says after a failed pass.
 */
import { type DesiredBlock, findBlockCondition, isEffective, type OwnerBlockStatus, withProgress } from "./block.ts";
import { BLOCK_MEANINGS, type BlockClaim, type FAILURES } from "./block-reasons.ts";
import { claimProgress } from "./kstatus.ts";

/** Why the work of a block failed: a reason that both conditions have. */
export interface BlockFailure {
  readonly reason: (typeof FAILURES)[number];
  readonly message: string;
}

/**
 * The conditions after a failed pass; undefined if they should stay. A block that is in effect stays so: what failed is then the
 * erasure, or the record of a change.
 */
export function describeBlockFailure(
  { conditions = [] }: OwnerBlockStatus,
  desired: DesiredBlock | undefined,
  { reason, message }: BlockFailure,
  { now, generation, failures }: { readonly now: Date; readonly generation: number; readonly failures: number },
): BlockClaim[] | undefined {
  const effect = findBlockCondition({ conditions }, "Effective");
  const erasure = findBlockCondition({ conditions }, "Erased");
  if (effect?.status !== "True" || desired === undefined || !isEffective(desired, now)) {
    const claim = { type: "Effective", status: "False", reason, message } as const;
    return withProgress([claim, ...(erasure ? [erasure] : [])], failures);
  }
  if (desired.mustErase && erasure?.status !== "True") {
    return withProgress([effect, { type: "Erased", status: "False", reason, message }], failures);
  }
  if (effect.observedGeneration === generation) return undefined;
  const unchanged = { ...effect, message: `In effect as it was before its last change. ${message}` };
  const progress = claimProgress(BLOCK_MEANINGS.Effective.False[reason], { reason, message }, failures);
  return [unchanged, ...(erasure ? [erasure] : []), ...progress];
}
