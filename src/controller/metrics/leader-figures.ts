import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "../../postgres/database.ts";
import { countEndedInUse, type EndedInUse } from "../../postgres/ended-tokens.ts";
import { type Fence, isOver } from "../../postgres/leader-epoch.ts";
import { countOwnersOver } from "../../postgres/owners.ts";

/** The red lines: so many tokens of one owner are worth a look, so many are a mistake. */
export const OWNER_LIMITS = ["10", "50"] as const;

/** What the one who leads asks of the database for metrics. */
export interface LeaderFigures {
  /** How many owners have more live tokens than each of the limits. */
  readonly ownersOver: Readonly<Record<(typeof OWNER_LIMITS)[number], number>>;
  readonly endedInUse: EndedInUse;
  /** Whether the newest epoch is another controller's: one that leads by another Lease. */
  readonly isFenced: boolean;
}

const FRESH_MS = 60_000;

/** A scrape waits no longer for the database; the next one has the answer. */
const WAIT_MS = 1_000;

/**
 * The figures, asked of the database by the holder of an epoch: once a minute at most, however often they are read.
 * Resolves with undefined while they are not known; never rejects.
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
      known = undefined; // what was known is no longer so, and a wrong figure is worse than none
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
