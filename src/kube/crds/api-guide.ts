/*
 * The parts of docs/api.md that no schema can hold: what each kind is for, and what conditions mean.
 */
import { BLOCK_MEANINGS, BLOCK_REASONS, type BlockConditionType, type BlockReason } from "../../token/block-reasons.ts";
import type { ConditionType } from "../../token/condition.ts";
import { type Meaning, type ProgressType, READY_MEANINGS } from "../../token/kstatus.ts";
import {
  POLICY_MEANINGS,
  POLICY_REASONS,
  type PolicyConditionType,
  type PolicyReason,
} from "../../token/policy-status.ts";
import { READY_REASONS, type Reason } from "../../token/reasons.ts";

/** What the schema of a kind has no place for: the prose of its chapter in docs/api.md. */
export interface KindGuide {
  /** Paragraphs on what it is for and how it works with the other kinds. */
  readonly paragraphs: readonly string[];
  /** The file of an example, relative to the project's root. */
  readonly example: string;
}

/** One status of a condition, and the reasons it may have. */
export interface ConditionGuide<Type = ConditionType, Why = Reason> {
  readonly type: Type;
  readonly status: "True" | "False";
  readonly meaning: string;
  readonly reasons: readonly Why[];
}

export const KIND_GUIDES: Readonly<Record<string, KindGuide>> = {
  ApiToken: {
    example: "examples/shop.yaml",
    paragraphs: [
      "Applying one gives you a Secret with a token, in the same namespace. Before the token expires, the next one replaces it in the same Secret. `owner` cannot be changed; changes to `duration`, `scopes`, `allowedCIDRs`, `metadata`, `description` and everything under `secret` apply without a new token.",
      "Deleting an ApiToken ends its token: first the token is revoked, then the Secret is deleted, and then the resource is removed.",
    ],
  },
  ApiTokenPolicy: {
    example: "examples/platform/team-policy.yaml",
    paragraphs: [
      "If several policies select a namespace, only the one with the highest `priority` applies: policies do not add up. Tokens that it forbids are revoked (`PolicyDenied`). If none selects the namespace, nothing new is issued and existing tokens keep working until they expire (`PolicyMissing`). While any policy cannot be read, the same goes for all namespaces, because that policy might be the one that applies.",
      "The condition `Accepted` shows whether the spec can be read, and how many namespaces and ApiTokens the policy is for. `status.policy` of each ApiToken names the policy that applied. `controller doctor` finds policies that select nothing, and those that let one namespace act for another's owners.",
    ],
  },
  OwnerBlock: {
    example: "examples/platform/owner-block.yaml",
    paragraphs: [
      "It works whether or not the owner has ApiTokens yet, and covers every token of the owner, in all namespaces. The database keeps a record of it, which is checked in every transaction that issues a token. After the block is lifted, in whichever cluster, each ApiToken that the owner still has gets a new token.",
      "What a block has done belongs to that one resource: another OwnerBlock of the same name has done nothing yet. An owner with very many tokens is blocked in two steps. First the block is recorded: from then on nothing is issued, and verifiers refuse every token of the owner. Then the tokens are ended, and erased if asked for, in small batches; the conditions show the progress.",
    ],
  },
};

const FOR_TOOLS = "For tools that wait: see [lifecycle.md](lifecycle.md#what-tools-see).";

/** The reasons that a condition for tools may have, from what each reason means. */
function reasonsFor<Why extends string>(
  type: ProgressType,
  ...meanings: Readonly<Record<"True" | "False", Readonly<Partial<Record<Why, Meaning>>>>>[]
): Why[] {
  const all = meanings.flatMap((each) => [...Object.entries(each.True), ...Object.entries(each.False)]) as [
    Why,
    Meaning,
  ][];
  return [...new Set(all.filter(([, meaning]) => meaning === type || meaning === "Retried").map(([reason]) => reason))];
}

export const CONDITION_GUIDES: readonly ConditionGuide[] = [
  {
    type: "Ready",
    status: "True",
    meaning: "The Secret holds a token that works.",
    reasons: READY_REASONS.True,
  },
  {
    type: "Ready",
    status: "False",
    meaning: "The Secret holds none, or the spec cannot be read.",
    reasons: READY_REASONS.False,
  },
  {
    type: "LifetimeClamped",
    status: "True",
    meaning: "The token ends earlier than the spec asks for.",
    reasons: ["OverMaximum"],
  },
  {
    type: "ExpiringSoon",
    status: "True",
    meaning: "The token ends within the policy's `warnBefore` and will not be renewed automatically.",
    reasons: ["NotRenewed"],
  },
  {
    type: "Revoked",
    status: "True",
    meaning: "The token was ended before its expiry.",
    reasons: ["RevokedBySpec", "OwnerBlocked", "PolicyDenied", "Superseded", "OwnerLimitExceeded", "Inactive"],
  },
  {
    type: "Reconciling",
    status: "True",
    meaning: `What is missing comes automatically. Reason and message are those of \`Ready\`. ${FOR_TOOLS}`,
    reasons: reasonsFor("Reconciling", READY_MEANINGS),
  },
  {
    type: "Stalled",
    status: "True",
    meaning: `It is final, or somebody must act. Reason and message are those of \`Ready\`. ${FOR_TOOLS}`,
    reasons: reasonsFor("Stalled", READY_MEANINGS),
  },
];

/** The same for the conditions of an OwnerBlock. */
export const BLOCK_CONDITION_GUIDES: readonly ConditionGuide<BlockConditionType, BlockReason>[] = [
  {
    type: "Effective",
    status: "True",
    meaning: "Every token of the owner has ended, and none is issued.",
    reasons: BLOCK_REASONS.Effective.True,
  },
  {
    type: "Effective",
    status: "False",
    meaning: "The block waits for its time, is ending the owner's tokens, or cannot be carried out.",
    reasons: BLOCK_REASONS.Effective.False,
  },
  {
    type: "Erased",
    status: "True",
    meaning: "The owner's rows are deleted, and a pseudonym replaces the name in the audit trail.",
    reasons: BLOCK_REASONS.Erased.True,
  },
  {
    type: "Erased",
    status: "False",
    meaning: "The owner is to be erased, and is not yet.",
    reasons: BLOCK_REASONS.Erased.False,
  },
  {
    type: "Reconciling",
    status: "True",
    meaning: `The rest is done automatically. ${FOR_TOOLS}`,
    reasons: reasonsFor("Reconciling", BLOCK_MEANINGS.Effective, BLOCK_MEANINGS.Erased),
  },
  {
    type: "Stalled",
    status: "True",
    meaning: `Somebody must act. ${FOR_TOOLS}`,
    reasons: reasonsFor("Stalled", BLOCK_MEANINGS.Effective, BLOCK_MEANINGS.Erased),
  },
];

/** The same for the conditions of an ApiTokenPolicy. */
export const POLICY_CONDITION_GUIDES: readonly ConditionGuide<PolicyConditionType, PolicyReason>[] = [
  {
    type: "Accepted",
    status: "True",
    meaning: "The spec can be read. The message and the fields say what it is for.",
    reasons: POLICY_REASONS.Accepted.True,
  },
  {
    type: "Accepted",
    status: "False",
    meaning: "The spec cannot be read, so no policy applies anywhere.",
    reasons: POLICY_REASONS.Accepted.False,
  },
  {
    type: "Stalled",
    status: "True",
    meaning: `Somebody must correct the spec. ${FOR_TOOLS}`,
    reasons: reasonsFor("Stalled", POLICY_MEANINGS),
  },
];
