/*
 * What a verifier keeps of a token's uses until it is reported. It is written in the hot path, so it holds plain values.
 */

import type { Habits } from "./habits.ts";

/** What is to be reported of a token's uses. Times are the database's, in ms since 1970. */
export interface Uses {
  readonly id: string;
  latestMs: number;
  latestAddress: string | undefined;
  /** Whether the latest use was reported, or there was none. */
  isReported: boolean;
  /** When a refusal was last noted for the audit trail. */
  refusedMs: number;
  /** What is counted of the current day. */
  day: DayCounts | undefined;
  /** What is usual for it; undefined until it is used. */
  habits: Habits | undefined;
  /** How often it was used since its rate was last looked at. */
  sinceLook: number;
}

/** A token's uses on one day in UTC, as far as they have not been reported. */
export interface DayCounts {
  readonly id: string;
  /** As in 2026-11-29. */
  readonly day: string;
  readonly endsMs: number;
  good: number;
  /** How often it was refused, by reason. */
  refused: Map<string, number> | undefined;
  /** Whether it is among those that will be reported. */
  isWaiting: boolean;
}

/** Nothing is to be reported of the token with this id. */
export function createUses(id: string): Uses {
  return {
    id,
    latestMs: 0,
    latestAddress: undefined,
    isReported: true,
    refusedMs: Number.NEGATIVE_INFINITY,
    day: undefined,
    habits: undefined,
    sinceLook: 0,
  };
}
