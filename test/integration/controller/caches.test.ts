import { expect } from "vitest";
import { apiTokensPath } from "../../../src/kube/resources/api-token-api.ts";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import type { KubeTransport } from "../../../src/kube/transport.ts";
import { connectCluster, readToken } from "../../support/cluster.ts";
import { isIdle, startTestController } from "../../support/controllers.ts";
import { createTestDatabase, findRows, verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { createWriteTap } from "../../support/faults.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { createClusterResources } from "../../support/policies.ts";
import { issueToken, untilReady, untilReason } from "../../support/resources.ts";

const names = ["one", "two", "three"];
const tokens = new Map<string, string>();

test.beforeAll(async ({ cluster, databaseUrl }) => {
  const controller = await startTestController(cluster, databaseUrl);
  for (const name of names) tokens.set(name, await issueToken(cluster, name));
  await eventually(() => isIdle(controller));
  await controller.stop();
});

/** A transport that returns empty lists of a collection, as a broken cache in front of the API server might. */
function emptyLists(transport: KubeTransport, collection: string): KubeTransport {
  return {
    ...transport,
    async request<T>(...call: Parameters<KubeTransport["request"]>) {
      const answer = await transport.request<T>(...call);
      return call[0] === "GET" && call[1] === collection ? { ...answer, items: [] } : answer;
    },
  };
}

test("after a wrongly empty list of Namespaces the namespace's own policy still decides", async () => {
  const strict = await connectCluster();
  const resources = createClusterResources(strict);
  await resources.applyPolicy("strict", { owners: ["nobody"] });
  const strictUrl = await createTestDatabase();
  const controller = await startTestController(strict, strictUrl, {
    wrapTransport: (transport) => emptyLists(transport, "/api/v1/namespaces"),
  });
  // The shared policy would allow it, because it selects all namespaces without a certain label.
  await strict.apply("forbidden", { owner: "alice" });
  await untilReason(strict, "forbidden", "PolicyDenied");
  await eventually(() => isIdle(controller));
  await controller.stop();
  expect(await findRows(strictUrl, "forbidden")).toEqual([]);
  await resources.clear();
  await strict.close();
});

test.for([
  ["ApiTokens", apiTokensPath],
  ["Secrets", secretsPath],
] as const)("a wrongly empty list of %s ends and replaces nothing", async ([_, pathIn], { cluster, databaseUrl }) => {
  const collection = pathIn(cluster.namespace);
  const tap = createWriteTap();
  const controller = await startTestController(cluster, databaseUrl, {
    ...tap,
    wrapTransport: (transport) => tap.wrapTransport(emptyLists(transport, collection)),
  });
  await eventually(() => isIdle(controller));
  // A real change shows that the controller is working and not just waiting.
  const name = `after-${collection.split("/").at(-1)}`;
  await cluster.apply(name, { owner: "alice" });
  await untilReady(cluster, name);
  await eventually(() => isIdle(controller));
  await controller.stop();

  for (const [token, plaintext] of tokens) {
    expect(readToken(await cluster.getSecret(token))).toBe(plaintext);
    expect(await verifies(cluster, databaseUrl, plaintext)).toBe(true);
    expect(await findRows(databaseUrl, token)).toHaveLength(1);
  }
  expect(tap.writes.filter((write) => names.some((token) => write.includes(`/${token}`)))).toEqual([]);
});
