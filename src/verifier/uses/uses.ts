/*
 * What a verifier keeps of a token's uses until it is reported. It is written in the hot path, so it holds plain values.
 */

/** What is to be reported of a token's uses. Times are the database's, in ms since 1970. */
export interface Uses {
  readonly id: string;
  latestMs: number;
  latestAddress: string | undefined;
  /** Whether the latest use was reported, or there was none. */
  isReported: boolean;
  /** When a refusal was last noted for the audit trail. */
  refusedMs: number;
}

/** Nothing is to be reported of the token with this id. */
export function createUses(id: string): Uses {
  return { id, latestMs: 0, latestAddress: undefined, isReported: true, refusedMs: Number.NEGATIVE_INFINITY };
}
