/*
 * The vocabulary of the doctor. A finding has fields instead of one text, so that a table, plain lines and JSON can
 * show the same finding, and so that what the controller could repair is data that `--fix` carries out.
 */
/** The kinds of difference. They are part of the JSON output, so scripts may depend on them. */
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
  | "PolicyCrossesNamespaces"
  | "KeyMissing"
  | "KeySwapped"
  | "KeyringUnusable"
  | "AuditPartitionMissing"
  | "TriggerFaulty"
  | "SchemaMismatch"
  | "DefinitionMissing"
  | "NoLeader"
  | "LeaseExpired";

/** What repairs a difference: a piece of the controller's own work. */
export type Fix =
  | { readonly kind: "reconcile"; readonly key: string }
  | { readonly kind: "reconcileBlock"; readonly name: string }
  | { readonly kind: "deleteSecret"; readonly key: string }
  | { readonly kind: "makePartitions" };

/** One difference between what is and what should be. */
export interface Finding {
  readonly kind: FindingKind;
  /** What it is about, such as "ApiToken team-a/hello". */
  readonly object: string;
  readonly problem: string;
  /** What to do about it, or what the controller does. */
  readonly remedy: string;
  /** Undefined if only a person can fix it. */
  readonly fix?: Fix;
}

/** Whether two examinations have found the same difference. */
export function isSameFinding(left: Finding, right: Finding): boolean {
  return left.kind === right.kind && left.object === right.object;
}
