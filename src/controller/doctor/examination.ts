/*
 * Everything that the doctor reads, as plain data. It separates reading from judging, so that the judgement can be
 * tested on any state of a cluster and a database without either.
 */

import type { NamespaceView } from "../../kube/resources/namespace.ts";
import type { OwnerBlock } from "../../kube/resources/owner-block.ts";
import type { PolicyResource } from "../../kube/resources/policy.ts";
import type { ExaminedBlock } from "../../postgres/examination.ts";
import type { FaultFields } from "../../runtime/fault.ts";
import type { KeyCheck, KeyUse } from "../../token/key-status.ts";
import type { ApiTokenStatus } from "../../token/model.ts";
import type { Action } from "../../token/plan/action.ts";

/** An ApiToken, or a name that only rows have, and what the next pass would do about it. */
export interface ExaminedToken {
  readonly key: string;
  /** Whether an ApiToken of this name exists. */
  readonly exists: boolean;
  readonly actions: readonly Action[];
  readonly status: ApiTokenStatus;
  /** The status that the next pass would write; undefined if it would leave the status alone. */
  readonly nextStatus: ApiTokenStatus | undefined;
}

/** A Secret with our label that no ApiToken owns. */
export interface UnownedSecret {
  readonly key: string;
  /** The name of the deleted ApiToken that the owner reference points to; undefined without such a reference. */
  readonly formerOwner: string | undefined;
  /** The token that it holds; undefined if the database does not know it. */
  readonly holds: { readonly id: string; readonly isAccepted: boolean } | undefined;
}

/** What was read from the cluster alone. */
export interface ClusterExamination {
  /** CustomResourceDefinitions that the API server does not serve. */
  readonly missingDefinitions: readonly string[];
  readonly policies: readonly PolicyResource[];
  readonly namespaces: readonly NamespaceView[];
}

/** What was read from the database alone. */
export interface DatabaseExamination {
  /** Why this program cannot work with the schema. If set, nothing else was read from the database. */
  readonly schemaFault: FaultFields | undefined;
  readonly missingEventMonths: readonly string[];
  readonly faultyTriggers: readonly { readonly name: string; readonly isMissing: boolean }[];
  /** The keys that rows name whose tokens still work. */
  readonly keyUses: readonly KeyUse[];
}

/** What was read from both, side by side. Exists only if both could be read. */
export interface CrossExamination {
  readonly tokens: readonly ExaminedToken[];
  readonly unownedSecrets: readonly UnownedSecret[];
  readonly blocks: { readonly resources: readonly OwnerBlock[]; readonly rows: readonly ExaminedBlock[] };
}

/** What is wrong with the keyring's keys, or why it cannot be used at all. */
export type KeyringExamination =
  | { readonly missing: readonly KeyUse[]; readonly swapped: readonly KeyCheck[] }
  | { readonly fault: FaultFields };

export interface Examination {
  readonly now: Date;
  readonly cluster: ClusterExamination;
  readonly database: DatabaseExamination;
  readonly keyring: KeyringExamination;
  readonly cross: CrossExamination | undefined;
}
