import { describe, expect, test } from "vitest";
import { acceptedUntil, isAccepted, isCurrent, isInGrace, isLive, liveUntil } from "../../../src/token/validity.ts";
import { aTokenRow, HOUR_MS, later, NOW } from "../../support/builders.ts";

const GRACE = { periodMs: HOUR_MS, scopes: [] };
const expired = { expiresAt: NOW, grace: GRACE };

describe("a token", () => {
  test.each([
    ["without an end set", {}, "live accepted current"],
    ["a millisecond before its expiry", { expiresAt: later(1) }, "live accepted current"],
    ["at its expiry", { expiresAt: NOW }, ""],
    ["a millisecond before its revocation", { revokedAt: later(1) }, "live accepted"],
    ["at its revocation", { revokedAt: NOW }, ""],
    ["at its expiry, with a later revocation", { expiresAt: NOW, revokedAt: later(1) }, ""],
    ["a millisecond before its expiry, with a grace", { expiresAt: later(1), grace: GRACE }, "live accepted current"],
    ["at its expiry, with a grace", expired, "grace accepted"],
    ["a millisecond before the end of its grace", { ...expired, expiresAt: later(1 - HOUR_MS) }, "grace accepted"],
    ["at the end of its grace", { ...expired, expiresAt: later(-HOUR_MS) }, ""],
    ["in its grace, before its revocation", { ...expired, revokedAt: later(1) }, "grace accepted"],
    ["in its grace, at its revocation", { ...expired, revokedAt: NOW }, ""],
    ["revoked before its expiry, with a grace", { ...expired, revokedAt: later(-1) }, ""],
    ["at the end of time", { expiresAt: new Date(8.64e15), grace: GRACE }, "live accepted current"],
  ])("%s is %s", (_, row, expected) => {
    const token = aTokenRow(row);
    const words = { live: isLive, grace: isInGrace, accepted: isAccepted, current: isCurrent };
    const held = Object.entries(words).filter(([, holds]) => holds(token, NOW));
    expect(held.map(([word]) => word).join(" ")).toBe(expected);
  });
});

test.each([
  ["its expiry, and the end of its grace", {}, 0, HOUR_MS],
  ["a revocation before its expiry", { revokedAt: later(-1) }, -1, -1],
  ["its expiry, and a revocation in its grace", { revokedAt: later(1) }, 0, 1],
  ["its expiry alone, without a grace", { grace: undefined }, 0, 0],
])("a token is live and accepted until %s", (_, row, liveMs, acceptedMs) => {
  const token = aTokenRow({ ...expired, ...row });
  expect([liveUntil(token), acceptedUntil(token)]).toEqual([later(liveMs), later(acceptedMs)]);
});
