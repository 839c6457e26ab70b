import { describe, expect, test } from "vitest";
import { statusOfExpiry, statusOfFailure } from "../../../src/token/failure.ts";
import { isProgress, meaningOfReady } from "../../../src/token/kstatus.ts";
import type { ApiTokenStatus, ObservedResource } from "../../../src/token/model.ts";
import { aConvergedObserved, anObserved, aResource, HOUR_MS, later, NOW } from "../../support/builders.ts";
import { statusOf } from "./status-of.ts";

const progressOf = (status: ApiTokenStatus | undefined) =>
  status?.conditions?.filter(isProgress).map(({ type, status: is, reason }) => `${type} ${is} ${reason}`);

const converged = statusOf(aConvergedObserved());
const conflict = statusOf(anObserved({ secret: { state: "foreign" } }));

test("a status of which nobody has to take notice has no condition for tools", () => {
  expect(converged.conditions).toMatchObject([{ type: "Ready" }]);
});

test("the condition for tools repeats reason and message of Ready, and keeps its time while it is true", () => {
  const [ready, stalled] = conflict.conditions ?? [];
  expect(stalled).toEqual({ ...ready, type: "Stalled", status: "True" });
  const resource = aResource({ status: conflict, generation: 2 });
  const hourLater = statusOf(anObserved({ secret: { state: "foreign" }, resource, now: later(HOUR_MS) }));
  expect(hourLater.conditions?.[1]).toEqual({ ...stalled, observedGeneration: 2 });
});

test("it goes as soon as nothing is wrong anymore", () => {
  expect(progressOf(statusOf(aConvergedObserved({ resource: aResource({ status: conflict }) })))).toEqual([]);
});

describe("a failure", () => {
  const refusal = { reason: "SecretRefused", message: "It is refused." } as const;
  const fail = (failures: number, resource: Partial<ObservedResource> = {}) =>
    statusOfFailure(aResource(resource), refusal, { failures, seen: { held: undefined }, now: NOW });

  test.each([
    [15, "Reconciling True SecretRefused"],
    [16, "Stalled True SecretRefused"],
  ])("that has occurred %i times in a row is %s", (failures, expected) => {
    expect(progressOf(fail(failures))).toEqual([expected]);
  });

  test("replaces what was there for tools, so that there is never more than one", () => {
    expect(progressOf(fail(16, { status: fail(1) ?? {} }))).toEqual(["Stalled True SecretRefused"]);
    expect(progressOf(fail(1, { status: conflict }))).toEqual(["Reconciling True SecretRefused"]);
  });

  // Otherwise tools would wait for that generation, and not see that there is nothing to wait for.
  test("is about the latest spec once nobody should wait for it any longer", () => {
    const resource = { generation: 2, status: { observedGeneration: -1 } };
    expect([fail(15, resource)?.observedGeneration, fail(16, resource)?.observedGeneration]).toEqual([-1, 2]);
  });
});

test("a token whose end has passed before the controller could look at it is not given up", () => {
  const status = statusOfExpiry(aResource({ status: converged }), undefined, later(1_000 * HOUR_MS));
  expect(progressOf(status)).toEqual(["Reconciling True Expired"]);
});

test("a reason that only another release knows is waited for", () => {
  expect(meaningOfReady({ status: "False", reason: "Unheard" })).toBe("Reconciling");
});
