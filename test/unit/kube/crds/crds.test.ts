import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { parse } from "yaml";
import { CONDITION_GUIDES } from "../../../../src/kube/crds/api-guide.ts";
import { buildApiReference, listFields, type SchemaNode } from "../../../../src/kube/crds/api-reference.ts";
import { buildCrds } from "../../../../src/kube/crds/crd.ts";
import { type ApiToken, parseSpec } from "../../../../src/kube/resources/api-token.ts";
import { FINALIZER, GROUP, MANAGED_LABEL, ROTATE_ANNOTATION } from "../../../../src/kube/resources/group.ts";
import { type OwnerBlock, parseOwnerBlock } from "../../../../src/kube/resources/owner-block.ts";
import { type PolicyResource, parsePolicy } from "../../../../src/kube/resources/policy.ts";
import { CONDITION_TYPES } from "../../../../src/token/condition.ts";
import {
  type Decoration,
  PROOF_ANNOTATION,
  SEAL_ANNOTATION,
  wantDecoration,
} from "../../../../src/token/decoration.ts";
import { EVENT_REASONS, REASONS } from "../../../../src/token/reasons.ts";
import { aDesiredToken } from "../../../support/builders.ts";

const HOUR_MS = 3_600_000;
const readProjectFile = (file: string) => readFileSync(new URL(`../../../../${file}`, import.meta.url), "utf8");

describe.each(["crds/", "charts/apitoken-operator/files/crds/"])("%s is what `npm run generate` writes", (folder) => {
  const directory = new URL(`../../../../${folder}`, import.meta.url);

  test("and nothing else", () => {
    expect(readdirSync(directory).sort()).toEqual(Object.keys(buildCrds()).sort());
  });

  test.each(Object.entries(buildCrds()))("%s", (file, crd) => {
    expect(parse(readFileSync(new URL(file, directory), "utf8"))).toEqual(JSON.parse(JSON.stringify(crd)));
  });
});

describe("docs/api.md", () => {
  test("is what `npm run generate` writes", () => {
    expect(readProjectFile("docs/api.md")).toBe(buildApiReference(readProjectFile));
  });

  test.each([
    FINALIZER,
    MANAGED_LABEL,
    ROTATE_ANNOTATION,
    SEAL_ANNOTATION,
    PROOF_ANNOTATION,
    ...namesOn(wantDecoration(aDesiredToken(), MANAGED_LABEL, { id: "any", expiresAt: new Date(0) })),
  ])("names %s", (name) => {
    expect(readProjectFile("docs/api.md")).toContain(`| \`${name}\` |`);
  });

  test("names every reason with the condition that may have it, except those that only Events have", () => {
    const told = CONDITION_GUIDES.flatMap(({ reasons }) => reasons);
    const onlyEvents: readonly string[] = EVENT_REASONS;
    expect([...new Set(told)].sort()).toEqual(REASONS.filter((reason) => !onlyEvents.includes(reason)).sort());
    expect([...new Set(CONDITION_GUIDES.map(({ type }) => type))]).toEqual([...CONDITION_TYPES]);
  });
});

function namesOn({ labels, annotations }: Decoration): string[] {
  return Object.keys({ ...labels, ...annotations }).filter((name) => name.startsWith(`${GROUP}/`));
}

describe("kubectl explain", () => {
  test.each(Object.entries(listFields()))("describes every field of %s", (kind, fields) => {
    expect(fields.length, kind).toBeGreaterThan(5);
    // A word or two only repeat the name.
    const silent = fields.filter(({ node }) => (node.description ?? "").split(" ").length < 3 || !isSentence(node));
    expect(silent.map(({ path }) => path)).toEqual([]);
  });

  test.each(Object.entries(listFields()))("states the default of every optional field of %s", (_kind, fields) => {
    const optional = fields.filter(
      ({ path, node, isRequired }) => path.startsWith("spec.") && node.properties === undefined && !isRequired,
    );
    expect(optional.filter(({ node }) => !/Default: /.test(node.description ?? "")).map(({ path }) => path)).toEqual(
      [],
    );
  });
});

function isSentence({ description = "" }: SchemaNode): boolean {
  return /^\S.*\.$/.test(description);
}

describe("the spec of an ApiToken", () => {
  const aResource = (spec: unknown): ApiToken => ({
    metadata: { namespace: "ns", name: "demo", uid: "u", resourceVersion: "1" },
    spec,
  });

  test("with only an owner is read with its defaults", () => {
    expect(parseSpec(aResource({ owner: "alice" })).desired).toEqual({
      owner: "alice",
      description: "",
      scopes: [],
      allowedCidrs: [],
      metadata: {},
      lifetime: { kind: "default" },
      rotation: { isAutomatic: true, renewBefore: { percentage: 10 }, overlapMs: HOUR_MS },
      inactivityTimeoutMs: undefined,
      rateLimit: undefined,
      secret: { name: "demo", key: "token", data: {}, labels: {}, annotations: {}, isRetained: false },
      isRevoked: false,
      revocationReason: "",
      isSuspended: false,
    });
  });

  test.each([
    [{ rotation: { policy: "Disabled" } }, { rotation: expect.objectContaining({ isAutomatic: false }) }],
    [{ rotation: { renewBefore: "5m" } }, { rotation: expect.objectContaining({ renewBefore: { ms: 300_000 } }) }],
    [
      { rotation: { renewBeforePercentage: 20 } },
      { rotation: expect.objectContaining({ renewBefore: { percentage: 20 } }) },
    ],
    [{ rotation: { overlap: "0s" } }, { rotation: expect.objectContaining({ overlapMs: 0 }) }],
    [{ inactivityTimeout: "24h" }, { inactivityTimeoutMs: 24 * HOUR_MS }],
    [{ rateLimit: { requests: 600, per: "1m" } }, { rateLimit: { requests: 600, seconds: 60 } }],
    [{ allowedCIDRs: ["10.0.0.0/8"] }, { allowedCidrs: ["10.0.0.0/8"] }],
    [{ duration: "1h30m" }, { lifetime: { kind: "duration", durationMs: 1.5 * HOUR_MS } }],
    [
      { expiresAt: "2026-06-01T14:00:00+02:00" },
      { lifetime: { kind: "fixed", expiresAt: new Date("2026-06-01T12:00:00Z") } },
    ],
    [
      { secret: { name: "other", key: "password", data: { user: "${owner}" }, onDelete: "Retain" } },
      {
        secret: {
          name: "other",
          key: "password",
          data: { user: "${owner}" },
          labels: {},
          annotations: {},
          isRetained: true,
        },
      },
    ],
  ])("is read: %j", (spec, desired) => {
    expect(parseSpec(aResource({ owner: "alice", ...spec })).desired).toMatchObject(desired);
  });

  test.each([
    [{}, "spec.owner"],
    [{ owner: "alice", duration: "forever" }, "spec.duration"],
    [{ owner: "alice", scopes: "a" }, "spec.scopes"],
    [{ owner: "alice", expiresAt: "tomorrow" }, "spec.expiresAt"],
    [{ owner: "alice", rotation: { overlap: "long" } }, "spec.rotation.overlap"],
    [{ owner: "alice", rotation: { policy: "Never" } }, "spec.rotation.policy"],
    [{ owner: "alice", inactivityTimeout: "soon" }, "spec.inactivityTimeout"],
    [{ owner: "alice", rateLimit: { requests: 1, per: "often" } }, "spec.rateLimit.per"],
    [{ owner: "alice", secret: { onDelete: "Keep" } }, "spec.secret.onDelete"],
    [null, "spec."],
  ])("that an older CRD let pass, %j, is a problem of %s, not a crash", (spec, field) => {
    const { desired, problem } = parseSpec(aResource(spec));
    expect(desired).toBeUndefined();
    expect(problem).toContain(field);
  });
});

describe("an ApiTokenPolicy", () => {
  const aPolicy = (spec: unknown): PolicyResource => ({
    metadata: { name: "strict", uid: "u", resourceVersion: "1" },
    spec,
  });

  test("without any field allows everything everywhere, for 30 days and one ApiToken per owner", () => {
    expect(parsePolicy(aPolicy({}))).toEqual({
      name: "strict",
      priority: 0,
      namespaceSelector: {},
      owners: ["*"],
      scopes: ["*"],
      lifetime: { defaultMs: 720 * HOUR_MS, maxMs: 720 * HOUR_MS },
      owner: { max: 1, onLimit: "RevokeOldest", scope: "Cluster" },
      inactivityTimeoutMs: undefined,
      grace: undefined,
      rateLimit: undefined,
      minRequestIntervalMs: 60_000,
      warnBeforeMs: 168 * HOUR_MS,
    });
  });

  test("is read", () => {
    const namespaceSelector = {
      matchLabels: { tier: "prod" },
      matchExpressions: [{ key: "team", operator: "In", values: ["a"] }],
    };
    const spec = {
      priority: -3,
      namespaceSelector,
      owners: ["${namespace}/*"],
      scopes: ["orders:*"],
      defaultDuration: "24h",
      maxDuration: "48h",
      maxTokensPerOwner: 5,
      onLimit: "Reject",
      limitScope: "Database",
      inactivityTimeout: "90m",
      grace: { period: "10m", scopes: ["jobs:cancel"] },
      rateLimit: { requests: 100, per: "1s" },
      rotation: { minRequestInterval: "5m" },
      warnBefore: "0s",
    };
    expect(parsePolicy(aPolicy(spec))).toEqual({
      name: "strict",
      priority: -3,
      namespaceSelector,
      owners: ["${namespace}/*"],
      scopes: ["orders:*"],
      lifetime: { defaultMs: 24 * HOUR_MS, maxMs: 48 * HOUR_MS },
      owner: { max: 5, onLimit: "Reject", scope: "Database" },
      inactivityTimeoutMs: 1.5 * HOUR_MS,
      grace: { periodMs: 600_000, scopes: ["jobs:cancel"] },
      rateLimit: { requests: 100, seconds: 1 },
      minRequestIntervalMs: 300_000,
      warnBeforeMs: 0,
    });
  });

  test.each([
    ["1500ms", ["a"], { periodMs: 2_000, scopes: ["a"] }],
    ["1ms", ["a"], { periodMs: 1_000, scopes: ["a"] }],
    ["9999999h", ["a"], { periodMs: 8_760 * HOUR_MS, scopes: ["a"] }],
    ["1s", ["a\u0000", "b"], { periodMs: 1_000, scopes: ["b"] }],
    ["1s", ["\u0000"], undefined],
    ["0s", ["a"], undefined],
  ])(
    "that an older CRD let pass, with a grace of %s for %j, is read as what rows can hold",
    (period, scopes, grace) => {
      expect(parsePolicy(aPolicy({ grace: { period, scopes } })).grace).toEqual(grace);
    },
  );

  test.each([
    ["1500ms", 2],
    ["0s", 1],
    ["9999999h", 86_400],
  ])("that an older CRD let pass, with a rate limit per %s, is read as what rows can hold", (per, seconds) => {
    expect(parsePolicy(aPolicy({ rateLimit: { requests: 5, per } })).rateLimit).toEqual({ requests: 5, seconds });
  });

  test("that an older CRD let pass, with a lifetime beyond all times, has the longest lifetime", () => {
    const { lifetime } = parsePolicy(aPolicy({ defaultDuration: "9999999h9999999h", maxDuration: "9999999h" }));
    expect(lifetime).toEqual({ defaultMs: 876_000 * HOUR_MS, maxMs: 876_000 * HOUR_MS });
  });

  test.each([
    [null, "spec."],
    [{ priority: "high" }, "spec.priority"],
    [{ owners: "*" }, "spec.owners"],
    [{ maxDuration: "forever" }, "spec.maxDuration"],
    [{ maxTokensPerOwner: 0 }, "spec.maxTokensPerOwner"],
    [{ onLimit: "Ignore" }, "spec.onLimit"],
    [{ grace: { period: "a while", scopes: ["a"] } }, "spec.grace.period"],
    [{ grace: { period: "1m" } }, "spec.grace.scopes"],
    [{ rateLimit: { requests: 0, per: "1m" } }, "spec.rateLimit.requests"],
    [{ rateLimit: { requests: 1 } }, "spec.rateLimit.per"],
    [{ warnBefore: "7d" }, "spec.warnBefore"],
    [{ namespaceSelector: { matchExpressions: [{ key: "a", operator: "Is" }] } }, "spec.namespaceSelector.matchExp"],
  ])("that cannot be read, %j, is a problem of %s", (spec, field) => {
    expect(() => parsePolicy(aPolicy(spec))).toThrow(field);
  });

  test("that cannot be read is named in the error", () => {
    expect(() => parsePolicy(aPolicy({ owners: "*" }))).toThrow('ApiTokenPolicy "strict": spec.owners');
  });
});

describe("an OwnerBlock", () => {
  const aBlock = (spec: unknown, creationTimestamp?: string): OwnerBlock => ({
    metadata: { name: "alice-left", uid: "u", resourceVersion: "1", ...(creationTimestamp && { creationTimestamp }) },
    spec,
  });
  const created = "2026-06-01T12:00:00Z";

  test("with only an owner takes effect at its creation, and erases nothing", () => {
    expect(parseOwnerBlock(aBlock({ owner: "alice" }, created)).desired).toEqual({
      owner: "alice",
      reason: "",
      effectiveAt: new Date(created),
      mustErase: false,
    });
  });

  test("without any time is in effect", () => {
    expect(parseOwnerBlock(aBlock({ owner: "alice" })).desired?.effectiveAt).toEqual(new Date(0));
  });

  test("is read", () => {
    const spec = { owner: "alice", reason: "left", effectiveAt: "2026-07-01T00:00:00+02:00", erase: true };
    expect(parseOwnerBlock(aBlock(spec, created)).desired).toEqual({
      owner: "alice",
      reason: "left",
      effectiveAt: new Date("2026-06-30T22:00:00Z"),
      mustErase: true,
    });
  });

  test.each([
    [{}, "spec.owner"],
    [{ owner: "" }, "spec.owner"],
    [{ owner: "carol\n" }, "spec.owner: must consist of visible ASCII characters"],
    [{ owner: "alice", effectiveAt: "tomorrow" }, "spec.effectiveAt"],
    [null, "spec."],
  ])("that cannot be read, %j, is a problem of %s", (spec, field) => {
    const { desired, problem } = parseOwnerBlock(aBlock(spec));
    expect(desired).toBeUndefined();
    expect(problem).toContain(field);
  });
});

test.each<[{ reason?: number; erase?: string; effectiveAt?: string }, string]>([
  [{ reason: 7 }, "spec.reason"],
  [{ erase: "yes", effectiveAt: "2026-07-01T00:00:00Z" }, "spec.erase"],
])("an OwnerBlock blocks although the rest of its spec, %j, cannot be read, and erases nobody", (rest, field) => {
  const metadata = { name: "x", uid: "u", resourceVersion: "1", creationTimestamp: "2026-06-01T12:00:00Z" };
  const { desired, problem } = parseOwnerBlock({ metadata, spec: { owner: "alice", ...rest } });
  expect(desired).toEqual({
    owner: "alice",
    reason: "",
    effectiveAt: new Date(rest.effectiveAt ?? metadata.creationTimestamp),
    mustErase: false,
  });
  expect(problem).toContain(field);
});

test.each<[object, object]>([
  [
    { reason: 7, erase: true },
    { reason: "", mustErase: true },
  ],
  [
    { reason: "x".repeat(257), erase: true },
    { reason: "", mustErase: true },
  ],
  [
    { reason: "left", erase: "yes" },
    { reason: "left", mustErase: false },
  ],
])("an unreadable field of an OwnerBlock, %j, hides no other field", (rest, fields) => {
  const metadata = { name: "x", uid: "u", resourceVersion: "1" };
  const { desired, problem } = parseOwnerBlock({ metadata, spec: { owner: "alice", ...rest } });
  expect(desired).toMatchObject({ owner: "alice", ...fields });
  expect(problem).toBeDefined();
});

test("the policy that the chart installs is the one in the examples, which npm start applies", () => {
  const { spec } = parse(readProjectFile("examples/platform/default-policy.yaml")) as PolicyResource;
  const { defaultPolicy } = parse(readProjectFile("charts/apitoken-operator/values.yaml"));
  expect(defaultPolicy).toMatchObject({ enabled: true, name: "default", spec });
});
