import type { ConditionType, Reason } from "../../token/model.ts";
import { FINALIZER, MANAGED_LABEL, ROTATE_ANNOTATION } from "../resources/group.ts";

/** What the schema of a kind cannot say of it: the prose of its chapter in docs/api.md. */
export interface KindGuide {
  /** Paragraphs that say what it is for and how it works together with the others. */
  readonly paragraphs: readonly string[];
  /** The file of an example, from the project's root. */
  readonly example: string;
}

/** One condition of an ApiToken, as status and reason may be. */
export interface ConditionGuide {
  readonly type: ConditionType;
  readonly status: "True" | "False";
  readonly meaning: string;
  readonly reasons: readonly Reason[];
}

/** A label, annotation or finalizer. */
export interface MarkGuide {
  readonly on: string;
  readonly name: string;
  readonly setBy: string;
  readonly meaning: string;
}

export const KIND_GUIDES: Readonly<Record<string, KindGuide>> = {
  ApiToken: {
    example: "examples/shop.yaml",
    paragraphs: [
      "Who applies one gets a Secret with a token, in the same namespace. The token is followed by the next one before it expires, in the same Secret. A change of `owner` is refused; `duration`, `scopes`, `allowedCIDRs`, `metadata`, `description` and everything below `secret` are changed in place, without a new token.",
      "An ApiToken that is deleted takes its token with it: the token is revoked first, then the Secret is deleted, then the resource goes.",
    ],
  },
  ApiTokenPolicy: {
    example: "examples/platform/team-policy.yaml",
    paragraphs: [
      "Of the policies whose `namespaceSelector` selects a namespace, the one of highest `priority` decides alone: policies do not add up. What it forbids is revoked (`PolicyDenied`). Where none selects the namespace, nothing new is issued and what lives, lives on (`PolicyMissing`). As long as any policy cannot be read, it is the same for all namespaces: that one might be the one that applies.",
      "It has no status. Each ApiToken says in `status.policy` which one applied; `controller doctor` finds policies that select nothing.",
    ],
  },
  OwnerBlock: {
    example: "examples/platform/owner-block.yaml",
    paragraphs: [
      "It needs no ApiToken to be there, and reaches every ApiToken of the owner, in all namespaces. The database keeps a record of it, which every issue of a token checks in its transaction. After the block is lifted, a new token is issued where an ApiToken of the owner still stands.",
    ],
  },
};

export const CONDITION_GUIDES: readonly ConditionGuide[] = [
  {
    type: "Ready",
    status: "True",
    meaning: "The Secret holds a token that works.",
    reasons: ["Issued", "Rotated", "Renewing", "Suspended", "PolicyMissing", "DatabaseUnavailable", "DatabaseRefused"],
  },
  {
    type: "Ready",
    status: "False",
    meaning: "It holds none, or what the spec asks for cannot be read.",
    reasons: [
      "Expired",
      "Inactive",
      "RevokedBySpec",
      "OwnerBlocked",
      "OwnerLimitExceeded",
      "Superseded",
      "PolicyDenied",
      "PolicyMissing",
      "SecretConflict",
      "SecretRefused",
      "DatabaseUnavailable",
      "DatabaseRefused",
      "InvalidSpec",
      "Suspended",
    ],
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
    meaning: "The token ends within `warnBefore` of the policy, and no next one follows by itself.",
    reasons: ["NotRenewed"],
  },
  {
    type: "Revoked",
    status: "True",
    meaning: "The token was ended before its expiry.",
    reasons: ["RevokedBySpec", "OwnerBlocked", "PolicyDenied", "Superseded", "OwnerLimitExceeded", "Inactive"],
  },
];

export const MARK_GUIDES: readonly MarkGuide[] = [
  {
    on: "ApiToken, annotation",
    name: ROTATE_ANNOTATION,
    setBy: "you",
    meaning:
      "Each new value asks for one rotation, also where `rotation.policy` is `Disabled`. Use the time of now. `status.lastHandledRotateAt` has the value that was answered last.",
  },
  {
    on: "ApiToken, finalizer",
    name: FINALIZER,
    setBy: "controller",
    meaning: "Holds a deletion until the token is revoked. Never remove it by hand: `controller uninstall` does.",
  },
  {
    on: "Secret, label",
    name: MANAGED_LABEL,
    setBy: "controller",
    meaning: '`"true"` on every Secret that the controller keeps: select by it.',
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/token-id",
    setBy: "controller",
    meaning: "The public id of the token in it.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/expires-at",
    setBy: "controller",
    meaning: "When the token in it expires (RFC 3339).",
  },
  {
    on: "Secret, annotation",
    name: ROTATE_ANNOTATION,
    setBy: "controller",
    meaning: "Which request for a rotation the token in it answers.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/applied-keys",
    setBy: "controller",
    meaning: "Internal: which labels and annotations come from the spec.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/contents-seal",
    setBy: "controller",
    meaning: "Internal: with `secret.data`, an HMAC that shows whether the values are still those of the spec.",
  },
  {
    on: "Secret, annotation",
    name: "apitoken.dev/hash-proof",
    setBy: "controller",
    meaning: "Internal: with bcrypt, an HMAC that spares the slow comparison.",
  },
  {
    on: "keyring's Secret, annotation",
    name: "apitoken.dev/warning",
    setBy: "controller",
    meaning: "Reminds you to back it up.",
  },
];
