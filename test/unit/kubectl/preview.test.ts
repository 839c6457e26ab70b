import { describe, expect, test } from "vitest";
import type { PolicyResource } from "../../../src/kube/resources/policy.ts";
import { findExcess } from "../../../src/kubectl/change/limit.ts";
import { wordPreview } from "../../../src/kubectl/change/preview-text.ts";
import { buildApiToken } from "../../../src/kubectl/change/spec.ts";
import { preview } from "../../../src/kubectl/client/preview.ts";
import { isStuck } from "../../../src/kubectl/client/wait.ts";
import type { RequestedLifetime } from "../../../src/token/model.ts";
import { anApiToken, fromNow, NOW } from "./builders.ts";

const aPolicy = (spec: object, name = "default"): PolicyResource => ({
  metadata: { name, uid: name, resourceVersion: "1" },
  spec,
});
const HOUR_MS = 3_600_000;
const desired = (lifetime: RequestedLifetime = { kind: "default" }) => ({ owner: "shop", scopes: ["a"], lifetime });
const ask = (policies: readonly PolicyResource[], lifetime?: RequestedLifetime) =>
  preview(policies, "shop", { team: "shop" }, desired(lifetime), NOW);
const words = (policies: readonly PolicyResource[], lifetime?: RequestedLifetime) =>
  wordPreview(ask(policies, lifetime), "shop", desired(lifetime)).join(" ");

describe("before an ApiToken is created, it is said", () => {
  test("which policy allows it, and when its token would end", () => {
    expect(ask([aPolicy({ defaultDuration: "24h" })])).toMatchObject({
      kind: "allowed",
      policy: "default",
      expiresAt: fromNow(24 * HOUR_MS),
      isClamped: false,
    });
  });

  test("that it gets less than it asks for", () => {
    const text = words([aPolicy({ maxDuration: "720h" })], { kind: "duration", durationMs: 1_440 * HOUR_MS });
    expect(text).toContain("The maximum is 720h: the token gets 720h instead of 1440h.");
  });

  test.each<[string, readonly PolicyResource[], string]>([
    ["that no policy selects the namespace", [], "No ApiTokenPolicy selects the namespace shop"],
    ["what a policy forbids", [aPolicy({ owners: ["x"] })], 'denies it: owner "shop" is not among its owners'],
    ["that a policy cannot be read", [aPolicy({ maxDuration: "soon" })], "default cannot be read"],
  ])("%s", (_, policies, expected) => {
    expect(words(policies)).toContain(expected);
  });

  test("which ApiTokens of the owner end for it, the oldest first", () => {
    const allowed = ask([aPolicy({ maxTokensPerOwner: 2 })]) as never;
    const rivals = ["a", "b", "c"].map((name) => anApiToken({ metadata: { name } }));
    expect(findExcess(rivals, allowed).map(({ name }) => name)).toEqual(["a", "b"]);
    expect(findExcess(rivals.slice(0, 1), allowed)).toEqual([]);
  });
});

test("options that are not given are not in the spec", () => {
  const none = {
    owner: undefined,
    scopes: undefined,
    duration: undefined,
    "expires-at": undefined,
    overlap: undefined,
  };
  const rest = { description: undefined, "allowed-cidrs": undefined, "secret-name": undefined, key: undefined };
  expect(buildApiToken("shop", "a", "shop", { ...none, ...rest }).spec).toEqual({ owner: "shop" });
  expect(buildApiToken("shop", "a", "shop", { ...none, ...rest, overlap: "2h", key: "k" }).spec).toEqual({
    owner: "shop",
    rotation: { overlap: "2h" },
    secret: { key: "k" },
  });
});

const STALLED = { type: "Stalled", status: "True" };

test.each<[string, Parameters<typeof anApiToken>[0], boolean]>([
  ["what the controller calls Stalled", { ready: { status: "False", reason: "New" }, conditions: [STALLED] }, true],
  ["an outage", { ready: { status: "False", reason: "DatabaseUnavailable" } }, false],
  [
    "a status of an older spec",
    { ready: { status: "False", reason: "Superseded" }, conditions: [STALLED], metadata: { generation: 2 } },
    false,
  ],
  ["Ready", {}, false],
])("whether waiting ends with %s", (_, parts, expected) => {
  expect(isStuck(anApiToken(parts))).toBe(expected);
});
