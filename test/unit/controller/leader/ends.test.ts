import { describe, expect, test } from "vitest";
import { isEnd } from "../../../../src/controller/leader/ends.ts";
import { type Caches, createCaches } from "../../../../src/controller/pass/caches.ts";
import type { ApiToken } from "../../../../src/kube/resources/api-token.ts";
import { FINALIZER } from "../../../../src/kube/resources/group.ts";
import type { ApiTokenStatus } from "../../../../src/token/model.ts";
import { later, NOW } from "../../../support/builders.ts";

const named = (name: string) => ({ name, uid: `uid-of-${name}`, resourceVersion: "1" });

/** Caches with one ApiToken that has a token, in a namespace that one policy selects. */
function someCaches({
  metadata = {},
  spec = {},
  status = { tokenId: "tokenOne0001" },
  blocks = [],
  policies = [{}],
}: {
  metadata?: Partial<ApiToken["metadata"]>;
  spec?: object;
  status?: ApiTokenStatus;
  blocks?: object[];
  policies?: object[];
} = {}): Caches {
  const caches = createCaches();
  caches.apiTokens.upsert({
    metadata: { ...named("demo"), namespace: "shop", finalizers: [FINALIZER], ...metadata },
    spec: { owner: "alice", scopes: ["orders:read"], ...spec },
    status,
  });
  caches.namespaces.upsert({ metadata: { ...named("shop"), labels: { team: "shop" } }, isTerminating: false });
  for (const [index, block] of blocks.entries()) {
    caches.ownerBlocks.upsert({
      metadata: { ...named(`block-${index}`), creationTimestamp: later(-1_000).toISOString() },
      spec: { owner: "alice", ...block },
    });
  }
  for (const [index, policy] of policies.entries()) {
    caches.policies.upsert({
      metadata: named(`policy-${index}`),
      spec: { owners: ["*"], scopes: ["*"], namespaceSelector: {}, ...policy },
    });
  }
  return caches;
}

const isEnding = (parts: Parameters<typeof someCaches>[0]) => isEnd(someCaches(parts), "shop/demo", NOW.getTime());

const REVOKED = {
  type: "Revoked",
  status: "True",
  message: "",
  observedGeneration: 1,
  lastTransitionTime: "",
} as const;

describe("an end is", () => {
  test.each([
    ["a deletion", { metadata: { deletionTimestamp: NOW.toISOString() } }],
    ["spec.revoked", { spec: { revoked: true } }],
    [
      "spec.revoked, even if the rest cannot be read",
      { spec: { revoked: true, owner: 3, scopes: "x", duration: "?" } },
    ],
    ["a block of the owner", { blocks: [{}] }],
    ["a block among several", { blocks: [{ effectiveAt: later(1_000).toISOString() }, {}] }],
    ["a policy that denies the owner", { policies: [{ owners: ["bob"] }] }],
    ["a policy that denies a scope", { policies: [{ scopes: ["users:*"] }] }],
    ["the denial of the policy with the highest priority", { policies: [{}, { owners: ["bob"], priority: 9 }] }],
    ["one of a token that is in no status yet", { spec: { revoked: true }, status: {} }],
    ["one after somebody has removed our finalizer", { spec: { revoked: true }, metadata: { finalizers: [] } }],
  ])("%s", (_, parts) => {
    expect(isEnding(parts)).toBe(true);
  });

  test("an ApiToken that is gone", () => {
    expect(isEnd(createCaches(), "shop/demo")).toBe(true);
  });
});

describe("no end is", () => {
  test.each([
    ["an ApiToken that may have its token", {}],
    ["a block of somebody else", { blocks: [{ owner: "bob" }] }],
    ["a block that is not in effect yet", { blocks: [{ effectiveAt: later(1_000).toISOString() }] }],
    ["a block that cannot be read", { blocks: [{ effectiveAt: "soon" }] }],
    ["a policy that does not select the namespace", { policies: [{ namespaceSelector: { matchLabels: { a: "b" } } }] }],
    ["a policy that cannot be read", { policies: [{ owners: ["bob"] }, { maxTokensPerOwner: "many" }] }],
    ["the lack of any policy", { policies: [] }],
    ["an owner that cannot be read", { spec: { owner: 3 }, policies: [{ owners: ["bob"] }] }],
    [
      "one that the status reports already",
      { spec: { revoked: true }, status: { conditions: [{ ...REVOKED, reason: "RevokedBySpec" }] } },
    ],
    ["one that has never had a token", { spec: { revoked: true }, metadata: { finalizers: ["other"] }, status: {} }],
  ] as const)("%s", (_, parts) => {
    expect(isEnding(parts as Parameters<typeof someCaches>[0])).toBe(false);
  });
});
