import { describe, expect, test } from "vitest";
import {
  beginHabits,
  HOUR_MS,
  learnAddress,
  learnRate,
  learnWrongSecret,
  MANY_ADDRESSES,
  MANY_WRONG_SECRETS,
  SILENCE_MS,
  UNUSUAL_PER_MINUTE,
} from "../../../../src/verifier/uses/habits.ts";

const START_MS = Date.UTC(2026, 5, 1);
const LEARNING_MS = HOUR_MS;
const LEARNED_MS = START_MS + LEARNING_MS;
const MINUTE_MS = 60_000;

const learned = () => {
  const habits = beginHabits(START_MS);
  learnAddress(habits, "192.0.2.1", START_MS, LEARNING_MS);
  return habits;
};

describe("a network", () => {
  test("is not unusual while a token is learned", () => {
    expect(learnAddress(learned(), "198.51.100.1", LEARNED_MS - 1, LEARNING_MS)).toEqual([]);
  });

  test("is unusual if the token was not used from it before, and usual from then on", () => {
    const habits = learned();
    expect(learnAddress(habits, "198.51.100.1", LEARNED_MS, LEARNING_MS)).toEqual(["NewNetwork"]);
    expect(learnAddress(habits, "198.51.100.99", LEARNED_MS + SILENCE_MS, LEARNING_MS)).toEqual([]);
  });

  test("is the same for all addresses of a /24 and of a /64", () => {
    const habits = learned();
    learnAddress(habits, "2001:db8::1", START_MS, LEARNING_MS);
    expect(learnAddress(habits, "192.0.2.254", LEARNED_MS, LEARNING_MS)).toEqual([]);
    expect(learnAddress(habits, "2001:db8::ffff:1:2:3", LEARNED_MS, LEARNING_MS)).toEqual([]);
    expect(learnAddress(habits, "2001:db8:0:1::1", LEARNED_MS, LEARNING_MS)).toEqual(["NewNetwork"]);
  });

  test("that was used lately is not forgotten, however many others were seen", () => {
    const habits = learned();
    for (let n = 0; n < 100; n += 1) {
      learnAddress(habits, `10.0.${n}.1`, START_MS, LEARNING_MS);
      learnAddress(habits, "192.0.2.1", START_MS, LEARNING_MS);
    }
    expect(habits.networks.length).toBeLessThanOrEqual(16);
    expect(learnAddress(habits, "192.0.2.7", LEARNED_MS, LEARNING_MS)).toEqual([]);
  });

  test("is reported once a day", () => {
    const habits = learned();
    const told = [0, 1, 2, SILENCE_MS].flatMap((laterMs, n) =>
      learnAddress(habits, `198.51.${n}.1`, LEARNED_MS + laterMs, LEARNING_MS),
    );
    expect(told).toEqual(["NewNetwork", "NewNetwork"]);
  });

  test("of something that is not an address is none", () => {
    expect(learnAddress(learned(), "unknown", LEARNED_MS, LEARNING_MS)).toEqual([]);
  });
});

describe("addresses", () => {
  const useFrom = (habits: ReturnType<typeof beginHabits>, count: number, everyMs: number) =>
    Array.from({ length: count }, (_, n) =>
      learnAddress(habits, `192.0.2.${n + 1}`, LEARNED_MS + n * everyMs, LEARNING_MS),
    ).flat();

  test("are many if there are twenty within an hour", () => {
    expect(useFrom(learned(), MANY_ADDRESSES - 1, 1_000)).toEqual([]);
    expect(useFrom(learned(), MANY_ADDRESSES, 1_000)).toEqual(["ManyAddresses"]);
  });

  test("that became many while a token was learned are reported once it is learned", () => {
    const habits = beginHabits(LEARNED_MS - 1_000);
    const kinds = Array.from({ length: 40 }, (_, n) =>
      learnAddress(habits, `192.0.2.${n + 1}`, LEARNED_MS - 1_000 + n * 50, 1_000),
    );
    expect(kinds.flat()).toEqual(["ManyAddresses"]);
  });

  test("are not many if as many come within a day", () => {
    expect(useFrom(learned(), 200, (24 * HOUR_MS) / 200)).toEqual([]);
  });

  test("that take turns are the same addresses", () => {
    const habits = learned();
    const kinds = Array.from({ length: 1_000 }, (_, n) =>
      learnAddress(habits, `192.0.2.${n % 3}`, LEARNED_MS + n, LEARNING_MS),
    ).flat();
    expect(kinds).toEqual([]);
  });

  test("take no more memory, however many they are", () => {
    const habits = learned();
    for (let n = 0; n < 10_000; n += 1) learnAddress(habits, `10.${n >> 8}.${n & 255}.1`, LEARNED_MS, LEARNING_MS);
    expect(habits.recent.length).toBe(MANY_ADDRESSES);
    expect(habits.networks.length).toBe(16);
  });
});

describe("a rate", () => {
  const use = (habits: ReturnType<typeof beginHabits>, perMinute: number, atMs: number) =>
    learnRate(habits, perMinute, MINUTE_MS, atMs, LEARNING_MS);

  test("is unusual if it is far above the highest so far", () => {
    const habits = learned();
    expect(use(habits, 1_000, START_MS)).toEqual([]);
    expect(use(habits, 4_900, LEARNED_MS)).toEqual([]);
    expect(use(habits, 30_000, LEARNED_MS + MINUTE_MS)).toEqual(["UnusualRate"]);
  });

  test("that was seen before is usual, also after quiet days", () => {
    const habits = learned();
    use(habits, 1_000, START_MS);
    for (let day = 1; day < 5; day += 1) {
      expect(use(habits, 1_000, START_MS + day * 24 * HOUR_MS)).toEqual([]);
      expect(use(habits, 1, START_MS + day * 24 * HOUR_MS + MINUTE_MS)).toEqual([]);
    }
  });

  test("is never unusual if it is low", () => {
    const habits = learned();
    use(habits, 1, START_MS);
    expect(use(habits, UNUSUAL_PER_MINUTE - 1, LEARNED_MS)).toEqual([]);
  });

  test("counts for the time in which it was measured", () => {
    const habits = learned();
    expect(learnRate(habits, 1_000, 10 * MINUTE_MS, LEARNED_MS, LEARNING_MS)).toEqual([]);
    expect(learnRate(habits, 10_000, 10 * MINUTE_MS, LEARNED_MS, LEARNING_MS)).toEqual(["UnusualRate"]);
  });

  test("is reported once a day", () => {
    const habits = learned();
    const told = [1, 10, 100, 1_000].flatMap((factor) => use(habits, factor * 1_000, LEARNED_MS));
    expect(told).toEqual(["UnusualRate"]);
  });
});

describe("wrong secrets", () => {
  const fail = (habits: ReturnType<typeof beginHabits>, count: number, everyMs: number, fromMs = START_MS) =>
    Array.from({ length: count }, (_, n) => learnWrongSecret(habits, fromMs + n * everyMs)).flat();

  test("are not a mistake if there are ten within an hour, also of a token that nobody has used", () => {
    expect(fail(beginHabits(START_MS), MANY_WRONG_SECRETS - 1, 1_000)).toEqual([]);
    expect(fail(beginHabits(START_MS), MANY_WRONG_SECRETS, 1_000)).toEqual(["WrongSecrets"]);
  });

  test("are a mistake if they come now and then", () => {
    expect(fail(beginHabits(START_MS), 100, HOUR_MS / 5)).toEqual([]);
  });

  test("are reported once a day, however many there are", () => {
    const habits = beginHabits(START_MS);
    expect(fail(habits, 10_000, 1)).toEqual(["WrongSecrets"]);
    expect(fail(habits, 10_000, 1, START_MS + SILENCE_MS + HOUR_MS)).toEqual(["WrongSecrets"]);
  });
});

test("a clock that was set back silences nothing for longer than a day", () => {
  const habits = beginHabits(START_MS - 30 * SILENCE_MS);
  learnAddress(habits, "192.0.2.1", START_MS, LEARNING_MS);
  expect(learnAddress(habits, "198.51.100.1", START_MS, LEARNING_MS)).toEqual(["NewNetwork"]);
  expect(learnAddress(habits, "203.0.113.1", START_MS - HOUR_MS, LEARNING_MS)).toEqual(["NewNetwork"]);
});
