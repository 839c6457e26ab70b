import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { DesiredRotation } from "../../../src/token/model.ts";
import { renewalTime } from "../../../src/token/rotation.ts";
import { HOUR_MS, later, NOW } from "../../support/builders.ts";

const rotation = (renewBefore: DesiredRotation["renewBefore"]): DesiredRotation => ({
  isAutomatic: true,
  renewBefore,
  overlapMs: HOUR_MS,
});

const renewal = (renewBefore: DesiredRotation["renewBefore"], lifetimeMs: number, uid: string) =>
  renewalTime(rotation(renewBefore), { issuedAt: NOW, expiresAt: later(lifetimeMs) }, uid);

const anyRenewBefore = fc.oneof(
  fc.integer({ min: 1, max: 50 }).map((percentage) => ({ percentage })),
  fc.integer({ min: 1_000, max: 2_000 * HOUR_MS }).map((ms) => ({ ms })),
);
const anyLifetime = fc.integer({ min: 10, max: 720 * 3_600 }).map((seconds) => seconds * 1_000);

describe("a token is renewed", () => {
  test.each<[string, DesiredRotation["renewBefore"], number]>([
    ["a tenth of its life before its end", { percentage: 10 }, 72],
    ["another share", { percentage: 25 }, 180],
    ["a time before its end", { ms: 5 * HOUR_MS }, 5],
    ["half of its life before its end at the earliest", { percentage: 50 }, 360],
    ["also where more is asked for", { ms: 700 * HOUR_MS }, 360],
  ])("%s, and later by up to a tenth of that", (_, renewBefore, leadHours) => {
    fc.assert(
      fc.property(fc.uuid(), (uid) => {
        const leadMs = later(720 * HOUR_MS).getTime() - renewal(renewBefore, 720 * HOUR_MS, uid).getTime();
        expect(leadMs).toBeLessThanOrEqual(leadHours * HOUR_MS);
        expect(leadMs).toBeGreaterThan(leadHours * HOUR_MS * 0.9 - 1);
      }),
    );
  });

  test("in a whole second, after its beginning and before its end, always the same for the same ApiToken", () => {
    fc.assert(
      fc.property(anyRenewBefore, anyLifetime, fc.uuid(), (renewBefore, lifetimeMs, uid) => {
        const at = renewal(renewBefore, lifetimeMs, uid);
        expect(at.getMilliseconds()).toBe(0);
        expect(at.getTime()).toBeGreaterThan(NOW.getTime());
        expect(at.getTime()).toBeLessThan(later(lifetimeMs).getTime());
        expect(renewal(renewBefore, lifetimeMs, uid)).toEqual(at);
      }),
    );
  });

  test("at a different time than others that were issued with it, evenly spread", () => {
    const buckets = Array<number>(10).fill(0);
    for (let index = 0; index < 1_000; index += 1) {
      const delayMs =
        renewal({ percentage: 10 }, 720 * HOUR_MS, `uid-${index}`).getTime() - later(648 * HOUR_MS).getTime();
      const bucket = Math.floor(delayMs / (0.72 * HOUR_MS));
      buckets[bucket] = (buckets[bucket] ?? 0) + 1;
    }
    expect(buckets).toHaveLength(10);
    for (const count of buckets) expect(count).toBeGreaterThan(60);
  });
});
