/*
 * Some figures only the database knows, and each costs a query. Only the leader asks, at most once a minute, so that
 * neither more replicas nor more scrapes mean more load.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "../../postgres/database.ts";
import { countEndedInUse, type EndedInUse } from "../../postgres/ended-tokens.ts";
import { type Fence, isOver } from "../../postgres/leader-epoch.ts";
import { countOwnersOver } from "../../postgres/owners.ts";

/** How many live tokens of one owner are suspicious, and how many are surely a mistake. */
export const OWNER_LIMITS = ["10", "50"] as const;

/** What the leader asks the database for, to export it as metrics. */
export interface LeaderFigures {
  /** How many owners have more live tokens than each of the limits. */
  readonly ownersOver: Readonly<Record<(typeof OWNER_LIMITS)[number], number>>;
  readonly endedInUse: EndedInUse;
  /** Whether the newest epoch belongs to another controller, which can only lead by a different Lease. */
  readonly isFenced: boolean;
}

const FRESH_MS = 60_000;

/** A scrape waits at most this long for the database; the next scrape has the answer. */
const WAIT_MS = 1_000;

/**
 * Returns a function that reads the figures for the holder of an epoch, at most once a minute however often it is
 * called. It resolves with undefined while the figures are unknown, and never rejects.
 */
export function createLeaderFigures(db: Queryable): (fence: Fence) => Promise<LeaderFigures | undefined> {
  let known: LeaderFigures | undefined;
  let asked: { readonly by: Fence; readonly atMs: number; readonly answer: Promise<void> } | undefined;

  const ask = async (fence: Fence) => {
    try {
      const [[looks = 0, mistakes = 0], endedInUse, isFenced] = await Promise.all([
        countOwnersOver(db, fence.clusterId, OWNER_LIMITS.map(Number)),
        countEndedInUse(db, fence.clusterId),
        isOver(db, fence),
      ]);
      known = { ownersOver: { "10": looks, "50": mistakes }, endedInUse, isFenced };
    } catch {
      known = undefined; // the last answer is outdated, and a wrong figure is worse than none
    }
  };
  return async (fence) => {
    if (asked?.by !== fence) known = undefined;
    if (asked?.by !== fence || performance.now() - asked.atMs >= FRESH_MS) {
      asked = { by: fence, atMs: performance.now(), answer: ask(fence) };
    }
    await Promise.race([asked.answer, delay(WAIT_MS, undefined, { ref: false })]);
    return known;
  };
}
