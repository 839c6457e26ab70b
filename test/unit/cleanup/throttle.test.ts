import { expect, test } from "vitest";
import { findPauseReason, findWalPauseMs } from "../../../src/cleanup/throttle.ts";
import type { Pressure } from "../../../src/postgres/cleanup-pressure.ts";

const calm: Pressure = { replicaLagMs: 0, waiters: 0 };
const limits = { replicaLagMs: 10_000, waiters: 0, walBytesPerSecond: undefined };
const unlimited = { replicaLagMs: undefined, waiters: undefined, walBytesPerSecond: undefined };

test.each<[string, Partial<Pressure>, string | undefined]>([
  ["all is calm", {}, undefined],
  ["a replica is just as far behind as it may be", { replicaLagMs: 10_000 }, undefined],
  ["a replica is further behind", { replicaLagMs: 10_001 }, "replica lag"],
  ["there is no replica, or none that may be seen", { replicaLagMs: undefined }, undefined],
  ["a session waits for a lock of the run", { waiters: 1 }, "waiting sessions"],
])("when %s", (_case, now, reason) => {
  expect(findPauseReason({ ...calm, ...now }, limits)).toBe(reason);
  expect(findPauseReason({ ...calm, ...now }, unlimited)).toBeUndefined();
});

test.each([
  ["nothing was written", 0, 0],
  ["as much was written as may be", 500_000, 0],
  ["twice as much was written", 1_000_000, 500],
  ["ten times as much was written", 5_000_000, 4_500],
])("in half a second %s", (_case, walBytes, pauseMs) => {
  expect(findWalPauseMs({ walBytes: 7, atMs: 100 }, { walBytes: 7 + walBytes, atMs: 600 }, 1_000_000)).toBe(pauseMs);
});
