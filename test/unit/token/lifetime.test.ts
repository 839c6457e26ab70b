import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { floorToSecond, resolveLifetime } from "../../../src/token/lifetime.ts";
import { HOUR_MS, LIMITS, later, NOW } from "../../support/builders.ts";

const arbitraryRequest = fc.oneof(
  fc.constant({ kind: "default" } as const),
  fc.integer({ min: 0, max: 10_000 * HOUR_MS }).map((durationMs) => ({ kind: "duration", durationMs }) as const),
  fc.date({ noInvalidDate: true }).map((expiresAt) => ({ kind: "fixed", expiresAt }) as const),
);
const arbitraryLimits = fc.record({
  defaultMs: fc.integer({ min: 0, max: 2_000 * HOUR_MS }),
  maxMs: fc.integer({ min: 1_000, max: 2_000 * HOUR_MS }),
});
const arbitraryIssue = fc.date({ min: new Date("2000-01-01"), max: new Date("2200-01-01"), noInvalidDate: true });

describe("a lifetime", () => {
  test("ends after its beginning, in a whole second, and never later than the maximum", () => {
    fc.assert(
      fc.property(arbitraryRequest, arbitraryLimits, arbitraryIssue, (requested, limits, issuedAt) => {
        const { expiresAt } = resolveLifetime(requested, limits, issuedAt);
        expect(expiresAt.getTime()).toBeGreaterThan(issuedAt.getTime());
        expect(expiresAt.getTime()).toBeLessThanOrEqual(issuedAt.getTime() + limits.maxMs);
        expect(expiresAt.getMilliseconds()).toBe(0);
      }),
      { numRuns: 1_000 },
    );
  });

  test("is shorter than requested by more than a fraction of a second only if it is marked as clamped", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 2_000 * HOUR_MS }), arbitraryLimits, (durationMs, limits) => {
        const { expiresAt, isClamped } = resolveLifetime({ kind: "duration", durationMs }, limits, NOW);
        const missingMs = durationMs - (expiresAt.getTime() - NOW.getTime());
        expect(isClamped).toBe(durationMs > limits.maxMs);
        if (!isClamped) expect(missingMs).toBeLessThan(1_000);
      }),
    );
  });

  test.each([
    ["the default", { kind: "default" }, 720, false],
    ["a shorter one", { kind: "duration", durationMs: HOUR_MS }, 1, false],
    ["just the maximum", { kind: "duration", durationMs: 720 * HOUR_MS }, 720, false],
    ["a longer one", { kind: "duration", durationMs: 1_440 * HOUR_MS }, 720, true],
    ["a fixed end", { kind: "fixed", expiresAt: later(2 * HOUR_MS) }, 2, false],
    ["a fixed end far ahead", { kind: "fixed", expiresAt: new Date("2099-01-01T00:00:00Z") }, 720, true],
  ] as const)("%s", (_, requested, hours, isClamped) => {
    expect(resolveLifetime(requested, LIMITS, NOW)).toEqual({ expiresAt: later(hours * HOUR_MS), isClamped });
  });

  test("by default is the policy's default, not its maximum", () => {
    const limits = { defaultMs: 24 * HOUR_MS, maxMs: 720 * HOUR_MS };
    expect(resolveLifetime({ kind: "default" }, limits, NOW).expiresAt).toEqual(later(24 * HOUR_MS));
  });

  test.each([
    ["before the beginning", later(-HOUR_MS)],
    ["at the beginning", NOW],
  ])("that should end %s is as short as possible, because a row must end after it begins", (_, expiresAt) => {
    expect(resolveLifetime({ kind: "fixed", expiresAt }, LIMITS, NOW).expiresAt).toEqual(later(1_000));
  });
});

test.each([
  ["2026-06-01T12:00:00.000Z", "2026-06-01T12:00:00.000Z"],
  ["2026-06-01T12:00:00.999Z", "2026-06-01T12:00:00.000Z"],
  ["1969-12-31T23:59:59.500Z", "1969-12-31T23:59:59.000Z"],
])("the last whole second of %s is %s", (text, expected) => {
  expect(floorToSecond(new Date(text)).toISOString()).toBe(expected);
});
