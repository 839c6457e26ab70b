import { expect, test } from "vitest";
import { findPauseReason, findStallMs, findWalPauseMs } from "../../../../src/cleanup/run/throttle.ts";
import type { Pressure } from "../../../../src/postgres/cleanup/pressure.ts";

const calm: Pressure = { replicaLagMs: 0, walBytes: 0, appliedBytes: undefined, waiters: 0, nextXid: 0n };
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

const WRITTEN = [
  { walBytes: 100, atMs: 1_000 },
  { walBytes: 200, atMs: 2_000 },
  { walBytes: 300, atMs: 3_000 },
];

test.each([
  ["there is no replica", undefined, 0],
  ["it has applied everything", 300, 0],
  ["it lacks the newest", 299, 1_000],
  ["it has stopped in the middle", 150, 2_000],
  ["it has applied nothing of it", 0, 3_000],
])("a replica that applies nothing more is behind from the first that it lacks: %s", (_case, appliedBytes, stallMs) => {
  expect(findStallMs(WRITTEN, appliedBytes, 4_000)).toBe(stallMs);
});
