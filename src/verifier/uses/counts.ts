/*
 * How often each token was used on each day in UTC, and how often it was refused, by reason. Counts wait in memory until they are
 * reported, also while the database is away: what is lost is what a verifier had counted when it was killed.
 */
import type { Queryable } from "../../postgres/database.ts";
import { countUses, REPORTS_PER_CALL, type UseCount } from "../../postgres/verifier-reports.ts";
import { isFailureReason } from "../../token/verdict.ts";
import type { DayCounts, Uses } from "./uses.ts";

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

/** Begins with no counts. */
export function createUseCounts(db: Queryable, mostWaiting = MOST_WAITING): UseCounts {
  const waiting = new Set<DayCounts>();
  let lost = 0;

  const subtract = (day: DayCounts, { result, number }: UseCount) => {
    if (result === "Good") day.good -= number;
    else day.refused?.set(result, (day.refused.get(result) ?? 0) - number);
    if (!isEmpty(day)) return;
    day.isWaiting = false;
    waiting.delete(day);
  };
  return {
    count(uses, why, atMs) {
      if (why !== undefined && !isFailureReason(why)) return;
      let { day } = uses;
      if (day === undefined || atMs >= day.endsMs) {
        day = beginDay(uses.id, atMs);
        uses.day = day;
      }
      if (!day.isWaiting) {
        if (waiting.size >= mostWaiting) {
          lost += 1;
          return;
        }
        day.isWaiting = true;
        waiting.add(day);
      }
      if (why === undefined) day.good += 1;
      else {
        day.refused ??= new Map();
        day.refused.set(why, (day.refused.get(why) ?? 0) + 1);
      }
    },
    async flush() {
      // Few tokens in each statement, and in the order of their ids, so that two verifiers never wait for each other in turn.
      const batch = [...waiting].flatMap(listCounts).sort(([, a], [, b]) => (a.id < b.id ? -1 : 1));
      for (let start = 0; start < batch.length; start += REPORTS_PER_CALL) {
        const part = batch.slice(start, start + REPORTS_PER_CALL);
        await countUses(
          db,
          part.map(([, count]) => count),
        );
        for (const [day, count] of part) subtract(day, count);
      }
    },
    get lost() {
      return lost;
    },
  };
}

function beginDay(id: string, atMs: number): DayCounts {
  const startMs = Math.floor(atMs / DAY_MS) * DAY_MS;
  const day = new Date(startMs).toISOString().slice(0, 10);
  return { id, day, endsMs: startMs + DAY_MS, good: 0, refused: undefined, isWaiting: false };
}

function isEmpty({ good, refused }: DayCounts): boolean {
  return good === 0 && (refused === undefined || [...refused.values()].every((number) => number === 0));
}

function listCounts(counts: DayCounts): [DayCounts, UseCount][] {
  const { id, day, good, refused = new Map<string, number>() } = counts;
  return [["Good", good] as const, ...refused]
    .filter(([, number]) => number > 0)
    .map(([result, number]) => [counts, { id, day, result, number }]);
}
