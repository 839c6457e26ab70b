import { expect, test } from "vitest";
import { plan } from "../../../../src/token/plan/plan.ts";
import { ALLOWED, aConvergedObserved, aDesiredToken, aResource } from "../../../support/builders.ts";

test("an ApiToken that was suspended before its status named its Secret names it while suspended", () => {
  const observed = aConvergedObserved({ resource: aResource({ status: {} }) });
  const { actions, status } = plan({ desired: aDesiredToken({ isSuspended: true }) }, observed, ALLOWED);
  expect(actions).toEqual([]);
  expect(status).toMatchObject({ secretName: "demo", conditions: [{ status: "True", reason: "Suspended" }] });
});
