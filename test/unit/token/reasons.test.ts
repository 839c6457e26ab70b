import { describe, expect, test } from "vitest";
import type { ApiTokenStatus, ConditionType, DesiredToken, Observed, Reason } from "../../../src/token/model.ts";
import { findCondition, statusOfOutage } from "../../../src/token/status.ts";
import { aConvergedObserved, anObserved, aResource, HOUR_MS, NOW } from "../../support/builders.ts";
import { statusOf } from "./status-of.ts";

const later = (ms: number) => new Date(NOW.getTime() + ms);

const twoHours = { kind: "duration", durationMs: 2 * HOUR_MS } as const;
const ended = { issuedAt: later(-3 * HOUR_MS), expiresAt: later(-HOUR_MS) };
const clampedLife = { kind: "duration", durationMs: 721 * HOUR_MS } as const;

interface Said {
  readonly status: () => ApiTokenStatus | undefined;
  readonly type: ConditionType;
  readonly is: "True" | "False";
  readonly message: string;
}

/** Every reason that there is: a new one does not compile without a case. */
const REASONS: Readonly<Record<Reason, Said>> = {
  Issued: {
    status: () => statusOf(aConvergedObserved()),
    type: "Ready",
    is: "True",
    message: 'Secret "demo" holds a live token.',
  },
  Rotated: {
    status: () => statusOf(aConvergedObserved({}, { revision: 2 })),
    type: "Ready",
    is: "True",
    message: 'Secret "demo" holds a live token.',
  },
  Expired: {
    status: () => statusOf(aConvergedObserved({}, ended), { lifetime: twoHours }),
    type: "Ready",
    is: "False",
    message:
      "The lifetime asked for ended at 2026-06-01T11:00:00Z. " +
      "For a new token set spec.duration to a longer one, or apply another ApiToken.",
  },
  RevokedBySpec: {
    status: () => statusOf(anObserved(), { isRevoked: true, revocationReason: "laptop lost" }),
    type: "Revoked",
    is: "True",
    message: "Revoked by spec.revoked: laptop lost. This is final.",
  },
  SecretConflict: {
    status: () => statusOf(anObserved({ secret: { state: "foreign" } })),
    type: "Ready",
    is: "False",
    message:
      'Secret "demo" exists and does not belong to this ApiToken, so it is left as it is. ' +
      "Delete it, or choose another spec.secret.name.",
  },
  DatabaseUnavailable: {
    status: () => statusOfOutage(aResource(), NOW),
    type: "Ready",
    is: "False",
    message: "The database is not available: no token can be issued. This goes on by itself once it is back.",
  },
  InvalidSpec: {
    status: () => statusOf(aConvergedObserved(), { problem: "spec.owner: missing" }),
    type: "Ready",
    is: "False",
    message: "spec.owner: missing",
  },
  Suspended: {
    status: () => statusOf(aConvergedObserved(), { isSuspended: true }),
    type: "Ready",
    is: "True",
    message: "Suspended by spec.suspend; the token works on until it expires.",
  },
  OverMaximum: {
    status: () => statusOf(aConvergedObserved(), { lifetime: clampedLife }),
    type: "LifetimeClamped",
    is: "True",
    message: "The maximum lifetime is 720h: the token expires at 2026-07-01T11:00:00Z, earlier than the spec asks for.",
  },
};

describe("every reason is said of its condition, with what it is and what to do", () => {
  test.each(Object.entries(REASONS))("%s", (reason, { status, type, is, message }) => {
    expect(findCondition(status() ?? {}, type)).toEqual({
      type,
      status: is,
      reason,
      message,
      observedGeneration: 1,
      lastTransitionTime: "2026-06-01T12:00:00Z",
    });
  });
});

describe("what to do about a lifetime that is over", () => {
  const fixed = { kind: "fixed", expiresAt: later(-HOUR_MS) } as const;
  const longAgo = { issuedAt: later(-720 * HOUR_MS) };

  test.each<[string, DesiredToken["lifetime"], Observed, RegExp]>([
    ["a longer duration", twoHours, aConvergedObserved({}, ended), /set spec.duration to a longer one, or apply/],
    ["a later end", fixed, aConvergedObserved({}, ended), /at 2026-06-01T11:00:00Z. .* set spec.expiresAt to a later/],
    ["a later end, where there never was a token", fixed, anObserved(), /set spec.expiresAt to a later time, or apply/],
    ["another ApiToken after the maximum", { kind: "default" }, aConvergedObserved({}, longAgo), /token apply another/],
    ["the same where the wish was clamped", clampedLife, aConvergedObserved({}, longAgo), /token apply another/],
  ])("%s", (_, lifetime, observed, message) => {
    expect(findCondition(statusOf(observed, { lifetime }), "Ready")?.message).toMatch(message);
  });
});
