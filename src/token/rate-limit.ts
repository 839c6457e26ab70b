/*
 * How often a token may be used. The limit is a bucket: it holds `requests`, each use takes one, and it is filled again in
 * `seconds`.
 */

/** So many requests at once, and then as many again in this time. */
export interface RateLimit {
  readonly requests: number;
  readonly seconds: number;
}

/** A limit that keeps to both; undefined if neither is given. Seconds are whole, so it may be a little stricter than the two. */
export function combineRateLimits(one: RateLimit | undefined, other: RateLimit | undefined): RateLimit | undefined {
  if (one === undefined || other === undefined) return one ?? other;
  const requests = Math.min(one.requests, other.requests);
  const secondsFor = (limit: RateLimit) => (requests * limit.seconds) / limit.requests;
  return { requests, seconds: Math.ceil(Math.max(secondsFor(one), secondsFor(other))) };
}

/** Whether two limits allow the same. */
export function isSameRateLimit(one: RateLimit | undefined, other: RateLimit | undefined): boolean {
  return one?.requests === other?.requests && one?.seconds === other?.seconds;
}
