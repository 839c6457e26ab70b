import { describe, expect, test } from "vitest";
import type { Policy } from "../../../src/token/policy.ts";
import {
  buildPolicyStatus,
  isNews,
  type Place,
  type PolicyReport,
  type PolicyStatus,
  type ReadPolicy,
  reportPolicies,
} from "../../../src/token/policy-status.ts";
import { aPolicy, later, NOW } from "../../support/builders.ts";

const aRead = (name: string, overrides: Partial<Policy> = {}): ReadPolicy => ({
  name,
  policy: { ...aPolicy(), priority: 0, namespaceSelector: {}, owners: ["team"], scopes: ["*"], ...overrides, name },
});
const ONE = { matchLabels: { tier: "one" } };
const PLACES: readonly Place[] = [
  { labels: { tier: "one" }, apiTokens: 3 },
  { labels: { tier: "one" }, apiTokens: 0 },
  { labels: { tier: "two" }, apiTokens: 5 },
];

function report(all: readonly ReadPolicy[], places = PLACES, isPartial = false): Record<string, PolicyReport> {
  return Object.fromEntries(reportPolicies(all, places, isPartial));
}

const messageOf = (found: PolicyReport | undefined) => found?.claim.message;

describe("a policy that can be read is accepted", () => {
  test("with the namespaces that it selects and the ApiTokens in them", () => {
    expect(report([aRead("a", { namespaceSelector: ONE })])).toEqual({
      a: {
        claim: {
          type: "Accepted",
          status: "True",
          reason: "Accepted",
          message: "Selects 2 namespaces, and governs 3 ApiTokens.",
        },
        namespaces: 2,
        apiTokens: 3,
      },
    });
  });

  test("and governs only where no other takes precedence: by priority, then by name", () => {
    const found = report([aRead("z"), aRead("b", { namespaceSelector: ONE }), aRead("a", { priority: -1 })]);
    expect(found.b).toMatchObject({ namespaces: 2, apiTokens: 3 });
    expect(found.z).toMatchObject({ namespaces: 3, apiTokens: 5 });
    expect(messageOf(found.z)).toBe(
      "Selects 3 namespaces (in 2 of them another policy takes precedence), and governs 5 ApiTokens.",
    );
    expect(found.a).toMatchObject({ namespaces: 3, apiTokens: 0 });
  });

  test("and if it allows every owner, it says so", () => {
    expect(messageOf(report([aRead("a", { owners: ["team", "*"] })]).a)).toBe(
      "Selects 3 namespaces, and governs 8 ApiTokens. It allows every owner.",
    );
  });

  test("with numbers written as everywhere else", () => {
    const places = Array.from({ length: 2_000 }, () => ({ labels: {}, apiTokens: 1 }));
    expect(messageOf(report([aRead("a"), aRead("z")], places).z)).toBe(
      "Selects 2,000 namespaces (in 2,000 of them another policy takes precedence), and governs 0 ApiTokens.",
    );
    expect(messageOf(report([aRead("a")], places, true).a)).toBe(
      "Selects 2,000 of the 2,000 namespaces that this controller watches, and governs 2,000 ApiTokens.",
    );
  });

  test("if it selects nothing, with the remedy", () => {
    const { a } = report([aRead("a", { namespaceSelector: { matchLabels: { tier: "none" } } })]);
    expect(a).toMatchObject({ namespaces: 0, apiTokens: 0, claim: { status: "True" } });
    expect(messageOf(a)).toBe(
      "Selects no namespace. Correct its namespaceSelector, or label the namespaces that it is meant for.",
    );
  });

  test("if not all namespaces are watched, with what was counted", () => {
    const [one] = PLACES;
    expect(messageOf(report([aRead("a", { namespaceSelector: ONE })], PLACES, true).a)).toBe(
      "Selects 2 of the 3 namespaces that this controller watches, and governs 3 ApiTokens.",
    );
    expect(messageOf(report([aRead("a")], one ? [one] : [], true).a)).toContain("1 of the 1 namespace that");
    expect(messageOf(report([aRead("a", { namespaceSelector: ONE })], [], true).a)).toMatch(
      /^Selects 0 of the 0 names/,
    );
  });
});

describe("a policy that cannot be read", () => {
  const problem = "spec.maxDuration: is not a duration. Correct the spec.";

  test("is not accepted, with field, fault and remedy, and without numbers", () => {
    const found = report([{ name: "bad", problem }, aRead("good")]);
    expect(found.bad).toEqual({
      claim: {
        type: "Accepted",
        status: "False",
        reason: "InvalidSpec",
        message: `${problem} Until then no policy applies, and nothing is issued in any namespace.`,
      },
    });
    expect(messageOf(found.good)).toBe(
      'Selects 3 namespaces, and governs 8 ApiTokens. Nothing is issued while ApiTokenPolicy "bad" cannot be read.',
    );
  });

  test("has a message of bounded length, however much is wrong", () => {
    expect(messageOf(report([{ name: "bad", problem: "x".repeat(1_000_000) }]).bad)?.length).toBeLessThan(1_200);
  });
});

describe("a status", () => {
  const statusOf = (found: PolicyReport | undefined, before: PolicyStatus, generation: number, now = NOW) =>
    buildPolicyStatus(found as PolicyReport, before, generation, now);
  const good = report([aRead("a")]).a;
  const more = report([aRead("a")], [...PLACES, { labels: {}, apiTokens: 1 }]).a;
  const bad = report([{ name: "a", problem: "wrong" }]).a;

  test("has the generation, and the time at which the condition's status has changed", () => {
    const first = statusOf(good, {}, 1);
    expect(first).toMatchObject({ observedGeneration: 1, namespaces: 3, apiTokens: 8 });
    expect(first.conditions).toMatchObject([{ observedGeneration: 1, lastTransitionTime: "2026-06-01T12:00:00Z" }]);
    const second = statusOf(more, first, 2, later(60_000));
    expect(second.conditions).toMatchObject([{ observedGeneration: 2, lastTransitionTime: "2026-06-01T12:00:00Z" }]);
    const third = statusOf(bad, second, 3, later(60_000));
    expect(third).not.toHaveProperty("namespaces");
    const since = { reason: "InvalidSpec", lastTransitionTime: "2026-06-01T12:01:00Z" };
    expect(third.conditions).toMatchObject([
      { type: "Accepted", status: "False", ...since },
      { type: "Stalled", status: "True", ...since },
    ]);
  });

  test("is news only if it reports something else", () => {
    const before = statusOf(good, {}, 1);
    const isNewsOf = (found: PolicyReport | undefined, generation: number) =>
      isNews(before, statusOf(found, before, generation, later(60_000)));
    expect([isNewsOf(good, 1), isNewsOf(more, 1), isNewsOf(good, 2), isNewsOf(bad, 1)]).toEqual([
      false,
      true,
      true,
      true,
    ]);
    expect(isNews({}, before)).toBe(true);
    expect(isNews({ ...before, apiTokens: 99 }, before)).toBe(true);
  });
});
