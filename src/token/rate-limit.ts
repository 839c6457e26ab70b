/*
 * How often a token may be used. The limit is a bucket: it holds `requests`, each use takes one, and it is filled again in
 * `seconds`. Times are those of a clock that nobody can set.
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

/** What has been taken, as the time at which all of it will be back (GCRA): nothing has to be done in between. */
export interface Bucket {
  fullAtMs: number;
}

/** A full bucket. */
export function createBucket(): Bucket {
  return { fullAtMs: Number.NEGATIVE_INFINITY };
}

/** How far a token is from its limit. */
export interface RateStanding {
  readonly limit: RateLimit;
  /** How many requests it may make at once. */
  readonly left: number;
  /** In which time these come back or, if none is left, when the next one does: whole seconds, at least one. */
  readonly seconds: number;
}

/** In parts of a request: sums of fractions are not exact. */
const TOLERANCE = 1e-6;

/** Takes a request at `nowMs`; false if none is left. */
export function takeRequest(bucket: Bucket, { requests, seconds }: RateLimit, nowMs: number): boolean {
  const stepMs = (seconds * 1_000) / requests;
  const latestMs = nowMs + seconds * 1_000 + TOLERANCE * stepMs;
  // Under a limit that has changed, no more can have been taken than the bucket holds.
  bucket.fullAtMs = Math.min(Math.max(bucket.fullAtMs, nowMs), latestMs);
  if (bucket.fullAtMs + stepMs > latestMs) return false;
  bucket.fullAtMs += stepMs;
  return true;
}

/** What is left at `nowMs`. */
export function readStanding(bucket: Bucket, limit: RateLimit, nowMs: number): RateStanding {
  const { requests, seconds } = limit;
  const share = Math.min(Math.max(0, bucket.fullAtMs - nowMs) / (seconds * 1_000), 1);
  const free = requests * (1 - share);
  const left = Math.floor(free + TOLERANCE);
  const wait = ((left > 0 ? left : 1 - free) * seconds) / requests;
  return { limit, left, seconds: Math.max(1, Math.ceil(wait)) };
}
