import { describe, expect } from "vitest";
import { API_VERSION } from "../../../src/kube/resources/group.ts";
import { POLICIES_PATH } from "../../../src/kube/resources/policy.ts";
import type { TestCluster } from "../../support/cluster.ts";
import { isIdle, startTestController } from "../../support/controllers.ts";
import { findEvents, findRows } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import { issueToken, untilReady } from "../../support/resources.ts";

const CRD_PATH = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/apitokenpolicies.apitoken.dev";

/** The CRD as a release without any bounds would have installed it. */
function withoutBounds(node: unknown): unknown {
  if (Array.isArray(node)) return node.map(withoutBounds);
  if (typeof node !== "object" || node === null) return node;
  const bounds = ["x-kubernetes-validations", "minItems", "maxItems", "minLength", "maxLength"];
  const kept = Object.entries(node).filter(([key]) => !bounds.includes(key));
  return Object.fromEntries(kept.map(([key, value]) => [key, withoutBounds(value)]));
}

interface Crd {
  readonly metadata: object;
  readonly spec: object;
}

async function replaceCrd({ transport }: TestCluster, spec: object): Promise<void> {
  const { metadata } = await transport.request<Crd>("GET", CRD_PATH);
  await transport.request("PUT", CRD_PATH, {
    body: { apiVersion: "apiextensions.k8s.io/v1", kind: "CustomResourceDefinition", metadata, spec },
  });
}

const life = { defaultDuration: "1h", maxDuration: "1h", maxTokensPerOwner: 10 };

describe("a policy that was stored before the CRD had bounds", () => {
  test.for<[string, string, object, object]>([
    ["a fraction of a second", "fraction", { period: "1500ms", scopes: ["a"] }, { grace_seconds: 2 }],
    ["less than a second", "little", { period: "1ms", scopes: ["a"] }, { grace_seconds: 1 }],
    ["nothing", "nothing", { period: "0s", scopes: ["a"] }, { grace_seconds: null }],
    [
      "more seconds than an integer holds",
      "huge",
      { period: "2000000h", scopes: ["a"] },
      { grace_seconds: 31_536_000 },
    ],
    ["a scope with NUL", "nul", { period: "1h", scopes: ["a\u0000b", "a"] }, { grace_scopes: ["a"] }],
    ["no scope that a token can have", "no-scope", { period: "1h", scopes: ["\u0000"] }, { grace_seconds: null }],
  ])(
    "with a grace of %s lets tokens be issued, and costs no write afterwards",
    async ([_, name, grace, row], { cluster, databaseUrl, resources }) => {
      const { spec } = await cluster.transport.request<Crd>("GET", CRD_PATH);
      await replaceCrd(cluster, withoutBounds(spec) as object);
      await eventually(() => resources.applyPolicy("stored", { ...life, grace }));
      await replaceCrd(cluster, spec);

      const tap = createWriteTap();
      const controller = await startTestController(cluster, databaseUrl, tap);
      try {
        await issueToken(cluster, name, { owner: "alice", scopes: ["a"] });
        await eventually(() => isIdle(controller));
        expect((await findRows(databaseUrl, name))[0]).toMatchObject(row);
        const writes = tap.writes.length;
        await cluster.annotate(name, { "example.com/look": "again" });
        await eventually(async () => expect((await cluster.get(name))?.metadata.annotations).toBeDefined());
        await issueToken(cluster, `${name}-after`, { owner: "alice", scopes: ["a"] });
        await eventually(() => isIdle(controller));
        expect(tap.writes.slice(writes).filter((write) => write.includes(`/${name}/`))).toEqual([]);
        expect((await findEvents(databaseUrl, name)).map(({ event }) => event)).toEqual(["TokenIssued"]);
      } finally {
        await controller.stop();
      }
    },
  );
});

describe("the API server refuses a policy", () => {
  const grace = { period: "1h", scopes: ["a"] };
  test.for<[string, object, string]>([
    ["a grace of more than a year", { grace: { ...grace, period: "8761h" } }, "from 1s to 8760h"],
    ["a grace of less than a second", { grace: { ...grace, period: "999ms" } }, "from 1s to 8760h"],
    ["a rate limit per less than a second", { rateLimit: { requests: 1, per: "999ms" } }, "from 1s to 24h"],
    ["a rate limit per more than a day", { rateLimit: { requests: 1, per: "25h" } }, "from 1s to 24h"],
    ["a rate limit without a time", { rateLimit: { requests: 1 } }, "per: Required value"],
    ["a rate limit of no requests", { rateLimit: { requests: 0, per: "1m" } }, "greater than or equal to 1"],
    ["a NUL in a scope of the grace", { grace: { ...grace, scopes: ["a\u0000"] } }, "is not a valid scope"],
    ["a NUL in an owner", { owners: ["a\u0000"] }, "visible ASCII"],
    ["a blank in a scope", { scopes: ["a b"] }, "visible ASCII"],
    ["a lifetime of more than a hundred years", { maxDuration: "876001h" }, "from 10s to 876000h"],
    ["a default lifetime of more than that", { defaultDuration: "876001h" }, "from 10s to 876000h"],
    ["such a warning", { warnBefore: "876001h" }, "at most 876000h"],
    ["such a timeout", { inactivityTimeout: "876001h" }, "from 1m to 876000h"],
    [
      "a label's value that no label has",
      { namespaceSelector: { matchLabels: { a: "x".repeat(64) } } },
      "may not be more than 63",
    ],
  ])("with %s", async ([_, spec, message], { cluster }) => {
    const body = { apiVersion: API_VERSION, kind: "ApiTokenPolicy", metadata: { name: "refused" }, spec };
    const error = await cluster.transport.request("POST", POLICIES_PATH, { body }).catch((cause: unknown) => cause);
    expect(String(error)).toContain(message);
  });
});

describe("the API server refuses an ApiToken", () => {
  test.for<[string, object, string]>([
    ["a lifetime of more than a hundred years", { duration: "876001h" }, "from 10s to 876000h"],
    ["such an overlap", { rotation: { overlap: "876001h" } }, "at most 876000h"],
    ["such a lead", { rotation: { renewBefore: "876001h" } }, "from 1s to 876000h"],
    ["such a timeout", { inactivityTimeout: "876001h" }, "from 1m to 876000h"],
    ["a rate limit per more than a day", { rateLimit: { requests: 1, per: "25h" } }, "from 1s to 24h"],
    ["a NUL in a scope", { scopes: ["a\u0000"] }, "is not a valid scope"],
  ])("with %s", async ([_, spec, message], { cluster }) => {
    const error = await cluster.apply("refused", { owner: "alice", ...spec }).catch((cause: unknown) => cause);
    expect(String(error)).toContain(message);
  });
});

test("the longest durations that are accepted work together", async ({ cluster, databaseUrl, resources }) => {
  const longest = "876000h";
  await resources.applyPolicy("longest", {
    ...life,
    maxDuration: longest,
    warnBefore: longest,
    inactivityTimeout: longest,
    grace: { period: "8760h", scopes: ["a"] },
  });
  const controller = await startTestController(cluster, databaseUrl);
  try {
    const rotation = { renewBefore: longest, overlap: longest };
    await cluster.apply("longest", { owner: "alice", scopes: ["a"], duration: longest, rotation });
    await untilReady(cluster, "longest");
    await cluster.annotate("longest", { "apitoken.dev/rotate-requested-at": "1" });
    await eventually(async () => expect((await cluster.get("longest"))?.status?.revision).toBe(2));
    await eventually(() => isIdle(controller));
    expect((await findRows(databaseUrl, "longest")).every((row) => row.is_live)).toBe(true);
  } finally {
    await controller.stop();
  }
});
