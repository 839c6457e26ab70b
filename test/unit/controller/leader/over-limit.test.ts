import { expect, test } from "vitest";
import { findOverLimit } from "../../../../src/controller/leader/over-limit.ts";
import { createCaches } from "../../../../src/controller/pass/caches.ts";
import { later } from "../../../support/builders.ts";

const named = (name: string) => ({ name, uid: `uid-of-${name}`, resourceVersion: "1" });

/** Caches with the namespaces "generous" (50 ApiTokens for an owner) and "strict" (2, with this `onLimit`). */
function someCaches(onLimit: string) {
  const caches = createCaches();
  for (const [namespace, spec] of [
    ["generous", { maxTokensPerOwner: 50 }],
    ["strict", { maxTokensPerOwner: 2, onLimit }],
  ] as const) {
    caches.namespaces.upsert({ metadata: { ...named(namespace), labels: { n: namespace } }, isTerminating: false });
    const namespaceSelector = { matchLabels: { n: namespace } };
    caches.policies.upsert({
      metadata: named(namespace),
      spec: { owners: ["*"], scopes: ["*"], namespaceSelector, ...spec },
    });
  }
  let age = 0;
  const add = (namespace: string, name: string, { owner = "alice", status = "True" } = {}) => {
    age += 1;
    const condition = { type: "Ready", status, reason: "Issued", message: "", observedGeneration: 1 } as const;
    caches.apiTokens.upsert({
      metadata: { ...named(name), namespace, creationTimestamp: later(age * 1_000).toISOString() },
      spec: { owner },
      status: { conditions: [{ ...condition, lastTransitionTime: "" }] },
    } as Parameters<typeof caches.apiTokens.upsert>[0]);
  };
  return { caches, add };
}

test("with RevokeOldest, those with too many newer ones are over their own policy's limit", () => {
  const { caches, add } = someCaches("RevokeOldest");
  add("strict", "a");
  add("strict", "b");
  expect(findOverLimit(caches, "alice")).toEqual([]);
  add("generous", "c");
  expect(findOverLimit(caches, "alice")).toEqual(["strict/a"]);
  for (let index = 0; index < 10; index += 1) add("generous", `d${index}`);
  add("strict", "e");
  expect(findOverLimit(caches, "alice")).toEqual(["strict/a", "strict/b"]);
});

test("with Reject, those with too many older ones are", () => {
  const { caches, add } = someCaches("Reject");
  add("generous", "a");
  add("strict", "b");
  expect(findOverLimit(caches, "alice")).toEqual([]);
  add("strict", "c");
  expect(findOverLimit(caches, "alice")).toEqual(["strict/c"]);
});

test("other owners' ApiTokens and those without a token count for nothing", () => {
  const { caches, add } = someCaches("RevokeOldest");
  add("strict", "a");
  add("generous", "b", { owner: "bob" });
  add("generous", "c", { status: "False" });
  add("generous", "d");
  expect(findOverLimit(caches, "alice")).toEqual([]);
  expect(findOverLimit(caches, "nobody")).toEqual([]);
});

test("where no policy is known to apply, nothing is over a limit", () => {
  const { caches, add } = someCaches("RevokeOldest");
  for (const name of ["a", "b", "c", "d"]) add("strict", name);
  caches.namespaces.remove("strict");
  expect(findOverLimit(caches, "alice")).toEqual([]);
});
