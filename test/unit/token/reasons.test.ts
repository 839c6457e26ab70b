import { describe, expect, test } from "vitest";
import type { Condition, ConditionType } from "../../../src/token/condition.ts";
import { statusOfFailure } from "../../../src/token/failure.ts";
import type { ApiTokenStatus, DesiredToken, Observed, PolicyVerdict } from "../../../src/token/model.ts";
import type { EVENT_REASONS, Reason } from "../../../src/token/reasons.ts";
import { findCondition } from "../../../src/token/status.ts";
import {
  aConvergedObserved,
  aDesiredToken,
  allow,
  anObserved,
  aResource,
  aTokenRow,
  HOUR_MS,
  later,
  NOW,
  REJECTING,
} from "../../support/builders.ts";
import { statusOf } from "./status-of.ts";

const twoHours = { kind: "duration", durationMs: 2 * HOUR_MS } as const;
const ended = { issuedAt: later(-3 * HOUR_MS), expiresAt: later(-HOUR_MS) };
const clampedLife = { kind: "duration", durationMs: 721 * HOUR_MS } as const;
const rotation = { ...aDesiredToken().rotation, isAutomatic: false };
const once = { rotation, lifetime: twoHours };
const missing: PolicyVerdict = { kind: "missing" };

interface Said {
  readonly status: () => ApiTokenStatus | undefined;
  readonly type: ConditionType;
  readonly is: Condition["status"];
  readonly message: string;
}

/** Reasons that only Events have: see notes.test.ts and anomalies.test.ts. */
type EventReason = "Renewing" | (typeof EVENT_REASONS)[number];

/** Every reason; a new one does not compile without a case. */
const REASONS: Readonly<Record<Exclude<Reason, EventReason>, Said>> = {
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
    status: () => statusOf(aConvergedObserved({}, ended), once),
    type: "Ready",
    is: "False",
    message:
      "The requested lifetime ended at 2026-06-01T11:00:00Z. " +
      "To get a new token, set a longer spec.duration, or apply a new ApiToken.",
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
      'Secret "demo" exists and does not belong to this ApiToken, so it is left untouched. ' +
      "Delete it, or choose another spec.secret.name.",
  },
  Inactive: {
    status: () => statusOf(anObserved({ tokens: [aTokenRow({ revokedAt: NOW, revocationReason: "Inactive" })] })),
    type: "Ready",
    is: "False",
    message:
      "The token was not used for longer than allowed and was revoked. To get a new one, set the annotation " +
      "apitoken.dev/rotate-requested-at to the current time.",
  },
  OwnerBlocked: {
    status: () => statusOf(anObserved({ block: { reason: "left the company", effectiveAt: NOW } })),
    type: "Revoked",
    is: "True",
    message:
      'Owner "alice" is blocked by an OwnerBlock: left the company. Once it is lifted, a new token is issued if the policy allows it.',
  },
  OwnerLimitExceeded: {
    status: () => statusOf(anObserved({ rivals: { older: 1, newer: 0 } }), {}, REJECTING),
    type: "Ready",
    is: "False",
    message:
      'Owner "alice" already has 1 ApiToken with a token, the most that the policy allows. ' +
      "Delete or revoke one, or raise the limit; this ApiToken then gets its token automatically.",
  },
  Superseded: {
    status: () => statusOf(anObserved({ rivals: { older: 0, newer: 1 } })),
    type: "Ready",
    is: "False",
    message:
      'Superseded by a newer ApiToken of owner "alice" (limit 1). ' +
      "This is final. Apply a new ApiToken with another owner, or have the limit raised first.",
  },
  PolicyDenied: {
    status: () => statusOf(anObserved(), {}, { kind: "denied", name: "strict", rule: 'scope "a" is not allowed' }),
    type: "Ready",
    is: "False",
    message:
      'ApiTokenPolicy "strict" forbids this: scope "a" is not allowed. Ask for what it allows, or have it changed.',
  },
  PolicyMissing: {
    status: () => statusOf(aConvergedObserved(), {}, missing),
    type: "Ready",
    is: "True",
    message: "No ApiTokenPolicy selects this namespace: the token works until it expires and is not renewed.",
  },
  NamespaceTerminating: {
    status: () => statusOf(anObserved({ isNamespaceTerminating: true })),
    type: "Ready",
    is: "False",
    message: "The namespace is being deleted, so no token is issued.",
  },
  NotRenewed: {
    status: () => statusOf(aConvergedObserved({}, { expiresAt: later(HOUR_MS) }), once),
    type: "ExpiringSoon",
    is: "True",
    message: "The token ends at 2026-06-01T13:00:00Z and will not be renewed automatically.",
  },
  DatabaseUnavailable: failed("DatabaseUnavailable"),
  DatabaseRefused: failed("DatabaseRefused"),
  SecretRefused: failed("SecretRefused"),
  ReconcileFailed: failed("ReconcileFailed"),
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
    message: "Suspended by spec.suspend; the token keeps working until it expires.",
  },
  OverMaximum: {
    status: () => statusOf(aConvergedObserved(), { lifetime: clampedLife }),
    type: "LifetimeClamped",
    is: "True",
    message: "The maximum lifetime is 720h: the token expires at 2026-07-01T11:00:00Z, earlier than the spec asks for.",
  },
};

function failed(reason: Reason): Said {
  const circumstances = { failures: 3, seen: { held: undefined }, now: NOW };
  const message = "Refused; it is tried again.";
  return {
    status: () => statusOfFailure(aResource(), { reason, message }, circumstances),
    type: "Ready",
    is: "False",
    message,
  };
}

describe("every reason belongs to its condition, and its message explains it and what to do", () => {
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

describe("what to do when a lifetime has ended without a next token", () => {
  const fixed = { lifetime: { kind: "fixed", expiresAt: later(-HOUR_MS) } } as const;
  const longAgo = { issuedAt: later(-720 * HOUR_MS) };
  const clamped = { rotation, lifetime: clampedLife };

  test.each<[string, Partial<DesiredToken>, Observed, RegExp]>([
    ["a longer duration", once, aConvergedObserved({}, ended), /set a longer spec.duration, or apply a new ApiToken/],
    ["a later end", fixed, aConvergedObserved({}, ended), /at 2026-06-01T11:00:00Z. .* set a later spec.expiresAt/],
    [
      "a later end, where there never was a token",
      fixed,
      anObserved(),
      /set a later spec.expiresAt, or apply a new ApiToken/,
    ],
    [
      "another ApiToken after the maximum",
      { rotation },
      aConvergedObserved({}, longAgo),
      /token, apply a new ApiToken/,
    ],
    ["the same where the wish was clamped", clamped, aConvergedObserved({}, longAgo), /token, apply a new ApiToken/],
  ])("%s", (_, desired, observed, message) => {
    expect(findCondition(statusOf(observed, desired), "Ready")?.message).toMatch(message);
  });
});

describe("without a policy", () => {
  test("and without a token the message explains how to get one", () => {
    const ready = findCondition(statusOf(anObserved(), {}, missing), "Ready");
    expect(ready).toMatchObject({ status: "False", reason: "PolicyMissing" });
    expect(ready?.message).toContain("Create one whose namespaceSelector selects it");
  });

  test("a token that will not be renewed is ExpiringSoon a week ahead", () => {
    const soon = { issuedAt: later(-(720 - 168) * HOUR_MS) };
    const justBefore = { issuedAt: later(-(720 - 168) * HOUR_MS + 1) };
    expect(findCondition(statusOf(aConvergedObserved({}, soon), {}, missing), "ExpiringSoon")).toBeDefined();
    expect(findCondition(statusOf(aConvergedObserved({}, justBefore), {}, missing), "ExpiringSoon")).toBeUndefined();
  });
});

test("the policy decides how long ahead a token is ExpiringSoon; one that rotates never is", () => {
  const warned = allow({ warnBeforeMs: HOUR_MS });
  const status = (issuedAt: Date, desired: Partial<DesiredToken>) =>
    findCondition(
      statusOf(
        aConvergedObserved({}, { issuedAt, expiresAt: later(2 * HOUR_MS + issuedAt.getTime() - NOW.getTime()) }),
        desired,
        warned,
      ),
      "ExpiringSoon",
    );
  expect(status(later(-HOUR_MS), once)).toBeDefined();
  expect(status(later(-HOUR_MS + 1_000), once)).toBeUndefined();
  expect(status(later(-HOUR_MS), { lifetime: twoHours })).toBeUndefined();
});
