import fc from "fast-check";
import { expect, test } from "vitest";
import { combineRateLimits } from "../../../src/token/rate-limit.ts";

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
