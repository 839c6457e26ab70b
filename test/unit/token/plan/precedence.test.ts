import { describe, expect, test } from "vitest";
import type { DesiredToken, Observed, PolicyVerdict } from "../../../../src/token/model.ts";
import { plan } from "../../../../src/token/plan/plan.ts";
import type { Reason } from "../../../../src/token/reasons.ts";
import {
  ALLOWED,
  aConvergedObserved,
  aDesiredToken,
  anObserved,
  aResource,
  aTokenRow,
  HOUR_MS,
  later,
  NOW,
  ours,
  REJECTING,
} from "../../../support/builders.ts";
import { actionsOf, requested, row } from "../actions-of.ts";

/** Every rule that can stop an ApiToken, in order of precedence, with a state that triggers it. */
const PRECEDENCE: readonly [reason: Reason, Partial<Observed>, Partial<DesiredToken>, PolicyVerdict | undefined][] = [
  ["RevokedBySpec", {}, { isRevoked: true }, undefined],
  ["OwnerBlocked", { block: { reason: "", effectiveAt: NOW } }, {}, undefined],
  ["PolicyDenied", {}, {}, { kind: "denied", name: "p", rule: "r" }],
  ["Suspended", {}, { isSuspended: true }, undefined],
  ["Superseded", { rivals: { older: 0, newer: 1 } }, {}, undefined],
  ["Inactive", { tokens: [aTokenRow({ revokedAt: NOW, revocationReason: "Inactive" })] }, {}, undefined],
  ["SecretConflict", { secret: { state: "foreign" } }, {}, undefined],
  ["PolicyMissing", {}, {}, { kind: "missing" }],
  ["Expired", {}, { lifetime: { kind: "fixed", expiresAt: NOW } }, undefined],
  ["OwnerLimitExceeded", { rivals: { older: 1, newer: 0 } }, {}, REJECTING],
];

describe("when several rules would apply", () => {
  const pairs = PRECEDENCE.flatMap((first, index) =>
    PRECEDENCE.slice(index + 1).map((second) => [first, second] as const),
  )
    // There is only one verdict of the policies, and unless it allows, there is no limit.
    .filter(([first, second]) => first[3] === undefined || second[3] === undefined)
    .filter(([first, second]) => !(first[0] === "Superseded" && second[3] !== undefined))
    .filter(([first, second]) => !(first[1].rivals && second[1].rivals));

  test.each(pairs.map(([first, second]) => [first[0], second[0], first, second] as const))(
    "%s comes before %s",
    (reason, _, first, second) => {
      const observed = anObserved({ ...second[1], ...first[1] });
      const desired = aDesiredToken({ ...second[2], ...first[2] });
      const { actions, status } = plan({ desired }, observed, first[3] ?? second[3] ?? ALLOWED);
      expect(actions).toEqual([]);
      expect(status?.conditions?.[0]?.reason).toBe(reason);
    },
  );

  test("a conflict comes before a move", () => {
    const straySecrets = [{ name: "old", holds: row.id }];
    const observed = aConvergedObserved({ secret: { state: "foreign" }, straySecrets });
    expect(actionsOf(observed)).toEqual([]);
  });

  test("a move comes before a rotation", () => {
    const straySecrets = [{ name: "old", holds: row.id }];
    const observed = anObserved({ resource: requested("a"), tokens: [row], straySecrets });
    expect(actionsOf(observed).map(({ kind }) => kind)).toEqual(["rewriteSecret"]);
  });

  test.each<[string, Observed, Partial<DesiredToken>, string]>([
    [
      "expired, at its very end",
      aConvergedObserved({}, { issuedAt: later(-720 * HOUR_MS) }),
      { rotation: { ...aDesiredToken().rotation, isAutomatic: false } },
      "Expired",
    ],
    ["a fixed end that is now", anObserved(), { lifetime: { kind: "fixed", expiresAt: NOW } }, "Expired"],
  ])("%s", (_, observed, desired, reason) => {
    const { status } = plan({ desired: aDesiredToken(desired) }, observed, ALLOWED);
    expect(status?.conditions?.[0]?.reason).toBe(reason);
  });
});

test("a token of another ApiToken is not kept, even if our Secret holds it", () => {
  const former = aTokenRow({ resourceUid: "former" });
  const actions = actionsOf(anObserved({ tokens: [former], resource: aResource(), secret: ours(former.id) }));
  expect(actions.map((action) => action.kind)).toEqual(["revokeTokens", "issueToken", "writeSecret"]);
});

test("an ApiToken that is being deleted and waits for another finalizer needs nothing more", () => {
  expect(actionsOf(anObserved({ resource: aResource({ isDeleting: true, hasFinalizer: false }) }))).toEqual([]);
});
