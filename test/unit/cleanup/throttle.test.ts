import { expect, test } from "vitest";
import { findPauseReason, type PressureSample } from "../../../src/cleanup/throttle.ts";

const calm: PressureSample = { replicaLagMs: 0, waiters: 0, walBytes: 0, atMs: 0 };
const limits = { replicaLagMs: 10_000, waiters: 0, walBytesPerSecond: 1_000_000 };
const unlimited = { replicaLagMs: undefined, waiters: undefined, walBytesPerSecond: undefined };

test.each<[string, Partial<PressureSample>, string | undefined]>([
  ["all is calm", {}, undefined],
  ["a replica is just as far behind as it may be", { replicaLagMs: 10_000 }, undefined],
  ["a replica is further behind", { replicaLagMs: 10_001 }, "replica lag"],
  ["there is no replica, or none that may be seen", { replicaLagMs: undefined }, undefined],
  ["a session waits for a lock of the run", { waiters: 1 }, "waiting sessions"],
  ["the server writes as much WAL as it may", { walBytes: 500_000 }, undefined],
  ["the server writes more WAL", { walBytes: 500_001 }, "WAL rate"],
])("when %s", (_case, now, reason) => {
  expect(findPauseReason(calm, { ...calm, atMs: 500, ...now }, limits)).toBe(reason);
  expect(findPauseReason(calm, { ...calm, atMs: 500, ...now }, unlimited)).toBeUndefined();
});

test("the first reading tells no rate", () => {
  expect(findPauseReason(undefined, { ...calm, walBytes: 1e12 }, limits)).toBeUndefined();
});
