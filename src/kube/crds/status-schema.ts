import { CONDITION_TYPES, REASONS } from "../../token/model.ts";

type Json = { [key: string]: unknown };

const text = (description: string, rest: Json = {}): Json => ({ type: "string", description, ...rest });
const time = (description: string): Json => text(description, { format: "date-time" });
const count = (description: string): Json => ({ type: "integer", format: "int64", description });

const OBSERVED_GENERATION = "metadata.generation that the controller last acted on. Older than that one: not seen yet.";

const CONDITION: Json = {
  type: "object",
  required: ["type", "status", "lastTransitionTime", "reason", "message"],
  properties: {
    type: text(
      `One of ${CONDITION_TYPES.join(", ")}. Ready is there from the first pass on; the others only while they hold.`,
    ),
    status: text("True or False. Unknown is never written.", { enum: ["True", "False", "Unknown"] }),
    reason: text(
      `Why, in one word: ${REASONS.filter((reason) => reason !== "SecretDrift").join(", ")}. docs/lifecycle.md has cause and remedy of each.`,
    ),
    message: text(
      "What that means for this ApiToken and, where something is to be done, what. For people: do not parse.",
    ),
    observedGeneration: count("metadata.generation that the condition was found for."),
    lastTransitionTime: time("When the condition's status last changed. A new reason alone does not change it."),
  },
};

/** The status of an ApiToken: what `buildStatus` and `statusOfFailure` write. */
export const API_TOKEN_STATUS: Json = {
  description: "What the controller saw in its last pass. Never the token, never its hash.",
  type: "object",
  properties: {
    observedGeneration: count(OBSERVED_GENERATION),
    conditions: {
      type: "array",
      description:
        "What is true of the token now. Ready: the Secret holds a token that works. LifetimeClamped: it ends earlier than the spec asks for. ExpiringSoon: it ends soon, and no next one follows by itself. Revoked: it was ended before its expiry.",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["type"],
      items: CONDITION,
    },
    tokenId: text(
      "The id of the current token or, where there is none any more, of the last one. Public: the 12 characters after apt_, by which database, audit trail and the Secret's annotation apitoken.dev/token-id name it.",
    ),
    revision: count(
      "The number of that token among those of this ApiToken: 1 for the first, one more for each that follows.",
    ),
    secretName: text("The Secret that holds the token. Absent where the controller keeps none."),
    policy: text(
      "The ApiTokenPolicy under which the token is kept, or waited for. Absent otherwise; with PolicyDenied the condition's message names it.",
    ),
    issuedAt: time("When that token was issued."),
    expiresAt: time("When that token expires, policy and clamping included. A revocation ends it earlier."),
    renewAt: time("When the next token is issued. Absent where none follows by itself."),
    lastUsedAt: time(
      "When the current or the previous token was last used, as those who verify it report. Brought up to date once an hour at most; absent before the first use.",
    ),
    lastHandledRotateAt: text(
      "The last value of the annotation apitoken.dev/rotate-requested-at that was answered with a new token. Equal to the annotation: the request was carried out.",
    ),
    failedAttempts: count(
      "How many passes have failed in a row, rounded down to a power of two. Absent after a pass that succeeded.",
    ),
    previous: {
      type: "object",
      description: "The token before the current one, while its overlap lasts. Absent otherwise.",
      properties: {
        tokenId: text("Its public id."),
        validUntil: time("When it ends: with the overlap, or with its own expiry if that comes first."),
        lastUsedAt: time(
          "When it was last used; brought up to date every five minutes at most. A time after the rotation tells of a consumer that has not read the Secret again.",
        ),
      },
    },
    effective: {
      type: "object",
      description: "What the token has after the policy's defaults and limits.",
      properties: {
        duration: text("Its lifetime from issue to expiry, as a Go duration such as 720h."),
        scopes: {
          type: "array",
          description: "Its scopes, as the database has them.",
          items: { type: "string" },
        },
      },
    },
  },
};

/** The status of an OwnerBlock. */
export const OWNER_BLOCK_STATUS: Json = {
  description: "What the controller saw and did in its last pass.",
  type: "object",
  properties: {
    observedGeneration: count(OBSERVED_GENERATION),
    effective: {
      type: "boolean",
      description: "Whether the block holds now: effectiveAt has come, by the database's clock.",
    },
    tokensRevoked: count(
      "How many live tokens the block has ended so far, in all clusters that share the database. It never goes down.",
    ),
    erased: { type: "boolean", description: "true once the owner was erased (spec.erase). Absent before." },
    message: text("What the block does now or, where the spec cannot be read, what is wrong with it."),
  },
};
