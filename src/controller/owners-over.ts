import { setTimeout as delay } from "node:timers/promises";
import type { Queryable } from "../postgres/database.ts";
import { countOwnersOver } from "../postgres/owners.ts";

/** The red lines: so many tokens of one owner are worth a look, so many are a mistake. */
export const OWNER_LIMITS = ["10", "50"] as const;

export type OwnersOver = Readonly<Record<(typeof OWNER_LIMITS)[number], number>>;

const FRESH_MS = 60_000;

/** A scrape waits no longer for the database; the next one has the answer. */
const WAIT_MS = 1_000;

/**
 * How many owners are over the red lines, asked of the database once a minute at most, however often it is called.
 * Resolves with undefined while no answer is known; never rejects.
 */
export function createOwnersOver(db: Queryable, clusterId: string): () => Promise<OwnersOver | undefined> {
  let known: OwnersOver | undefined;
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let asking: Promise<void> = Promise.resolve();

  const ask = async () => {
    try {
      const [looks = 0, mistakes = 0] = await countOwnersOver(db, clusterId, OWNER_LIMITS.map(Number));
      known = { "10": looks, "50": mistakes };
    } catch {
      known = undefined; // what was known is no longer so, and a wrong figure is worse than none
    }
  };
  return async () => {
    if (performance.now() - askedAtMs >= FRESH_MS) {
      askedAtMs = performance.now();
      asking = ask();
    }
    await Promise.race([asking, delay(WAIT_MS, undefined, { ref: false })]);
    return known;
  };
}
