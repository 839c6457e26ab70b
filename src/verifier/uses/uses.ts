/*
 * What a verifier keeps of a token's uses until it is reported. It is written in the hot path, and there is one for each token in
 * use, so it holds plain values, and small integers where they do.
 */

import type { Habits } from "./habits.ts";

/** What is to be reported of a token's uses. Times are the database's, in ms since 1970. */
export interface Uses {
  readonly id: string;
  latestMs: number;
  latestAddress: string | undefined;
  /** Whether the latest use was reported, or there was none. */
  isReported: boolean;
  /** When a refusal was last noted for the audit trail; undefined if none was. */
  refusedMs: number | undefined;
  /** The day in UTC of the counts below, in days since 1970. */
  day: number;
  /** How often it was good on that day and has not been reported. */
  good: number;
  /** How often it was refused, by reason. */
  refused: Map<string, number> | undefined;
  /** Whether its counts are among those that will be reported. */
  isWaiting: boolean;
  /** What is usual for it; undefined until it is used. */
  habits: Habits | undefined;
  /** How often it was used since its rate was last looked at. */
  sinceLook: number;
}

/** Nothing is to be reported of the token with this id. */
export function createUses(id: string): Uses {
  return {
    id,
    latestMs: 0,
    latestAddress: undefined,
    isReported: true,
    refusedMs: undefined,
    day: 0,
    good: 0,
    refused: undefined,
    isWaiting: false,
    habits: undefined,
    sinceLook: 0,
  };
}
