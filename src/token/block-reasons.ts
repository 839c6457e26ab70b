/*
 * The one list of reasons that the conditions of an OwnerBlock have, and what each means to tools.
 */

import type { Claim } from "./condition.ts";
import type { Meaning, MeaningsOf, ProgressType } from "./kstatus.ts";

/** Why a condition is False although the block asks for it: the work has failed. */
export const FAILURES = ["DatabaseUnavailable", "DatabaseRefused", "ReconcileFailed"] as const;

/** Why a condition of an OwnerBlock has each of its statuses; docs/lifecycle.md explains each. */
export const BLOCK_REASONS = {
  Effective: {
    True: ["Blocked", "NothingMatched"],
    False: ["Pending", "InProgress", "InvalidSpec", ...FAILURES],
  },
  Erased: { True: ["Erased"], False: ["Pending", "InProgress", ...FAILURES] },
} as const;

type OwnConditionType = keyof typeof BLOCK_REASONS;

/** What these reasons mean to tools that wait for blocks. */
export const BLOCK_MEANINGS: { readonly [Type in OwnConditionType]: MeaningsOf<(typeof BLOCK_REASONS)[Type]> } = {
  Effective: {
    True: { Blocked: "Current", NothingMatched: "Current" },
    False: {
      // The spec names the time, which may be months away, and nothing is left to do before it.
      Pending: "Current",
      InProgress: "Reconciling",
      InvalidSpec: "Stalled",
      DatabaseUnavailable: "Reconciling",
      DatabaseRefused: "Retried",
      ReconcileFailed: "Retried",
    },
  },
  Erased: {
    True: { Erased: "Current" },
    False: {
      // It waits for the block, and `Effective` says what that waits for.
      Pending: "Current",
      InProgress: "Reconciling",
      DatabaseUnavailable: "Reconciling",
      DatabaseRefused: "Retried",
      ReconcileFailed: "Retried",
    },
  },
};

export type BlockConditionType = OwnConditionType | ProgressType;

export type BlockReason = (typeof BLOCK_REASONS)[OwnConditionType]["True" | "False"][number];

/** A condition of an OwnerBlock without its times. */
export type BlockClaim = Claim<BlockConditionType, BlockReason>;

/** What a condition of a block means to tools; a condition that repeats another one adds nothing. */
export function meaningOfBlock({ type, status, reason }: BlockClaim): Meaning {
  if (type === "Reconciling" || type === "Stalled") return "Current";
  const meanings: Readonly<Partial<Record<string, Meaning>>> =
    BLOCK_MEANINGS[type][status === "True" ? "True" : "False"];
  return meanings[reason] ?? "Reconciling";
}
