/*
 * Who is an owner is decided in four places: both CRDs, the controller and the database. An OwnerBlock on a name that no
 * ApiToken can have would look as if it had blocked somebody.
 */
import { describe, expect } from "vitest";
import { runAsSuperuser } from "../../../local/postgres-server.ts";
import { OWNER_BLOCKS_PATH, type OwnerBlock, parseOwnerBlock } from "../../../src/kube/resources/owner-block.ts";
import { anApiTokenBody, type TestCluster } from "../../support/cluster.ts";
import { startTestController } from "../../support/controllers.ts";
import { eventually } from "../../support/eventually.ts";
import { ownClusterTest as test } from "../../support/fixtures.ts";

const API_VERSION = "apitoken.dev/v1alpha1";
const CRD = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/ownerblocks.apitoken.dev";

const aBlock = ({ namespace }: TestCluster, name: string, owner: string) => ({
  apiVersion: API_VERSION,
  kind: "OwnerBlock",
  metadata: { name: `${namespace}-${name}` },
  spec: { owner },
});

/** Which of the four let the owner pass. */
async function whoAccepts(cluster: TestCluster, databaseUrl: string, owner: string): Promise<Record<string, boolean>> {
  const isDone = (work: Promise<unknown>) =>
    work.then(
      () => true,
      () => false,
    );
  const dryRun = { dryRun: "All" };
  const apiTokens = `/apis/${API_VERSION}/namespaces/${cluster.namespace}/apitokens`;
  const block = aBlock(cluster, "probe", owner);
  return {
    apiToken: await isDone(
      cluster.transport.request("POST", apiTokens, {
        query: dryRun,
        body: anApiTokenBody(cluster.namespace, "probe", { owner }),
      }),
    ),
    ownerBlock: await isDone(cluster.transport.request("POST", OWNER_BLOCKS_PATH, { query: dryRun, body: block })),
    controller: parseOwnerBlock(block as unknown as OwnerBlock).desired !== undefined,
    database: await isDone(
      runAsSuperuser(
        databaseUrl,
        `insert into apitoken.blocked_owners (cluster_id, uid, name, owner, effective_at)
         values (gen_random_uuid(), gen_random_uuid(), 'probe', $1, now())`,
        [owner],
      ),
    ),
  };
}

const all = (isAccepted: boolean) => ({
  apiToken: isAccepted,
  ownerBlock: isAccepted,
  controller: isAccepted,
  database: isAccepted,
});

describe("all agree that this is", () => {
  test.for(["alice", "team-a@example.com", "system:serviceaccount:shop:front", "!~", "x".repeat(253)])(
    "an owner: %j",
    async (owner, { cluster, databaseUrl }) => {
      expect(await whoAccepts(cluster, databaseUrl, owner)).toEqual(all(true));
    },
  );

  test.for(["", " ", "carol\n", "\ncarol", "a b", "a\u0000b", "\u0000", "müller", "carol\u007f", "x".repeat(254)])(
    "none: %j",
    async (owner, { cluster, databaseUrl }) => {
      expect(await whoAccepts(cluster, databaseUrl, owner)).toEqual(all(false));
    },
  );
});

test("an OwnerBlock with such an owner, stored under an older CRD, says that it blocks nobody", async ({
  cluster,
  databaseUrl,
}) => {
  const { transport, namespace } = cluster;
  // biome-ignore lint/suspicious/noExplicitAny: a CRD as it comes
  const crd = await transport.request<any>("GET", CRD);
  const older = structuredClone(crd);
  delete older.spec.versions[0].schema.openAPIV3Schema.properties.spec.properties.owner["x-kubernetes-validations"];
  await transport.request("PUT", CRD, { body: older });
  await eventually(() => transport.request("POST", OWNER_BLOCKS_PATH, { body: aBlock(cluster, "older", "carol\n") }));
  const { metadata } = await transport.request<{ metadata: { resourceVersion: string } }>("GET", CRD);
  await transport.request("PUT", CRD, {
    body: { ...crd, metadata: { ...crd.metadata, resourceVersion: metadata.resourceVersion } },
  });

  const controller = await startTestController(cluster, databaseUrl);
  try {
    await eventually(async () => {
      const block = await transport.request<OwnerBlock>("GET", `${OWNER_BLOCKS_PATH}/${namespace}-older`);
      expect(block.status?.conditions).toMatchObject([
        {
          type: "Effective",
          status: "False",
          reason: "InvalidSpec",
          message: expect.stringContaining("spec.owner: must consist of visible ASCII characters"),
        },
        { type: "Stalled", status: "True", reason: "InvalidSpec" },
      ]);
    });
  } finally {
    await controller.stop();
  }
});
