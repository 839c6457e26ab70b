import { afterEach, expect, test, vi } from "vitest";
import { createVerifierClock } from "../../../src/verifier/clock.ts";

afterEach(() => void vi.restoreAllMocks());

/** A database whose clock is a day ahead, and says so after `roundTripMs`. */
const answer = (roundTripMs: number, aheadMs = 86_400_000) => {
  const answeredAtMs = performance.now();
  const databaseMs = performance.timeOrigin + answeredAtMs - roundTripMs / 2 + aheadMs;
  return [new Date(databaseMs), answeredAtMs - roundTripMs, answeredAtMs] as const;
};

const aheadMs = (clock: ReturnType<typeof createVerifierClock>) =>
  clock.nowMs() - (performance.timeOrigin + performance.now());

test("the database's time counts from its first answer on, however slow that was", () => {
  const clock = createVerifierClock();
  expect(clock.isSet).toBe(false);
  clock.set(...answer(4_000));
  expect(clock.isSet).toBe(true);
  expect(aheadMs(clock)).toBeCloseTo(86_400_000, -2);
});

test("later on, an answer that was slow changes nothing, and a quick one corrects the clock", () => {
  const clock = createVerifierClock();
  clock.set(...answer(10));
  clock.set(...answer(2_000, 0));
  expect(aheadMs(clock)).toBeCloseTo(86_400_000, -2);
  clock.set(...answer(10, 3_600_000));
  expect(aheadMs(clock)).toBeCloseTo(3_600_000, -2);
});

test("nobody moves it by setting the machine's clock", () => {
  const clock = createVerifierClock();
  clock.set(...answer(10, 0));
  const now = Date.now();
  vi.spyOn(Date, "now").mockReturnValue(now + 3_600_000);
  expect(aheadMs(clock)).toBeCloseTo(0, -2);
  expect(clock.aheadMs).toBeCloseTo(-3_600_000, -3);
});
