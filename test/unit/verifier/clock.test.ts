import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { createVerifierClock } from "../../../src/verifier/clock.ts";

afterEach(() => void vi.restoreAllMocks());

/** A database whose clock is a day ahead, and says so after `roundTripMs`. */
const answer = (roundTripMs: number, aheadMs = 86_400_000) => {
  const answeredAtMs = performance.now();
  const databaseMs = performance.timeOrigin + answeredAtMs - roundTripMs / 2 + aheadMs;
  return [new Date(databaseMs), answeredAtMs - roundTripMs, answeredAtMs] as const;
};

/** At one moment: between two readings of a clock, a busy machine may do other things for milliseconds. */
const aheadMs = (clock: ReturnType<typeof createVerifierClock>) => clock.at(0) - performance.timeOrigin;

test("the database's time counts from its first answer on, however slow that was", () => {
  const clock = createVerifierClock();
  expect(clock.isSet).toBe(false);
  clock.set(...answer(4_000));
  expect(clock.isSet).toBe(true);
  const [fromMs, nowMs, toMs] = [clock.at(performance.now()), clock.nowMs(), clock.at(performance.now())];
  expect(nowMs).toBeGreaterThanOrEqual(fromMs);
  expect(nowMs).toBeLessThanOrEqual(toMs);
  expect(aheadMs(clock)).toBeCloseTo(86_400_000, -2);
});

test("later on, an answer that was slow changes no more than it proves", () => {
  const clock = createVerifierClock();
  clock.set(...answer(10));
  clock.set(...answer(2_000));
  expect(aheadMs(clock), "it agrees with the clock").toBeCloseTo(86_400_000, -1);
  clock.set(...answer(10, 3_600_000));
  expect(aheadMs(clock), "the database's clock was set").toBeCloseTo(3_600_000, -2);
});

test("no answer makes it worse, and each leaves it wrong by no more than the answer took", () => {
  const anAnswer = fc.record({
    askedAtMs: fc.integer({ min: 0, max: 10_000 }),
    tookMs: fc.integer({ min: 0, max: 3_000 }),
    share: fc.double({ min: 0, max: 1, noNaN: true }),
  });
  fc.assert(
    fc.property(fc.array(anAnswer, { minLength: 1, maxLength: 8 }), (answers) => {
      const clock = createVerifierClock();
      const trueAheadMs = 5_000;
      const wrongMs = () => Math.abs(aheadMs(clock) - trueAheadMs);
      let before = Number.POSITIVE_INFINITY;
      for (const { askedAtMs, tookMs, share } of answers) {
        // When the database has looked at its clock, nobody knows.
        const lookedAtMs = Math.round(askedAtMs + tookMs * share);
        clock.set(
          new Date(Math.round(performance.timeOrigin) + lookedAtMs + trueAheadMs),
          askedAtMs,
          askedAtMs + tookMs,
        );
        expect(wrongMs()).toBeLessThanOrEqual(Math.min(before, tookMs) + 2);
        before = wrongMs();
      }
    }),
  );
});

test("nobody moves it by setting the machine's clock", () => {
  const clock = createVerifierClock();
  clock.set(...answer(10, 0));
  const now = Date.now();
  vi.spyOn(Date, "now").mockReturnValue(now + 3_600_000);
  expect(aheadMs(clock)).toBeCloseTo(0, -2);
  expect(clock.aheadMs).toBeCloseTo(-3_600_000, -3);
});
