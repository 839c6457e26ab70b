import { readFileSync } from "node:fs";
import { describe, expect } from "vitest";
import { parse } from "yaml";
import type { PolicyStatus } from "../../../src/token/policy-status.ts";
import { connectCluster, type TestCluster } from "../../support/cluster.ts";
import { isSettled, readMetric, startTestController, type TestController } from "../../support/controllers.ts";
import { createTestDatabase } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap, type WriteTap } from "../../support/faults.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";
import type { ClusterResources } from "../../support/policies.ts";
import { issueToken } from "../../support/resources.ts";

/* The status of ApiTokenPolicies, on an API server of its own: elsewhere other tests add namespaces and ApiTokens. */

const ALL = { APITOKEN_WATCH_NAMESPACES: "" };
const CRD = "apitokenpolicies.apitoken.dev";

/** The controller counts every ten seconds, and writes a policy no more often: so a number is right after twenty at most. */
const COUNTED = { timeoutMs: 40_000, intervalMs: 200 };

/** For a test that waits for several counts. */
const SEVERAL_COUNTS = { timeout: 180_000 };

const statusOf = async (resources: ClusterResources, name: string): Promise<PolicyStatus> =>
  (await resources.getPolicy(name)).status ?? {};
const policyWrites = ({ writes }: WriteTap) => writes.filter((write) => write.includes("apitokenpolicies"));

/** Deletes the ApiTokens and waits until they are gone: the next test counts what this one leaves. */
async function removeTokens(cluster: TestCluster, names: readonly string[]): Promise<void> {
  for (const name of names) await cluster.delete(name);
  for (const name of names) await eventually(async () => (await cluster.get(name)) === undefined);
}

/** Runs a part of a test with a controller, which is stopped afterwards, and a tap on its writes. */
async function withController(
  cluster: TestCluster,
  databaseUrl: string,
  settings: Readonly<Record<string, string>>,
  run: (tap: WriteTap, controller: TestController) => Promise<void>,
): Promise<void> {
  const tap = createWriteTap();
  const controller = await startTestController(cluster, databaseUrl, { ...tap, settings });
  await run(tap, controller).finally(() => controller.stop());
}

describe("a controller of all namespaces", SEVERAL_COUNTS, () => {
  test("says how many namespaces a policy selects and how many ApiTokens it governs", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await withController(cluster, databaseUrl, ALL, async () => {
      await resources.applyPolicy("counted", { maxTokensPerOwner: 10 });
      await eventually(async () =>
        expect(await statusOf(resources, "counted")).toMatchObject({
          observedGeneration: 1,
          namespaces: 1,
          apiTokens: 0,
          conditions: [
            {
              type: "Accepted",
              status: "True",
              reason: "Accepted",
              message: "Selects 1 namespace, and governs 0 ApiTokens. It allows every owner.",
              observedGeneration: 1,
            },
          ],
        }),
      );
      for (const name of ["one", "two"]) await issueToken(cluster, name);
      await eventually(async () => expect((await statusOf(resources, "counted")).apiTokens).toBe(2), COUNTED);
      const { output } = await cluster.kubectl(["get", "apitokenpolicies"]);
      expect(output).toMatch(/^NAME +ACCEPTED +PRIORITY .* NAMESPACES +APITOKENS +AGE$/m);
      expect(output).toMatch(/-counted +True +0 .* 1 +2 +\d+s$/m);

      // A policy that takes precedence governs them, and a change of the spec is observed.
      const before = (await statusOf(resources, "counted")).conditions?.[0]?.lastTransitionTime;
      await resources.applyPolicy("stronger", { priority: 5, maxTokensPerOwner: 10 });
      await resources.applyPolicy("counted", { maxTokensPerOwner: 11 });
      await eventually(async () => expect((await statusOf(resources, "stronger")).apiTokens).toBe(2), COUNTED);
      await eventually(async () => {
        const { observedGeneration, apiTokens, conditions } = await statusOf(resources, "counted");
        expect({ observedGeneration, apiTokens }).toEqual({ observedGeneration: 2, apiTokens: 0 });
        expect(conditions).toMatchObject([{ lastTransitionTime: before }]);
      }, COUNTED);

      // So are labels of namespaces, and ApiTokens that are gone.
      const labelled = { matchLabels: { tier: "labelled" } };
      await resources.applyPolicy("labelled", { priority: 9, maxTokensPerOwner: 10, namespaceSelector: labelled });
      await eventually(async () =>
        expect(await statusOf(resources, "labelled")).toMatchObject({
          namespaces: 0,
          conditions: [{ status: "True", message: expect.stringMatching(/^Selects no namespace\. Correct /) }],
        }),
      );
      for (const name of ["one", "two"]) await cluster.delete(name);
      await cluster.kubectl(["label", "namespace", cluster.namespace, "tier=labelled"]);
      await eventually(async () => {
        expect(await statusOf(resources, "labelled")).toMatchObject({ namespaces: 1, apiTokens: 0 });
        expect((await statusOf(resources, "stronger")).conditions?.[0]?.message).toBe(
          "Selects 1 namespace (in 1 of them another policy takes precedence), and governs 0 ApiTokens. It allows every owner.",
        );
      }, COUNTED);
      await cluster.kubectl(["label", "namespace", cluster.namespace, "tier-"]);
    });
  });

  test("writes nothing after a restart, and only the leader writes", async ({ cluster, databaseUrl, resources }) => {
    const crowd = ["a", "b", "c"];
    const versionOf = async () => (await resources.getPolicy("steady")).metadata.resourceVersion;
    await resources.applyPolicy("steady", { maxTokensPerOwner: 10 });
    await withController(cluster, databaseUrl, ALL, async () => {
      for (const name of crowd) await issueToken(cluster, name);
      await eventually(async () => expect((await statusOf(resources, "steady")).apiTokens).toBe(3), COUNTED);
      const before = await versionOf();
      await withController(cluster, databaseUrl, ALL, async (standby) => {
        await issueToken(cluster, "d");
        await eventually(async () => expect((await statusOf(resources, "steady")).apiTokens).toBe(4), COUNTED);
        expect(await versionOf()).not.toBe(before);
        expect(standby.writes).toEqual([]);
      });
    });
    const before = await versionOf();
    await resources.applyPolicy("marker", { priority: -2_000 });
    await withController(cluster, databaseUrl, ALL, async (next, controller) => {
      // All policies are counted together, so this one is reported no earlier than the others.
      await eventually(async () => expect((await statusOf(resources, "marker")).observedGeneration).toBe(1));
      await eventually(async () => expect(await isSettled(controller)).toBe(true));
      expect(await versionOf()).toBe(before);
      expect(policyWrites(next)).toHaveLength(1);
      await removeTokens(cluster, [...crowd, "d"]);
    });
  });

  test("writes a policy at most once in ten seconds, however many ApiTokens come", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    const names = Array.from({ length: 30 }, (_, index) => `busy-${index}`);
    await withController(cluster, databaseUrl, ALL, async (tap) => {
      await resources.applyPolicy("busy", { maxTokensPerOwner: 100 });
      await eventually(async () => expect((await statusOf(resources, "busy")).apiTokens).toBe(0), COUNTED);
      const startedAtMs = performance.now();
      for (const name of names) await issueToken(cluster, name);
      await eventually(async () => expect((await statusOf(resources, "busy")).apiTokens).toBe(30), COUNTED);
      expect(policyWrites(tap).length).toBeLessThanOrEqual(2 + (performance.now() - startedAtMs) / 10_000);
      await removeTokens(cluster, names);
    });
  });

  test("restores a status that somebody has changed, and makes no pass over the ApiTokens for it", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    await withController(cluster, databaseUrl, ALL, async (_tap, controller) => {
      await resources.applyPolicy("edited", { maxTokensPerOwner: 10 });
      for (const name of ["e", "f"]) await issueToken(cluster, name);
      await eventually(async () => expect((await statusOf(resources, "edited")).apiTokens).toBe(2), COUNTED);
      const passes = () => readMetric(controller, 'apitoken_reconcile_total{result="converged"}');
      await eventually(async () => expect(await isSettled(controller)).toBe(true));
      const before = await passes();
      const patch = ["--subresource=status", "--type=merge", "-p", '{"status":{"apiTokens":99}}'];
      const { code, output } = await cluster.kubectl(["patch", "apitokpol", `${cluster.namespace}-edited`, ...patch]);
      expect(code, output).toBe(0);
      expect((await statusOf(resources, "edited")).apiTokens).toBe(99);
      await eventually(async () => expect((await statusOf(resources, "edited")).apiTokens).toBe(2), COUNTED);
      expect(await passes()).toBe(before);
      await removeTokens(cluster, ["e", "f"]);
    });
  });

  test("names the field, the fault and the remedy of a policy that cannot be read", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    const crd = readFileSync(new URL("../../../crds/apitokenpolicies.yaml", import.meta.url), "utf8");
    const lax = parse(crd);
    const spec = lax.spec.versions[0].schema.openAPIV3Schema.properties.spec;
    delete spec.properties.maxDuration["x-kubernetes-validations"];
    delete spec["x-kubernetes-validations"];
    const install = async (definition: string) => {
      const { code, output } = await cluster.kubectl(["replace", "-f", "-"], definition);
      expect(code, output).toBe(0);
    };
    await install(JSON.stringify(lax));
    try {
      // The API server takes a moment to enforce another schema.
      await eventually(() => resources.applyPolicy("broken", { maxDuration: "forever" }));
      await install(crd);
      const kind = { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiTokenPolicy" };
      const body = JSON.stringify({ ...kind, metadata: { name: "probe" }, spec: { maxDuration: "forever" } });
      const tryIt = () => cluster.kubectl(["create", "--dry-run=server", "-f", "-"], body);
      await eventually(async () => expect((await tryIt()).output).toContain("must be a Go duration"));
      await resources.applyPolicy("sound", {});
      const problem = {
        reason: "InvalidSpec",
        message: expect.stringMatching(
          /^spec\.maxDuration: .*forever.*\. Correct the spec, and check that the CRD is that of this release\. Until then no policy applies/,
        ),
        observedGeneration: 1,
        lastTransitionTime: expect.any(String),
      };
      await withController(cluster, databaseUrl, ALL, async () => {
        await eventually(async () =>
          expect(await statusOf(resources, "broken")).toEqual({
            observedGeneration: 1,
            conditions: [
              { type: "Accepted", status: "False", ...problem },
              { type: "Stalled", status: "True", ...problem },
            ],
          }),
        );
        const soundMessage = async () => (await statusOf(resources, "sound")).conditions?.[0]?.message;
        const warning = `while ApiTokenPolicy "${cluster.namespace}-broken" cannot be read`;
        await eventually(async () => expect((await soundMessage()) ?? "").toContain(warning));
        await resources.applyPolicy("broken", { maxDuration: "720h" });
        await eventually(async () =>
          expect(await statusOf(resources, "broken")).toMatchObject({
            observedGeneration: 2,
            conditions: [{ status: "True" }],
          }),
        );
        await eventually(async () => expect(await soundMessage()).not.toContain("cannot be read"), COUNTED);
      });
    } finally {
      await cluster.kubectl(["replace", "-f", "-"], crd);
      expect(await cluster.kubectl(["get", "crd", CRD])).toMatchObject({ code: 0 });
    }
  });
});

describe("controllers of some namespaces", SEVERAL_COUNTS, () => {
  test("count those alone, say so, and do not answer to each other's reports", async ({
    cluster,
    databaseUrl,
    resources,
  }) => {
    const other = await connectCluster(cluster.kubeconfigPath, `${cluster.namespace}-b`);
    const elsewhere = await createTestDatabase(); // as operators of their own have
    const values = [cluster.namespace, other.namespace];
    const matchExpressions = [{ key: "kubernetes.io/metadata.name", operator: "In", values }];
    await resources.applyPolicy("shared", { namespaceSelector: { matchLabels: {}, matchExpressions } });
    await resources.applyPolicy("zone", { priority: -1, namespaceSelector: { matchLabels: { zone: "set" } } });
    await cluster.apply("here", { owner: "here" });
    for (const name of ["x", "y"]) await other.apply(name, { owner: `${name}-there` });
    const watch = ({ namespace }: TestCluster) => ({
      APITOKEN_WATCH_NAMESPACES: namespace,
      APITOKEN_LEASE_NAME: `lease-${namespace}`,
    });
    const untilGoverned = (apiTokens: string) => {
      const message = `Selects 1 of the 1 namespace that this controller watches, and governs ${apiTokens}. It allows every owner.`;
      return eventually(
        async () =>
          expect(await statusOf(resources, "shared")).toMatchObject({ namespaces: 1, conditions: [{ message }] }),
        COUNTED,
      );
    };
    const writesTo = (name: string, tap: WriteTap) => policyWrites(tap).filter((write) => write.includes(`-${name}/`));

    await withController(cluster, databaseUrl, watch(cluster), async (here) => {
      await untilGoverned("1 ApiToken");
      await eventually(async () => expect((await statusOf(resources, "zone")).namespaces).toBe(0));
      await withController(cluster, elsewhere, watch(other), async (there) => {
        await untilGoverned("2 ApiTokens");
        // Each writes the other policy at its next count, so by then each has looked at what the other has written.
        const before = [here, there].map((tap) => writesTo("zone", tap).length);
        await cluster.delete("here");
        for (const name of values) await cluster.kubectl(["label", "namespace", name, "zone=set"]);
        await untilGoverned("0 ApiTokens");
        await eventually(
          () =>
            expect([here, there].map((tap) => writesTo("zone", tap).length)).toEqual(before.map((count) => count + 1)),
          COUNTED,
        );
        expect([here, there].map((tap) => writesTo("shared", tap).length)).toEqual([2, 1]);
      });
    });
    await other.close();
  });
});
