import { expect, test } from "vitest";
import { plan } from "../../../../src/token/plan/plan.ts";
import { aDesiredToken, anObserved, aPolicy, aResource, aTokenRow, HOUR_MS, NOW } from "../../../support/builders.ts";

test("with Reject, a previous token in its overlap keeps the place for the next one, as in the issuing transaction", () => {
  const policy = {
    kind: "allowed",
    applied: aPolicy({ owner: { max: 1, onLimit: "Reject", scope: "Cluster" } }),
  } as const;
  const previous = aTokenRow({ revokedAt: new Date(NOW.getTime() + HOUR_MS), revocationReason: "Rotated" });
  const observed = anObserved({
    resource: aResource({ status: { tokenId: "tokenTwo0002", revision: 2 } }),
    tokens: [previous],
    rivals: { older: 0, newer: 1 },
  });
  const { actions } = plan({ desired: aDesiredToken() }, observed, policy);
  expect(actions.map(({ kind }) => kind)).toEqual(["issueToken", "writeSecret"]);
});
