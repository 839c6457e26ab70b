/*
 * How often each token was used on each day in UTC, and how often it was refused, by reason. Counts wait in memory until they are
 * reported, also while the database is away: what is lost is what a verifier had counted when it was killed.
 */
import type { Queryable } from "../../postgres/database.ts";
import { countUses, REPORTS_PER_CALL, type UseCount } from "../../postgres/verifier-reports.ts";
import { FAILURE_REASONS, isFailureReason, RATE_LIMITED } from "../../token/verdict.ts";
import type { Uses } from "./uses.ts";

/** Counts uses. */
export interface UseCounts {
  /** Counts an answer at `atMs` of the database's time; `why` is the reason of a refusal. */
  count(uses: Uses, why: string | undefined, atMs: number): void;
  /** Adds the counts to those of the database. Throws its errors; what could not be reported is kept. */
  flush(): Promise<void>;
  /** How many uses were not counted, because too many tokens waited to be reported. */
  readonly lost: number;
}

const DAY_MS = 86_400_000;

/** How many tokens' days may wait. */
const MOST_WAITING = 200_000;

/** Good, asked to wait, or refused for one of the reasons. */
const MOST_RESULTS = 2 + FAILURE_REASONS.length;

/** Begins with no counts. */
export function createUseCounts(db: Queryable, mostWaiting = MOST_WAITING): UseCounts {
  /** The tokens with counts. */
  let waiting: Uses[] = [];
  /** What could not be reported, and what was counted on an earlier day. */
  let earlier: UseCount[] = [];
  let lost = 0;

  /** Takes a token's counts. */
  const take = (uses: Uses): UseCount[] => {
    const counts = listCounts(uses);
    uses.good = 0;
    uses.refused = undefined;
    return counts;
  };
  const report = async (part: readonly UseCount[]) => {
    try {
      await countUses(db, part);
    } catch (error) {
      earlier = [...part, ...earlier];
      throw error;
    }
  };
  return {
    count(uses, why, atMs) {
      if (why !== undefined && why !== RATE_LIMITED && !isFailureReason(why)) return;
      const day = Math.floor(atMs / DAY_MS);
      if (day > uses.day) {
        earlier.push(...take(uses));
        uses.day = day;
      }
      if (!uses.isWaiting) {
        if (waiting.length + earlier.length >= mostWaiting) {
          lost += 1;
          return;
        }
        uses.isWaiting = true;
        waiting.push(uses);
      }
      if (why === undefined) uses.good += 1;
      else {
        uses.refused ??= new Map();
        uses.refused.set(why, (uses.refused.get(why) ?? 0) + 1);
      }
    },
    async flush() {
      // Few tokens in each statement, and in the order of their ids, so that two verifiers never wait for each other in turn.
      const batch = waiting.sort((a, b) => (a.id < b.id ? -1 : 1));
      waiting = [];
      let next = 0;
      try {
        while (next < batch.length || earlier.length > 0) {
          const part = earlier.slice(0, REPORTS_PER_CALL);
          earlier = earlier.slice(part.length);
          for (; next < batch.length && part.length + MOST_RESULTS <= REPORTS_PER_CALL; next += 1) {
            const uses = batch[next] as Uses;
            uses.isWaiting = false; // what is counted from now on waits again
            part.push(...take(uses));
          }
          await report(part);
        }
      } finally {
        waiting = [...batch.slice(next), ...waiting];
      }
    },
    get lost() {
      return lost;
    },
  };
}

function listCounts({ id, day, good, refused = new Map<string, number>() }: Uses): UseCount[] {
  const date = new Date(day * DAY_MS).toISOString().slice(0, 10);
  return [["Good", good] as const, ...refused]
    .filter(([, number]) => number > 0)
    .map(([result, number]) => ({ id, day: date, result, number }));
}
