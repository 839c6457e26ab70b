import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  combineRateLimits,
  createBucket,
  type RateLimit,
  readStanding,
  takeRequest,
} from "../../../src/token/rate-limit.ts";

const per = (seconds: number, requests: number) => ({ requests, seconds });

test.each([
  ["neither", undefined, undefined, undefined],
  ["the policy's alone", per(60, 600), undefined, per(60, 600)],
  ["the spec's alone", undefined, per(60, 600), per(60, 600)],
  ["the stricter one", per(60, 600), per(60, 60), per(60, 60)],
  ["the slower one of two with the same number at once", per(60, 600), per(3_600, 600), per(3_600, 600)],
  ["few at once by the one, and a slow rate by the other", per(1, 10), per(3_600, 500), per(72, 10)],
  ["whole seconds, rounded up", per(60, 50), per(1, 1), per(2, 1)],
])("limits combine to %s", (_, one, other, both) => {
  expect(combineRateLimits(one, other)).toEqual(both);
  expect(combineRateLimits(other, one)).toEqual(both);
});

const anyLimit = fc.record({
  requests: fc.integer({ min: 1, max: 1_000_000 }),
  seconds: fc.integer({ min: 1, max: 86_400 }),
});

test("a combined limit allows nothing that one of the two forbids, and is at most a second stricter than both", () => {
  fc.assert(
    fc.property(anyLimit, anyLimit, (one, other) => {
      const both = combineRateLimits(one, other) ?? per(0, 0);
      expect(both.requests).toBe(Math.min(one.requests, other.requests));
      for (const limit of [one, other]) {
        expect(both.seconds * limit.requests).toBeGreaterThanOrEqual(both.requests * limit.seconds);
      }
      const strictest = Math.max(...[one, other].map((limit) => (both.requests * limit.seconds) / limit.requests));
      expect(both.seconds - strictest).toBeLessThan(1);
      expect(both.seconds).toBeLessThanOrEqual(86_400);
    }),
  );
});

/** A limit of few requests, and times at which requests come, in ms: also many at once, and long pauses. */
const anyTraffic = fc.record({
  limit: fc.record({ requests: fc.integer({ min: 1, max: 20 }), seconds: fc.integer({ min: 1, max: 30 }) }),
  pausesMs: fc.array(
    fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 3_000 }), fc.integer({ min: 0, max: 60_000 })),
    {
      minLength: 1,
      maxLength: 200,
    },
  ),
});

const timesOf = (pausesMs: readonly number[]) => {
  let atMs = 1_000_000.5;
  return pausesMs.map((pauseMs) => {
    atMs += pauseMs;
    return atMs;
  });
};

/** The times at which a new bucket gives one. */
const taken = (limit: RateLimit, timesMs: readonly number[]) => {
  const bucket = createBucket();
  return timesMs.filter((atMs) => takeRequest(bucket, limit, atMs));
};

/** What the limit means, without fractions: in which time `requests` come back, one request takes as many parts as that has ms. */
function allowed({ requests, seconds }: RateLimit, timesMs: readonly number[]): readonly number[] {
  const windowMs = seconds * 1_000;
  let parts = requests * windowMs;
  let countedAtMs = timesMs[0] ?? 0;
  return timesMs.filter((atMs) => {
    parts = Math.min(requests * windowMs, parts + (atMs - countedAtMs) * requests);
    countedAtMs = atMs;
    if (parts < windowMs) return false;
    parts -= windowMs;
    return true;
  });
}

test("whenever requests come, no span of time has more than the bucket holds and what comes back meanwhile", () => {
  fc.assert(
    fc.property(anyTraffic, ({ limit, pausesMs }) => {
      const passed = taken(limit, timesOf(pausesMs));
      for (const [start, startMs] of passed.entries()) {
        for (const [place, endMs] of passed.slice(start).entries()) {
          const back = ((endMs - startMs) * limit.requests) / (limit.seconds * 1_000);
          expect(place + 1).toBeLessThan(limit.requests + back + 0.01);
        }
      }
    }),
  );
});

test("a token that keeps to its limit is never refused, and one that does not loses no more than it must", () => {
  fc.assert(
    fc.property(anyTraffic, ({ limit, pausesMs }) => {
      const times = timesOf(pausesMs);
      const within = allowed(limit, times);
      expect(taken(limit, within)).toEqual(within);
      expect(taken(limit, times).length).toBeGreaterThanOrEqual(within.length);
    }),
  );
});

test("whoever does what the headers say is not refused, and does not exceed the rate", () => {
  fc.assert(
    fc.property(anyTraffic, fc.integer({ min: 0, max: 20 }), ({ limit }, used) => {
      const bucket = createBucket();
      for (let count = 0; count < used; count += 1) takeRequest(bucket, limit, 0);
      const { left, seconds } = readStanding(bucket, limit, 0);
      expect(left).toBe(Math.max(0, limit.requests - used));
      for (let count = 0; count < left; count += 1) expect(takeRequest(bucket, limit, 0)).toBe(true);
      expect(left / seconds).toBeLessThanOrEqual(limit.requests / limit.seconds + 1e-9);
      expect(takeRequest(bucket, limit, 0)).toBe(false);
      expect(takeRequest(bucket, limit, readStanding(bucket, limit, 0).seconds * 1_000)).toBe(true);
    }),
  );
});

describe("a limit that changes", () => {
  const SECOND_MS = 1_000;

  test("counts what was used as the same share of the bucket", () => {
    const bucket = createBucket();
    for (let count = 0; count < 300; count += 1) takeRequest(bucket, per(60, 600), 0);
    expect(readStanding(bucket, per(60, 60), 0).left).toBe(30);
  });

  test("holds nobody up for longer than the new one takes to give the next request", () => {
    const bucket = createBucket();
    for (let count = 0; count < 10; count += 1) takeRequest(bucket, per(86_400, 10), 0);
    expect(takeRequest(bucket, per(60, 60), 0)).toBe(false);
    expect(takeRequest(bucket, per(60, 60), 2 * SECOND_MS)).toBe(true);
  });
});
