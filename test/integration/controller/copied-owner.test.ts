import { expect } from "vitest";
import { secretsPath } from "../../../src/kube/resources/secret-api.ts";
import type { KubeTransport } from "../../../src/kube/transport.ts";
import { connectCluster, readToken, type TestCluster } from "../../support/cluster.ts";
import { isIdle, startTestController } from "../../support/controllers.ts";
import { verifies } from "../../support/database.ts";
import { eventually } from "../../support/eventually.ts";
import { clusterTest as test } from "../../support/fixtures.ts";
import { issueToken } from "../../support/resources.ts";

/* Anyone can read the uid of an ApiToken and write it into Secrets of their own, in any number. */

const COPIES = 200;

test("Secrets elsewhere that carry an ApiToken's uid cost its rotation not one call", async ({
  cluster,
  databaseUrl,
}) => {
  const mallory = await connectCluster();
  const calls: string[] = [];
  const controller = await startTestController(cluster, databaseUrl, {
    settings: { APITOKEN_WATCH_NAMESPACES: `${cluster.namespace},${mallory.namespace}` },
    wrapTransport: (transport) => countCalls(transport, calls),
  });
  const token = await issueToken(cluster, "victim");
  await eventually(() => isIdle(controller));
  const rotate = async (request: string) => {
    calls.length = 0;
    await cluster.annotate("victim", { "apitoken.dev/rotate-requested-at": request });
    await eventually(async () => expect((await cluster.get("victim"))?.status?.lastHandledRotateAt).toBe(request));
    await eventually(() => isIdle(controller));
    return [...calls];
  };

  const before = await rotate("before");
  await copyOwner(cluster, mallory, "victim");
  const after = await rotate("after");
  expect(before.length).toBeGreaterThan(0);
  expect(after).toEqual(before);
  expect(await verifies(cluster, databaseUrl, token)).toBe(false);
  expect(await verifies(cluster, databaseUrl, readToken(await cluster.getSecret("victim")))).toBe(true);
  await controller.stop();
  await mallory.close();
});

/** Writes Secrets that look as if the ApiToken controlled them, except that they are in another namespace. */
async function copyOwner(cluster: TestCluster, mallory: TestCluster, name: string): Promise<void> {
  const uid = (await cluster.get(name))?.metadata.uid;
  const owner = { apiVersion: "apitoken.dev/v1alpha1", kind: "ApiToken", name, uid, controller: true };
  const copies = Array.from({ length: COPIES }, (_, index) =>
    mallory.transport.request("POST", secretsPath(mallory.namespace), {
      body: {
        metadata: {
          name: `copy-${index}`,
          labels: { "apitoken.dev/managed": "true" },
          ownerReferences: [owner],
        },
        type: "Opaque",
        data: { token: "" },
      },
    }),
  );
  await Promise.all(copies);
}

/** Records each call about one object; lists, watches and the Lease are always there. */
function countCalls(transport: KubeTransport, calls: string[]): KubeTransport {
  return {
    ...transport,
    request: (method, path, options) => {
      if (/\/(apitokens|secrets)\/(?!apitoken-keyring)|\/namespaces\/[^/]+$/.test(path))
        calls.push(`${method} ${path}`);
      return transport.request(method, path, options);
    },
  };
}
