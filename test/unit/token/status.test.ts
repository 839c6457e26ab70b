import { describe, expect, test } from "vitest";
import { type Failure, isReadyPastExpiry, statusOfExpiry, statusOfFailure } from "../../../src/token/failure.ts";
import type { ApiTokenStatus, DesiredToken, Observed, ObservedResource, TokenRow } from "../../../src/token/model.ts";
import { findCondition, formatTime } from "../../../src/token/status.ts";
import {
  aConvergedObserved,
  aDesiredToken,
  anObserved,
  aPolicy,
  aResource,
  aSecret,
  aTokenRow,
  HOUR_MS,
  later,
  NOW,
} from "../../support/builders.ts";
import { statusOf } from "./status-of.ts";

/** A status that names a token which no longer exists. */
const LAST: ApiTokenStatus = {
  tokenId: "tokenOne0001",
  revision: 4,
  issuedAt: "2026-06-01T11:00:00Z",
  expiresAt: "2026-06-01T11:30:00Z",
  effective: { duration: "30m", scopes: ["a:b"] },
};

const twoHours = { kind: "duration", durationMs: 2 * HOUR_MS } as const;
const ended = { issuedAt: later(-3 * HOUR_MS), expiresAt: later(-HOUR_MS) };
const once = { ...aDesiredToken().rotation, isAutomatic: false };
const clampedLife = { kind: "duration", durationMs: 721 * HOUR_MS } as const;

describe("a status", () => {
  test.each([
    [new Date(-8.64e15), "1970-01-01T00:00:00Z"],
    [new Date(8.64e15), "9999-12-31T23:59:59Z"],
  ])("writes a time that only SQL could write as one that the API server takes", (time, text) =>
    expect(formatTime(time)).toBe(text),
  );

  test("of a live token describes it completely, without anything secret", () => {
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
      policy: "default",
      renewAt: expect.stringMatching(/^2026-06-2[89]T/),
    });
  });

  test("does not mention clamping if nothing was clamped", () => {
    expect(statusOf(aConvergedObserved()).conditions).toHaveLength(1);
  });

  test("of a clamped token names the maximum, not the default", () => {
    const limits = { defaultMs: HOUR_MS, maxMs: 720 * HOUR_MS };
    const applied = aPolicy({ lifetime: limits });
    const status = statusOf(aConvergedObserved(), { lifetime: clampedLife }, { kind: "allowed", applied });
    expect(findCondition(status, "LifetimeClamped")?.message).toContain("maximum lifetime is 720h");
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
        rotation: once,
        lifetime: { kind: "duration", durationMs: HOUR_MS },
      }),
    ],
    [
      "suspended without a token",
      statusOf(anObserved({ resource: aResource({ status: LAST }) }), { isSuspended: true }),
    ],
    ["that cannot read its spec", statusOf(anObserved({ resource: aResource({ status: LAST }) }), { problem: "bad" })],
  ])("%s still names the last token, and no Secret", (_, status) => {
    const told = { observedGeneration: 1, conditions: expect.anything(), ...LAST };
    expect(status).toEqual(status.policy === undefined ? told : { ...told, policy: "default" });
  });

  test("of an ApiToken that never had a token names none", () => {
    const status = statusOf(anObserved(), { lifetime: { kind: "fixed", expiresAt: NOW } });
    expect(Object.keys(status)).toEqual(["observedGeneration", "conditions", "policy"]);
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
    ["names the Secret that is still there", aSecret(), "demo"],
    ["names no Secret where there is none", { state: "absent" }, undefined],
  ] as const)("of an expired token describes it and %s", (_, secret, secretName) => {
    const row = aTokenRow({ ...ended, revision: 3 });
    const status = statusOf(anObserved({ tokens: [row], secret }), { rotation: once, lifetime: twoHours });
    expect(status).toMatchObject({ tokenId: row.id, revision: 3, effective: { duration: "2h" } });
    expect(status.secretName).toBe(secretName);
  });

  test.each<[string, Partial<DesiredToken> | { problem: string }]>([
    ["is suspended", { isSuspended: true }],
    ["cannot be read", { problem: "spec.owner: missing" }],
  ])("of an ApiToken that %s keeps describing the token and naming its Secret", (_, wish) => {
    const observed = aConvergedObserved({ resource: aResource({ status: { secretName: "demo" } }) });
    expect(statusOf(observed, wish)).toMatchObject({ tokenId: "tokenOne0001", revision: 1, secretName: "demo" });
  });

  test("of an ApiToken that was suspended without a working token says so", () => {
    const ready = findCondition(statusOf(anObserved(), { isSuspended: true }), "Ready");
    expect(ready).toMatchObject({ status: "False", reason: "Suspended" });
    expect(ready?.message).toContain("holds no live token");
  });
});

// KEP-1623: lastTransitionTime moves with a condition's status, not with its reason or message.
describe("a condition's lastTransitionTime", () => {
  const hourLater = later(HOUR_MS);
  const ready = statusOf(aConvergedObserved());
  const look = (before: ApiTokenStatus, desired: Partial<DesiredToken>, observed: Partial<Observed> = {}) => {
    const resource = aResource({ status: before, generation: 2 });
    return statusOf(aConvergedObserved({ now: hourLater, resource, ...observed }), desired);
  };

  test("stays if only the reason changes, while its observedGeneration follows", () => {
    expect(findCondition(look(ready, { isSuspended: true }), "Ready")).toMatchObject({
      reason: "Suspended",
      lastTransitionTime: "2026-06-01T12:00:00Z",
      observedGeneration: 2,
    });
  });

  test("is now if the status changes", () => {
    const conflict = look(ready, {}, { secret: { state: "foreign" }, tokens: [] });
    expect(findCondition(conflict, "Ready")?.lastTransitionTime).toBe("2026-06-01T13:00:00Z");
  });

  test("is now if the status changes under the same reason", () => {
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

describe("a status shows the use of tokens", () => {
  const used = (ms: number) => ({ lastUsedAt: later(ms) });
  const told = (status: ApiTokenStatus) => aResource({ status });

  test("once there was a use", () => {
    expect(statusOf(aConvergedObserved())).not.toHaveProperty("lastUsedAt");
    expect(statusOf(aConvergedObserved({}, used(-1))).lastUsedAt).toBe("2026-06-01T11:59:59Z");
  });

  test.each([
    ["59 minutes later: the same", 59 * 60_000, "2026-06-01T10:00:00Z"],
    ["an hour later: updated", 60 * 60_000, "2026-06-01T11:00:00Z"],
  ])("at most hourly, to avoid constant writes; %s", (_, ms, expected) => {
    const resource = told({ lastUsedAt: "2026-06-01T10:00:00Z" });
    expect(statusOf(aConvergedObserved({ resource }, used(ms - 2 * HOUR_MS))).lastUsedAt).toBe(expected);
  });

  const previous = aTokenRow({ id: "tokenOne0001", revokedAt: later(HOUR_MS), revocationReason: "Rotated" });
  const current = aTokenRow({ id: "tokenTwo0002", revision: 2 });
  const inOverlap = (status: ApiTokenStatus, row: Partial<typeof previous>) =>
    statusOf(
      anObserved({
        resource: told(status),
        tokens: [{ ...previous, ...row }, current],
        secret: aSecret({ holds: current.id }),
      }),
    );

  test("and for the previous one until when it is valid, and whether it is still used", () => {
    const validUntil = "2026-06-01T13:00:00Z";
    expect(inOverlap({}, {}).previous).toEqual({ tokenId: previous.id, validUntil });
    expect(inOverlap({}, used(0)).previous).toEqual({ tokenId: previous.id, validUntil, lastUsedAt: formatTime(NOW) });
    expect(inOverlap({}, used(0)).lastUsedAt).toBe(formatTime(NOW));
  });

  test.each([
    ["4 minutes later: the same", -1, "2026-06-01T11:55:00Z"],
    ["5 minutes later: updated", 0, "2026-06-01T12:00:00Z"],
  ])("every five minutes, %s", (_, ms, expected) => {
    const before = { tokenId: previous.id, validUntil: "2026-06-01T13:00:00Z", lastUsedAt: "2026-06-01T11:55:00Z" };
    expect(inOverlap({ previous: before }, used(ms)).previous?.lastUsedAt).toBe(expected);
  });

  test("but not the use of an earlier previous token", () => {
    const before = { tokenId: "another00001", validUntil: "2026-06-01T13:00:00Z", lastUsedAt: "2026-06-01T11:55:00Z" };
    expect(inOverlap({ previous: before }, {}).previous).not.toHaveProperty("lastUsedAt");
  });
});

describe("a status shows which rotation request was handled", () => {
  test.each<[string, Partial<ObservedResource>, string | undefined, string | undefined]>([
    ["by the token in the Secret", { rotateRequestedAt: "b", status: { lastHandledRotateAt: "a" } }, "b", "b"],
    ["by an earlier one, where the Secret says nothing", { status: { lastHandledRotateAt: "a" } }, undefined, "a"],
    [
      "regardless of what somebody has done to the Secret since",
      { rotateRequestedAt: "b", status: { lastHandledRotateAt: "b" } },
      "edited",
      "b",
    ],
    ["if there ever was one", {}, undefined, undefined],
  ])("%s", (_, resource, handledRotateAt, expected) => {
    const secret = aSecret({ holds: "tokenOne0001", handledRotateAt });
    expect(statusOf(aConvergedObserved({ resource: aResource(resource), secret })).lastHandledRotateAt).toBe(expected);
  });
});

describe("a failure", () => {
  const suspended = statusOf(anObserved(), { isSuspended: true });
  const clamped = statusOf(aConvergedObserved(), { lifetime: clampedLife });
  const outage = { reason: "DatabaseUnavailable", message: "The database is away." } as const;
  const refusal = { reason: "SecretRefused", message: "The Secret is refused." } as const;
  const during = (
    resource: Partial<ObservedResource>,
    seen?: { held: TokenRow | undefined },
    failure: typeof outage | typeof refusal = outage,
    now = later(HOUR_MS),
  ) => statusOfFailure(aResource(resource), failure, { failures: 1, seen, now });
  const held = { held: aTokenRow() };
  const notHeld = { held: undefined };

  test("is shown on an ApiToken that is not Ready, with the time since when it is not", () => {
    expect(findCondition(during({ status: suspended, generation: 5 }) ?? {}, "Ready")).toMatchObject({
      status: "False",
      reason: "DatabaseUnavailable",
      observedGeneration: 5,
      lastTransitionTime: "2026-06-01T12:00:00Z",
    });
  });

  test("of the database is shown on a Ready ApiToken only if a new spec or its deletion has to wait", () => {
    expect(during({ status: clamped })).toBeUndefined();
    expect(findCondition(during({ status: clamped, generation: 2 }) ?? {}, "Ready")).toMatchObject({
      status: "True",
      reason: "DatabaseUnavailable",
    });
    const ready = findCondition(during({ status: clamped, isDeleting: true }) ?? {}, "Ready");
    expect(ready).toMatchObject({ status: "False", lastTransitionTime: "2026-06-01T13:00:00Z" });
    expect(ready?.message).toContain("Deletion is on hold until then");
  });

  test("of another kind is shown on a Ready ApiToken, which stays Ready while its Secret holds a live token", () => {
    expect(findCondition(during({ status: clamped }, held, refusal) ?? {}, "Ready")).toMatchObject({
      status: "True",
      reason: "Renewing",
      lastTransitionTime: "2026-06-01T12:00:00Z",
    });
    expect(findCondition(during({ status: clamped }, notHeld, refusal) ?? {}, "Ready")?.status).toBe("False");
  });

  test.each([
    ["cannot be read", undefined, outage],
    ["do not include a live one", notHeld, refusal],
  ])("ends Ready at the expiry that the status names, if the rows %s", (_, seen, failure) => {
    const expiresAt = new Date(clamped.expiresAt ?? "");
    const before = during({ status: clamped }, seen && held, failure, new Date(expiresAt.getTime() - 1));
    expect(findCondition(before ?? clamped, "Ready")?.status).toBe("True");
    expect(findCondition(during({ status: clamped }, seen, failure, expiresAt) ?? {}, "Ready")).toMatchObject({
      status: "False",
      reason: failure.reason,
      message: `The token expired at ${clamped.expiresAt}. ${failure.message}`,
    });
  });

  test("between the Secret and the status reports the expiry of the token that the Secret holds", () => {
    const next = aTokenRow({ revision: 2, expiresAt: later(2_000 * HOUR_MS) });
    const status = during({ status: clamped }, { held: next }, refusal, later(1_000 * HOUR_MS));
    expect(findCondition(status ?? {}, "Ready")?.status).toBe("True");
    expect(status?.expiresAt).toBe(formatTime(next.expiresAt));
  });

  test.each<[string, ApiTokenStatus, Failure | undefined, string, string]>([
    ["nothing that is known", clamped, undefined, "Expired", "The controller has not yet been able to look at it"],
    ["the database", clamped, outage, "DatabaseUnavailable", outage.message],
    [
      "what the status already says",
      during({ status: clamped }, held, refusal) ?? {},
      undefined,
      "SecretRefused",
      refusal.message,
    ],
  ])("to look at an expired token because of %s ends Ready, too", (_, status, failure, reason, message) => {
    const after = statusOfExpiry(aResource({ status }), failure, later(800 * HOUR_MS));
    expect(isReadyPastExpiry(status, later(800 * HOUR_MS))).toBe(true);
    expect(isReadyPastExpiry(after, later(800 * HOUR_MS))).toBe(false);
    expect(after).toMatchObject({ tokenId: status.tokenId, expiresAt: status.expiresAt });
    const ready = findCondition(after, "Ready");
    expect(ready).toMatchObject({ status: "False", reason });
    expect(ready?.message).toContain(`The token expired at ${status.expiresAt}. ${message}`);
  });

  test("leaves the token and every other condition as they were", () => {
    const status = during({ status: clamped, isDeleting: true });
    const conditions = [expect.anything(), expect.anything(), findCondition(clamped, "LifetimeClamped")];
    expect(status).toEqual({ ...clamped, conditions, failedAttempts: 1 });
    expect(status?.conditions?.map((condition) => condition.type)).toEqual(["Ready", "Reconciling", "LifetimeClamped"]);
  });

  test("is shown once: the next pass has nothing new", () => {
    const status = during({ status: suspended }) ?? {};
    expect(during({ status })).toEqual(status);
  });

  test.each([
    [1, 1],
    [3, 2],
    [4, 4],
    [1_000, 512],
  ])("that has occurred %i times is counted as %i, to avoid a write each time", (failures, expected) => {
    const status = statusOfFailure(aResource(), refusal, { failures, seen: notHeld, now: NOW });
    expect(status?.failedAttempts).toBe(expected);
  });

  test("is no longer counted once a pass has succeeded", () => {
    expect(
      statusOf(anObserved({ resource: aResource({ status: { failedAttempts: 4 } }) }), { isSuspended: true }),
    ).not.toHaveProperty("failedAttempts");
  });
});

test.each([
  ["2026-06-01T12:00:00.000Z", "2026-06-01T12:00:00Z"],
  ["2026-06-01T12:00:00.999Z", "2026-06-01T12:00:00Z"],
  ["2026-06-01T14:00:00+02:00", "2026-06-01T12:00:00Z"],
])("%s is written %s, as metav1.Time is", (text, expected) => expect(formatTime(new Date(text))).toBe(expected));
