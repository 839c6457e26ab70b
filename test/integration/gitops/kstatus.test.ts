import { describe, expect } from "vitest";
import { POLICIES_PATH } from "../../../src/kube/resources/policy.ts";
import { startTestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { askKstatus, hasGitOpsTools } from "../../support/gitops/tools.ts";
import { untilReady, untilReason } from "../../support/resources.ts";

const statusesOf = (resources: readonly object[]) => askKstatus(resources).map(({ status }) => status);

describe.skipIf(!hasGitOpsTools)("kstatus", () => {
  test("waits for what no controller has seen yet, and until it has", async ({ cluster, resources, databaseUrl }) => {
    await resources.applyPolicy("unseen", { maxTokensPerOwner: 10 });
    await resources.applyBlock("unseen", { owner: "mallory" });
    const created = await cluster.apply("unseen", { owner: "alice" });
    const read = async () => [
      (await cluster.get("unseen")) ?? {},
      await resources.getPolicy("unseen"),
      await resources.getBlock("unseen"),
    ];
    const listed = await cluster.transport.request<{ items: { metadata: { name: string } }[] }>("GET", POLICIES_PATH);
    const policy = listed.items.find(({ metadata }) => metadata.name === `${cluster.namespace}-unseen`);
    expect(statusesOf([created, { ...created, ...policy, kind: "ApiTokenPolicy" }])).toEqual(
      Array(2).fill("InProgress"),
    );
    expect(statusesOf(await read())).toEqual(Array(3).fill("InProgress"));
    const controller = await startTestController(cluster, databaseUrl);
    try {
      await eventually(async () => expect(statusesOf(await read())).toEqual(Array(3).fill("Current")));
    } finally {
      await controller.stop();
    }
  });

  test("gives up on what needs somebody, is content once it is repaired, and kubectl waits for the same", async ({
    cluster,
    databaseUrl,
  }) => {
    const controller = await startTestController(cluster, databaseUrl);
    try {
      await cluster.kubectl(["create", "secret", "generic", "taken", "--from-literal=token=foreign"]);
      await cluster.apply("taken", { owner: "alice" });
      await untilReason(cluster, "taken", "SecretConflict");
      const [conflict] = askKstatus([(await cluster.get("taken")) ?? {}]);
      expect(conflict).toMatchObject({ status: "Failed", message: expect.stringContaining('Secret "taken" exists') });
      const wait = (condition: string) =>
        cluster.kubectl(["wait", `--for=condition=${condition}`, "--timeout=30s", "apitoken/taken"]);
      expect(await wait("Stalled")).toMatchObject({ code: 0 });
      await cluster.patch("taken", { secret: { name: "free" } });
      await untilReady(cluster, "taken");
      expect(await wait("Stalled=False")).toMatchObject({ code: 1 });
      expect(statusesOf([(await cluster.get("taken")) ?? {}])).toEqual(["Current"]);
    } finally {
      await controller.stop();
    }
  });
});

test("kubectl lists all our resources together, and a name of a kind still names that kind alone", async ({
  cluster,
  resources,
}) => {
  await resources.applyPolicy("listed", {});
  await resources.applyBlock("listed", { owner: "mallory", effectiveAt: "2099-01-01T00:00:00Z" });
  await cluster.apply("listed", { owner: "alice" });
  const names = (await cluster.kubectl(["get", "apitoken-operator", "-o", "name"])).output.split("\n");
  expect(names).toEqual(
    expect.arrayContaining([
      "apitoken.apitoken.dev/listed",
      `apitokenpolicy.apitoken.dev/${cluster.namespace}-listed`,
      `ownerblock.apitoken.dev/${cluster.namespace}-listed`,
    ]),
  );
  for (const name of ["apitoken", "apitokens", "apitok"]) {
    expect(await cluster.kubectl(["get", name, "listed", "-o", "name"])).toEqual({
      code: 0,
      output: "apitoken.apitoken.dev/listed\n",
    });
  }
});
