/*
 * The schemas of the status of each kind. They are written by hand: the controller builds statuses but never parses them, so
 * there is no zod schema to generate them from.
 */
import { BLOCK_REASONS } from "../../token/block-reasons.ts";
import { CONDITION_TYPES } from "../../token/condition.ts";
import { POLICY_REASONS } from "../../token/policy-status.ts";
import { EVENT_REASONS, REASONS } from "../../token/reasons.ts";

type Json = { [key: string]: unknown };

const text = (description: string, rest: Json = {}): Json => ({ type: "string", description, ...rest });
const time = (description: string): Json => text(description, { format: "date-time" });
const count = (description: string): Json => ({ type: "integer", format: "int64", description });

const OBSERVED_GENERATION =
  "The metadata.generation that the controller last processed. If it is lower than metadata.generation, the latest change has not been processed yet; before the first pass it is -1.";

/**
 * What a resource has before its first pass, without anybody having to write it. Tools that wait (kstatus) take a resource that
 * has no status at all for finished.
 */
const UNSEEN = { observedGeneration: -1 };

interface ConditionTexts {
  readonly type: string;
  readonly reasons: readonly string[];
  readonly message: string;
}

const describeConditions = (description: string, { type, reasons, message }: ConditionTexts): Json => ({
  type: "array",
  description,
  "x-kubernetes-list-type": "map",
  "x-kubernetes-list-map-keys": ["type"],
  items: {
    type: "object",
    required: ["type", "status", "lastTransitionTime", "reason", "message"],
    properties: {
      type: text(type),
      status: text("True or False. Unknown is never written.", { enum: ["True", "False", "Unknown"] }),
      reason: text(`Why, in one word: ${reasons.join(", ")}. docs/lifecycle.md has the cause and the remedy of each.`),
      message: text(message),
      observedGeneration: count("The metadata.generation that the condition is based on."),
      lastTransitionTime: time("When the condition's status last changed. A new reason alone does not change it."),
    },
  },
});

/** All reasons of conditions that have their own for each status. */
const listReasons = (conditions: Readonly<Record<string, Readonly<Record<"True" | "False", readonly string[]>>>>) => [
  ...new Set(Object.values(conditions).flatMap((reasons) => [...reasons.True, ...reasons.False])),
];

/** The status of an ApiToken: what `buildStatus` and `statusOfFailure` write. */
export const API_TOKEN_STATUS: Json = {
  description: "What the controller observed in its last pass. It never contains the token or its hash.",
  type: "object",
  default: UNSEEN,
  properties: {
    observedGeneration: count(OBSERVED_GENERATION),
    conditions: describeConditions(
      "The state of the token. Ready: the Secret holds a token that works. LifetimeClamped: it ends earlier than the spec asks for. ExpiringSoon: it ends soon and will not be renewed automatically. Revoked: it was ended before its expiry. Reconciling and Stalled repeat why Ready is not as the spec asks for, for tools that wait: Reconciling if it continues automatically, Stalled if it is final or somebody must act.",
      {
        type: `One of ${CONDITION_TYPES.join(", ")}. Ready exists from the first pass on, the others only while they hold.`,
        reasons: REASONS.filter((reason) => !(EVENT_REASONS as readonly string[]).includes(reason)),
        message:
          "What this means for the ApiToken and, if you need to do something, what. Written for people; do not parse it.",
      },
    ),
    tokenId: text(
      "Id of the current token or, if there is none anymore, of the last one. It is public: the 12 characters after the prefix (apt_ unless the installation has another), which name the token in the database, the audit trail and the Secret's annotation apitoken.dev/token-id.",
    ),
    revision: count(
      "Number of that token among the tokens of this ApiToken: 1 for the first, one more for each that follows.",
    ),
    secretName: text("Name of the Secret that holds the token. Absent if the controller keeps none."),
    policy: text(
      "Name of the ApiTokenPolicy under which the token is kept, or would be issued. Absent otherwise; with reason PolicyDenied the condition's message names the policy.",
    ),
    issuedAt: time("When that token was issued."),
    expiresAt: time("When that token expires, after the policy's limits. A revocation ends it earlier."),
    renewAt: time("When the next token is issued. Absent if none follows automatically."),
    lastUsedAt: time(
      "When the current or the previous token was last used, as reported by whoever verifies it. Updated at most once an hour; absent before the first use.",
    ),
    lastHandledRotateAt: text(
      "The last value of the annotation apitoken.dev/rotate-requested-at that was answered with a new token. If it equals the annotation, the request has been carried out.",
    ),
    failedAttempts: count(
      "How many passes have failed in a row, rounded down to a power of two. Absent after a successful pass.",
    ),
    previous: {
      type: "object",
      description: "The token before the current one, during its overlap. Absent otherwise.",
      properties: {
        tokenId: text("Public id of the previous token."),
        validUntil: time("When it ends: with the overlap, or at its own expiry if that comes first."),
        lastUsedAt: time(
          "When it was last used, updated at most every five minutes. A time after the rotation means that a consumer has not read the Secret again.",
        ),
      },
    },
    effective: {
      type: "object",
      description: "The token's actual values, after the policy's defaults and limits.",
      properties: {
        duration: text("Lifetime from issue to expiry, as a Go duration such as 720h."),
        scopes: {
          type: "array",
          description: "Scopes of the token, as stored in the database.",
          items: { type: "string" },
        },
      },
    },
  },
};

/** The status of an ApiTokenPolicy: what `buildPolicyStatus` writes. */
export const POLICY_STATUS: Json = {
  description:
    "What the controller observed. The numbers are counted at most every 10 seconds, and, if the controller watches only some namespaces, in those alone.",
  type: "object",
  default: UNSEEN,
  properties: {
    observedGeneration: count(OBSERVED_GENERATION),
    conditions: describeConditions(
      "Accepted: whether the spec can be read. While that of any policy cannot, nothing is issued anywhere. Stalled, for tools that wait: somebody must correct the spec.",
      {
        type: `One of ${Object.keys(POLICY_REASONS).join(", ")}, Stalled. Stalled exists only while it is true.`,
        reasons: listReasons(POLICY_REASONS),
        message:
          "How many namespaces the policy selects and how many ApiTokens it governs or, if its spec cannot be read, which field is wrong and what to do. Do not parse it.",
      },
    ),
    namespaces: count(
      "How many namespaces the policy selects, whether or not another policy takes precedence there. Absent if the spec cannot be read.",
    ),
    apiTokens: count(
      "How many ApiTokens are in namespaces in which this policy applies. Absent if the spec cannot be read.",
    ),
  },
};

/** The status of an OwnerBlock. */
export const OWNER_BLOCK_STATUS: Json = {
  description: "What the controller observed and did in its last pass.",
  type: "object",
  default: UNSEEN,
  properties: {
    observedGeneration: count(OBSERVED_GENERATION),
    conditions: describeConditions(
      "What the block has done. Effective: every token of the owner has ended, and none is issued. Erased: only with spec.erase, or once the owner was erased. Reconciling and Stalled repeat the reason why one of them is False, for tools that wait: Reconciling if it continues automatically, Stalled if somebody must act.",
      {
        type: `One of ${Object.keys(BLOCK_REASONS).join(", ")}, Reconciling, Stalled. The last two exist only while they are true.`,
        reasons: listReasons(BLOCK_REASONS),
        message:
          "What the block does at the moment, how far it has come, or what is wrong with its spec. Do not parse it.",
      },
    ),
    apiTokens: count("How many ApiTokens of this cluster have the owner."),
    acceptedTokens: count(
      "How many tokens of the owner were accepted in the last pass, in all clusters that share the database.",
    ),
    tokensRevoked: count(
      "How many tokens the block has revoked so far, in all clusters that share the database. It never decreases.",
    ),
  },
};
