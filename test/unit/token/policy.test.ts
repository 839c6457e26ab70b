import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  findReach,
  judge,
  type LabelSelector,
  matchesGlob,
  type Policy,
  type PolicySubject,
  selects,
} from "../../../src/token/policy.ts";
import { aPolicy } from "../../support/builders.ts";

const NAMESPACE = "team-a";

function aRule(overrides: Partial<Policy> = {}): Policy {
  return { ...aPolicy(), priority: 0, namespaceSelector: {}, owners: ["*"], scopes: ["*"], ...overrides };
}

function aSubject(overrides: Partial<PolicySubject> = {}): PolicySubject {
  return { namespace: NAMESPACE, namespaceLabels: { tier: "prod" }, owner: "alice", scopes: [], ...overrides };
}

describe("a glob", () => {
  test.each<[string, string, boolean]>([
    ["*", "", true],
    ["*", "anything", true],
    ["alice", "alice", true],
    ["alice", "alicex", false],
    ["alice", "xalice", false],
    ["Alice", "alice", false],
    ["", "", true],
    ["", "a", false],
    ["a*", "a", true],
    ["a*", "ba", false],
    ["*@example.com", "alice@example.com", true],
    ["*@example.com", "alice@example.com.evil", false],
    ["*@example.com", "alice@exampleXcom", false],
    ["team-*-bot", "team-a-bot", true],
    ["team-*-bot", "team--bot", true],
    ["team-*-bot", "team-bot", false],
    ["ab*ba", "aba", false],
    ["a*b*c", "axxbxxc", true],
    ["a*b*c", "acb", false],
    ["*a*b*", "xxbxxaxxb", true],
    ["*ab*ab", "ab", false],
    ["*ab*ab", "abab", true],
    ["**", "", true],
    ["a**b", "ab", true],
    ["a.c", "abc", false],
    ["a?c", "abc", false],
    ["[a-z]", "b", false],
    ["orders:*", "orders:read", true],
    ["orders:*", "orders", false],
    ["orders:read", "orders:*", false],
    ["${namespace}", "team-a", true],
    ["${namespace}/*", "team-a/bot", true],
    ["${namespace}/*", "team-ab/bot", false],
    ["${namespace}/*", "${namespace}/bot", false],
    ["${namespace}-${namespace}", "team-a-team-a", true],
    ["${owner}", "${owner}", true],
  ])("%j matches %j: %s", (glob, text, expected) => {
    expect(matchesGlob(glob, text, NAMESPACE)).toBe(expected);
  });

  test("matches as its regular expression would", () => {
    const pieces = fc.array(fc.constantFrom("a", "b", "ab", "*"), { maxLength: 7 }).map((list) => list.join(""));
    const texts = fc.array(fc.constantFrom("a", "b"), { maxLength: 9 }).map((list) => list.join(""));
    fc.assert(
      fc.property(pieces, texts, (glob, text) => {
        expect(matchesGlob(glob, text, NAMESPACE)).toBe(new RegExp(`^${glob.replaceAll("*", ".*")}$`).test(text));
      }),
      { numRuns: 2_000 },
    );
  });

  test("does not backtrack, however many stars it has", () => {
    const stars = `${"a*".repeat(126)}b`;
    const startedAt = performance.now();
    for (let round = 0; round < 100; round += 1) {
      expect(matchesGlob(stars, "a".repeat(10_000), NAMESPACE)).toBe(false);
      expect(matchesGlob(`${"*a".repeat(126)}*b*`, "a".repeat(10_000), NAMESPACE)).toBe(false);
    }
    expect(performance.now() - startedAt).toBeLessThan(1_000);
  });
});

describe("a glob that names the namespace", () => {
  test.each([
    ["${namespace}-*", "shop-*", "shop-eu"],
    ["${namespace}*", "shop*", "shopeu"],
    ["*${namespace}", "*shop", "eushop"],
    ["*-${namespace}/*", "*-shop/*", "eu-shop"],
    ["bot-${namespace}", "bot-shop", "bot-shop"],
    ["${namespace}-", "shop-", "shop-eu"],
    ["-${namespace}", "-shop", "eu-shop"],
    ["team${namespace}/*", "teamshop/*", "teamshop"],
    ["${namespace}2", "shop2", "shop2"],
    ["${namespace}X:*", "shopX:*", "shopX"],
    ["${namespace}${namespace}", "shopshop", "shopshop"],
    ["sa:${namespace}-*", "sa:shop-*", "shop-eu"],
    ["${namespace}/${namespace}-*", "shop/shop-*", "shop-eu"],
    ["*/${namespace}", "*/shop", "eu"],
  ])("beside what a name may have, %s, reaches another namespace", (glob, inShop, other) => {
    expect(findReach(glob)).toEqual({ namespace: "shop", glob: inShop, other });
  });

  test.each([
    "${namespace}",
    "${namespace}/*",
    "${namespace}:*",
    "${namespace}.*",
    "system:serviceaccount:${namespace}:*",
    "*@${namespace}.example.com",
    "svc/${namespace}",
  ])("beside a separator, %s, keeps to it", (glob) => {
    expect(findReach(glob)).toBeUndefined();
  });

  test.each(["*", "alice", "team-*", "*@example.com", "${owner}-*"])("only, and not %s", (glob) => {
    expect(findReach(glob)).toBeUndefined();
  });

  /** Names of namespaces: RFC 1123 labels. */
  const names = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);

  test("as the default policy does, matches no owner of another namespace", () => {
    const globs = ["${namespace}", "${namespace}/*"];
    const mayAct = (namespace: string, owner: string) => globs.some((glob) => matchesGlob(glob, owner, namespace));
    fc.assert(
      fc.property(names, names, fc.string({ unit: "grapheme-ascii" }), (one, other, rest) => {
        fc.pre(one !== other);
        for (const owner of [other, `${other}/${rest}`]) {
          expect(mayAct(other, owner)).toBe(true);
          expect(mayAct(one, owner)).toBe(false);
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

// https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors
describe("a selector", () => {
  const labels = { tier: "prod", team: "a" };

  test.each<[string, LabelSelector, boolean]>([
    ["that is empty selects everything", {}, true],
    ["with a label", { matchLabels: { tier: "prod" } }, true],
    ["with all labels", { matchLabels: { tier: "prod", team: "a" } }, true],
    ["with another value", { matchLabels: { tier: "test" } }, false],
    ["with one label that is not there", { matchLabels: { tier: "prod", zone: "x" } }, false],
    ["In", { matchExpressions: [{ key: "tier", operator: "In", values: ["test", "prod"] }] }, true],
    ["In others", { matchExpressions: [{ key: "tier", operator: "In", values: ["test"] }] }, false],
    ["In, of no values", { matchExpressions: [{ key: "tier", operator: "In" }] }, false],
    ["In, of a label that is not there", { matchExpressions: [{ key: "zone", operator: "In", values: ["x"] }] }, false],
    ["NotIn", { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["prod"] }] }, false],
    ["NotIn others", { matchExpressions: [{ key: "tier", operator: "NotIn", values: ["test"] }] }, true],
    [
      "NotIn, of a label that is not there",
      { matchExpressions: [{ key: "zone", operator: "NotIn", values: ["x"] }] },
      true,
    ],
    ["Exists", { matchExpressions: [{ key: "tier", operator: "Exists" }] }, true],
    ["Exists, of one that does not", { matchExpressions: [{ key: "zone", operator: "Exists" }] }, false],
    ["DoesNotExist", { matchExpressions: [{ key: "zone", operator: "DoesNotExist" }] }, true],
    ["DoesNotExist, of one that does", { matchExpressions: [{ key: "tier", operator: "DoesNotExist" }] }, false],
    [
      "Exists, of what every object inherits",
      { matchExpressions: [{ key: "constructor", operator: "Exists" }] },
      false,
    ],
    [
      "with a label and an expression: both",
      { matchLabels: { tier: "prod" }, matchExpressions: [{ key: "team", operator: "In", values: ["b"] }] },
      false,
    ],
  ])("%s", (_, selector, expected) => {
    expect(selects(selector, labels)).toBe(expected);
  });
});

describe("the policies", () => {
  const elsewhere = { matchLabels: { tier: "test" } };

  test("decide nothing if none selects the namespace", () => {
    expect(judge([], aSubject())).toEqual({ kind: "missing" });
    expect(judge([aRule({ namespaceSelector: elsewhere })], aSubject())).toEqual({ kind: "missing" });
  });

  test.each<[string, readonly Policy[], string]>([
    ["of the highest priority", [aRule({ name: "low" }), aRule({ name: "high", priority: 1 })], "high"],
    ["of a priority below nought, if it is the only one", [aRule({ name: "low", priority: -5 })], "low"],
    ["of the first name among equals", [aRule({ name: "b" }), aRule({ name: "a" }), aRule({ name: "c" })], "a"],
    [
      "that selects the namespace, regardless of the priority of others",
      [aRule({ name: "here" }), aRule({ name: "there", priority: 9, namespaceSelector: elsewhere })],
      "here",
    ],
  ])("apply only the one %s, in any order", (_, policies, expected) => {
    for (const order of [policies, [...policies].reverse()]) {
      expect(judge(order, aSubject())).toMatchObject({ kind: "allowed", applied: { name: expected } });
    }
  });

  test("deny if the applicable one denies, even if another would allow", () => {
    const strict = aRule({ name: "strict", priority: 1, owners: ["bob"] });
    expect(judge([aRule(), strict], aSubject())).toMatchObject({ kind: "denied", name: "strict" });
  });

  test.each<[string, Partial<Policy>, Partial<PolicySubject>, string]>([
    [
      "an owner",
      { owners: ["bob", "${namespace}/*"] },
      {},
      'owner "alice" is not among its owners in namespace "team-a"',
    ],
    [
      "the first scope that is too much",
      { scopes: ["orders:*"] },
      { scopes: ["orders:read", "users:read", "users:write"] },
      'scope "users:read" is not among its scopes in namespace "team-a"',
    ],
    ["any owner", { owners: [] }, {}, 'owner "alice" is not among its owners in namespace "team-a"'],
    ["any scope", { scopes: [] }, { scopes: ["a"] }, 'scope "a" is not among its scopes in namespace "team-a"'],
  ])("name the rule that denies %s, and what it allows", (_, policy, subject, rule) => {
    expect(judge([aRule(policy)], aSubject(subject))).toEqual({ kind: "denied", name: "default", rule });
  });

  test("allow a token without scopes, whichever scopes they allow", () => {
    expect(judge([aRule({ scopes: [] })], aSubject()).kind).toBe("allowed");
  });
});
