import { describe, expect, test } from "vitest";
import type { ApiTokenStatus, DesiredToken, Observed, ObservedResource } from "../../../src/token/model.ts";
import { plan } from "../../../src/token/plan.ts";
import { findCondition, formatTime, statusOfOutage } from "../../../src/token/status.ts";
import {
  aConvergedObserved,
  aDesiredToken,
  anObserved,
  aResource,
  aTokenRow,
  HOUR_MS,
  NOW,
} from "../../support/builders.ts";
import { statusOf } from "./status-of.ts";

const later = (ms: number) => new Date(NOW.getTime() + ms);

/** A status that tells of a token which is not there any more. */
const LAST: ApiTokenStatus = {
  tokenId: "tokenOne0001",
  revision: 4,
  issuedAt: "2026-06-01T11:00:00Z",
  expiresAt: "2026-06-01T11:30:00Z",
  effective: { duration: "30m", scopes: ["a:b"] },
};

const twoHours = { kind: "duration", durationMs: 2 * HOUR_MS } as const;
const ended = { issuedAt: later(-3 * HOUR_MS), expiresAt: later(-HOUR_MS) };
const clampedLife = { kind: "duration", durationMs: 721 * HOUR_MS } as const;

describe("a status", () => {
  test("of a live token says all there is to know of it, and nothing secret", () => {
    const resource = aResource({ generation: 3 });
    const observed = aConvergedObserved({ resource }, { scopes: ["a:b", "c"], revision: 2 });
    expect(statusOf(observed, { scopes: ["a:b", "c"] })).toEqual({
      observedGeneration: 3,
      conditions: [expect.objectContaining({ type: "Ready", observedGeneration: 3 })],
      tokenId: "tokenOne0001",
      revision: 2,
      issuedAt: "2026-06-01T11:00:00Z",
      expiresAt: "2026-07-01T11:00:00Z",
      effective: { duration: "720h", scopes: ["a:b", "c"] },
      secretName: "demo",
    });
  });

  test("says nothing of clamping where nothing was clamped", () => {
    expect(statusOf(aConvergedObserved()).conditions).toHaveLength(1);
  });

  test("of a clamped token names the maximum, not the default", () => {
    const limits = { defaultMs: HOUR_MS, maxMs: 720 * HOUR_MS };
    const { status } = plan({ desired: aDesiredToken({ lifetime: clampedLife }) }, aConvergedObserved(), limits);
    expect(findCondition(status ?? {}, "LifetimeClamped")?.message).toContain("maximum lifetime is 720h");
  });

  test.each<[string, ApiTokenStatus]>([
    ["in a conflict", statusOf(anObserved({ resource: aResource({ status: LAST }), secret: { state: "foreign" } }))],
    [
      "revoked, its row cleaned up",
      statusOf(anObserved({ resource: aResource({ status: LAST }) }), { isRevoked: true }),
    ],
    [
      "expired, its row cleaned up",
      statusOf(anObserved({ resource: aResource({ status: LAST }) }), {
        lifetime: { kind: "duration", durationMs: HOUR_MS },
      }),
    ],
    [
      "suspended without a token",
      statusOf(anObserved({ resource: aResource({ status: LAST }) }), { isSuspended: true }),
    ],
    ["that cannot read its spec", statusOf(anObserved({ resource: aResource({ status: LAST }) }), { problem: "bad" })],
  ])("%s still says which token was the last, and names no Secret", (_, status) => {
    expect(status).toEqual({ observedGeneration: 1, conditions: expect.anything(), ...LAST });
  });

  test("of what never had a token names none", () => {
    const status = statusOf(anObserved(), { lifetime: { kind: "fixed", expiresAt: NOW } });
    expect(Object.keys(status)).toEqual(["observedGeneration", "conditions"]);
  });

  test("of a revoked token names its row, and no Secret", () => {
    const resource = aResource({ status: { ...LAST, secretName: "demo" } });
    const row = aTokenRow({ revision: 5, revokedAt: NOW });
    const status = statusOf(anObserved({ resource, tokens: [row] }), { isRevoked: true });
    expect(status).toMatchObject({ revision: 5, expiresAt: "2026-07-01T11:00:00Z" });
    expect(status).not.toHaveProperty("secretName");
    expect(findCondition(status, "Ready")).toMatchObject({ status: "False", reason: "RevokedBySpec" });
    expect(findCondition(status, "Revoked")?.message).toBe("Revoked by spec.revoked. This is final.");
  });

  test.each([
    [
      "names the Secret that is still there",
      { state: "ours", name: "demo", holds: undefined, isDecorated: true },
      "demo",
    ],
    ["names no Secret where there is none", { state: "absent" }, undefined],
  ] as const)("of an expired token describes it and %s", (_, secret, secretName) => {
    const row = aTokenRow({ ...ended, revision: 3 });
    const status = statusOf(anObserved({ tokens: [row], secret }), { lifetime: twoHours });
    expect(status).toMatchObject({ tokenId: row.id, revision: 3, effective: { duration: "2h" } });
    expect(status.secretName).toBe(secretName);
  });

  test.each<[string, Partial<DesiredToken> | { problem: string }]>([
    ["is suspended", { isSuspended: true }],
    ["cannot be read", { problem: "spec.owner: missing" }],
  ])("of what %s goes on describing the token and naming its Secret", (_, wish) => {
    const observed = aConvergedObserved({ resource: aResource({ status: { secretName: "demo" } }) });
    expect(statusOf(observed, wish)).toMatchObject({ tokenId: "tokenOne0001", revision: 1, secretName: "demo" });
  });

  test("of what was suspended without a token that works says so", () => {
    const ready = findCondition(statusOf(anObserved(), { isSuspended: true }), "Ready");
    expect(ready).toMatchObject({ status: "False", reason: "Suspended" });
    expect(ready?.message).toContain("holds no token that works");
  });
});

// KEP-1623: lastTransitionTime moves with a condition's status, not with its reason or message.
describe("the time since when a condition holds", () => {
  const hourLater = later(HOUR_MS);
  const ready = statusOf(aConvergedObserved());
  const look = (before: ApiTokenStatus, desired: Partial<DesiredToken>, observed: Partial<Observed> = {}) => {
    const resource = aResource({ status: before, generation: 2 });
    return statusOf(aConvergedObserved({ now: hourLater, resource, ...observed }), desired);
  };

  test("stays when only the reason changes, while its generation goes on", () => {
    expect(findCondition(look(ready, { isSuspended: true }), "Ready")).toMatchObject({
      reason: "Suspended",
      lastTransitionTime: "2026-06-01T12:00:00Z",
      observedGeneration: 2,
    });
  });

  test("is now when the status changes", () => {
    const conflict = look(ready, {}, { secret: { state: "foreign" }, tokens: [] });
    expect(findCondition(conflict, "Ready")?.lastTransitionTime).toBe("2026-06-01T13:00:00Z");
  });

  test("is now when the status changes under the same reason", () => {
    const suspended = statusOf(aConvergedObserved(), { isSuspended: true });
    const without = look(suspended, { isSuspended: true }, { tokens: [] });
    expect(findCondition(without, "Ready")).toMatchObject({
      status: "False",
      reason: "Suspended",
      lastTransitionTime: "2026-06-01T13:00:00Z",
    });
  });

  test("is each condition's own", () => {
    const clamped = look(ready, { lifetime: clampedLife });
    expect(findCondition(clamped, "Ready")?.lastTransitionTime).toBe("2026-06-01T12:00:00Z");
    expect(findCondition(clamped, "LifetimeClamped")?.lastTransitionTime).toBe("2026-06-01T13:00:00Z");
  });
});

describe("an outage of the database", () => {
  const suspended = statusOf(anObserved(), { isSuspended: true });
  const clamped = statusOf(aConvergedObserved(), { lifetime: clampedLife });
  const during = (resource: Partial<ObservedResource>) => statusOfOutage(aResource(resource), later(HOUR_MS));

  test("is said on what is not Ready, since when it is not", () => {
    expect(findCondition(during({ status: suspended, generation: 5 }) ?? {}, "Ready")).toMatchObject({
      status: "False",
      reason: "DatabaseUnavailable",
      observedGeneration: 5,
      lastTransitionTime: "2026-06-01T12:00:00Z",
    });
  });

  test("is said on what is Ready only where its deletion has to wait", () => {
    expect(during({ status: clamped })).toBeUndefined();
    const ready = findCondition(during({ status: clamped, isDeleting: true }) ?? {}, "Ready");
    expect(ready).toMatchObject({ status: "False", lastTransitionTime: "2026-06-01T13:00:00Z" });
    expect(ready?.message).toContain("deletion waits until the token can be revoked");
  });

  test("leaves the token and every other condition as they were", () => {
    const status = during({ status: clamped, isDeleting: true });
    expect(status).toEqual({ ...clamped, conditions: [expect.anything(), findCondition(clamped, "LifetimeClamped")] });
    expect(status?.conditions?.map((condition) => condition.type)).toEqual(["Ready", "LifetimeClamped"]);
  });

  test("is said once: the next look has nothing new", () => {
    const status = statusOfOutage(aResource({ status: suspended }), NOW) ?? {};
    expect(statusOfOutage(aResource({ status }), later(HOUR_MS))).toEqual(status);
  });
});

test.each([
  ["2026-06-01T12:00:00.000Z", "2026-06-01T12:00:00Z"],
  ["2026-06-01T12:00:00.999Z", "2026-06-01T12:00:00Z"],
  ["2026-06-01T14:00:00+02:00", "2026-06-01T12:00:00Z"],
])("%s is written %s, as metav1.Time is", (text, expected) => expect(formatTime(new Date(text))).toBe(expected));
