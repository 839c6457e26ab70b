/** What kinds of difference there are. */
export type FindingKind =
  | "ApiTokenDiffers"
  | "StatusOutdated"
  | "SecretConflict"
  | "InvalidSpec"
  | "PolicyMissing"
  | "RowWithoutApiToken"
  | "SecretWithoutApiToken"
  | "OwnerBlockDiffers"
  | "OwnerBlockWithoutResource"
  | "InvalidOwnerBlock"
  | "InvalidPolicy"
  | "PolicySelectsNothing"
  | "KeyMissing"
  | "KeySwapped"
  | "KeyringUnusable"
  | "AuditPartitionMissing"
  | "TriggerFaulty"
  | "SchemaMismatch"
  | "DefinitionMissing"
  | "NoLeader"
  | "LeaseExpired";

/** What brings a difference to its end: a piece of the controller's own work. */
export type Mend =
  | { readonly kind: "reconcile"; readonly key: string }
  | { readonly kind: "reconcileBlock"; readonly name: string }
  | { readonly kind: "deleteSecret"; readonly key: string }
  | { readonly kind: "makePartitions" };

/** One difference between what is and what ought to be. */
export interface Finding {
  readonly kind: FindingKind;
  /** What it is about, such as "ApiToken team-a/hello". */
  readonly object: string;
  readonly problem: string;
  /** What to do about it, or what the controller does. */
  readonly remedy: string;
  /** Undefined where only a person can mend it. */
  readonly mend?: Mend;
}

/** Whether two looks have found the same difference. */
export function isSameFinding(left: Finding, right: Finding): boolean {
  return left.kind === right.kind && left.object === right.object;
}
