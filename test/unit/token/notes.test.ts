import { describe, expect, test } from "vitest";
import { statusOfFailure } from "../../../src/token/failure.ts";
import type { ApiTokenStatus } from "../../../src/token/model.ts";
import { describeActions, describeChange } from "../../../src/token/notes.ts";
import type { Action, IssueCause } from "../../../src/token/plan/action.ts";
import { aConvergedObserved, aDesiredToken, anObserved, aResource, HOUR_MS, NOW } from "../../support/builders.ts";
import { statusOf } from "./status-of.ts";

const clampedLife = { lifetime: { kind: "duration", durationMs: 1_440 * HOUR_MS } } as const;
const ready = statusOf(aConvergedObserved());
const clamped = statusOf(aConvergedObserved(), clampedLife);
const rotated = statusOf(aConvergedObserved({}, { id: "tokenTwo0002", revision: 2 }));
const rotatedAgain = statusOf(aConvergedObserved({}, { id: "tokenTre0003", revision: 3 }));
const revoked = statusOf(anObserved(), { isRevoked: true });
const suspended = statusOf(aConvergedObserved(), { isSuspended: true });
const conflict = statusOf(anObserved({ secret: { state: "foreign" } }));
const outage =
  statusOfFailure(
    aResource({ status: conflict }),
    { reason: "DatabaseUnavailable", message: "away" },
    { failures: 1, seen: undefined, now: NOW },
  ) ?? {};
const expiring = statusOf(aConvergedObserved({}, { expiresAt: new Date(NOW.getTime() + HOUR_MS) }), {
  rotation: { ...aDesiredToken().rotation, isAutomatic: false },
  lifetime: { kind: "duration", durationMs: 2 * HOUR_MS },
});

describe("a change of status is reported in Events", () => {
  test.each<[string, ApiTokenStatus, ApiTokenStatus, [string, string][]]>([
    ["the first token", {}, ready, [["Normal", "Issued"]]],
    [
      "a first token that was clamped",
      {},
      clamped,
      [
        ["Normal", "Issued"],
        ["Warning", "LifetimeClamped"],
      ],
    ],
    ["a lifetime that is clamped from now on", ready, clamped, [["Warning", "LifetimeClamped"]]],
    ["one that is clamped no longer: nothing", clamped, ready, []],
    ["one that is clamped still: nothing", clamped, clamped, []],
    ["a second token", ready, rotated, [["Normal", "Rotated"]]],
    ["a third token, for the same reason", rotated, rotatedAgain, [["Normal", "Rotated"]]],
    ["no change: nothing", ready, ready, []],
    ["a revocation, once though it is two conditions", ready, revoked, [["Warning", "RevokedBySpec"]]],
    ["a conflict", {}, conflict, [["Warning", "SecretConflict"]]],
    ["a pause, of a token that works on", ready, suspended, [["Normal", "Suspended"]]],
    ["an end that is near, and comes without a next one", ready, expiring, [["Warning", "ExpiringSoon"]]],
    ["an end that is still near: nothing", expiring, expiring, []],
    ["an outage", conflict, outage, [["Warning", "DatabaseUnavailable"]]],
    ["no status: nothing", ready, {}, []],
  ])("%s", (_, before, after, expected) => {
    expect(describeChange(before, after).map(({ type, reason }) => [type, reason])).toEqual(expected);
  });

  test("in the words of the conditions", () => {
    const [issued, cut] = describeChange({}, clamped);
    expect(issued).toMatchObject({ action: "Reconcile", message: 'Secret "demo" holds a live token.' });
    expect(cut).toMatchObject({
      action: "Reconcile",
      message: expect.stringContaining("The maximum lifetime is 720h"),
    });
  });
});

describe("what somebody has done to a Secret or a row is reported in Events", () => {
  const issue = (cause: IssueCause): Action => ({
    kind: "issueToken",
    revision: 2,
    issuedAt: NOW,
    expiresAt: NOW,
    activeSince: NOW,
    cause,
  });

  const MESSAGES: Readonly<Record<Exclude<IssueCause, "FirstToken" | "Due" | "Requested">, string>> = {
    SecretMissing: "No Secret holds the token any longer",
    SecretEdited: "no longer holds the token",
    TokenEnded: "The token has ended",
  };

  test.each(Object.entries(MESSAGES))("%s", (cause, message) => {
    const notes = describeActions([
      { kind: "addFinalizer" },
      issue(cause as IssueCause),
      { kind: "writeSecret", expiresAt: NOW, handledRotateAt: undefined },
    ]);
    expect(notes).toEqual([
      { type: "Warning", reason: "SecretDrift", action: "Issue", message: expect.stringContaining(message) },
    ]);
    expect(notes[0]?.message).toContain("new token is issued");
  });

  test("but not what the ApiToken itself asks for", () => {
    const actions: Action[] = [
      { kind: "addFinalizer" },
      issue("FirstToken"),
      issue("Due"),
      issue("Requested"),
      { kind: "rewriteSecret", from: "old", tokenId: "tokenOne0001", expiresAt: NOW },
      { kind: "replaceToken", tokenId: "tokenOne0001", issuedAt: NOW, expiresAt: NOW },
      { kind: "revokeTokens", tokenIds: ["tokenOne0001"], reason: "RevokedBySpec" },
      { kind: "deleteSecret", name: "demo" },
    ];
    expect(describeActions(actions)).toEqual([]);
  });
});
