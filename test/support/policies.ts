/*
 * Policies and blocks are cluster-scoped, but test files share a cluster. Each prefixes names with its namespace and
 * removes what it has created.
 */
import { OWNER_BLOCKS_PATH, type OwnerBlock } from "../../src/kube/resources/owner-block.ts";
import { POLICIES_PATH, type PolicyResource } from "../../src/kube/resources/policy.ts";
import type { BlockCondition } from "../../src/token/block.ts";
import type { TestCluster } from "./cluster.ts";

/** A test's own cluster-scoped resources: their names begin with its namespace, and `clear` deletes them. */
export interface ClusterResources {
  /** Creates or changes an ApiTokenPolicy that selects only the test's namespace; it wins over the shared policy. */
  applyPolicy(name: string, spec: object): Promise<void>;
  deletePolicy(name: string): Promise<void>;
  getPolicy(name: string): Promise<PolicyResource>;
  applyBlock(name: string, spec: object): Promise<void>;
  deleteBlock(name: string): Promise<void>;
  getBlock(name: string): Promise<OwnerBlock>;
  /** A condition of an OwnerBlock, once the controller has written it. */
  getBlockCondition(name: string, type: BlockCondition["type"]): Promise<BlockCondition | undefined>;
  clear(): Promise<void>;
}

export function createClusterResources({ transport, namespace }: TestCluster): ClusterResources {
  const made = new Set<string>();
  const nameOf = (name: string) => `${namespace}-${name}`;
  const apply = async (kind: string, path: string, name: string, spec: object) => {
    made.add(`${path}/${nameOf(name)}`);
    await transport.request("PATCH", `${path}/${nameOf(name)}`, {
      contentType: "application/apply-patch+yaml",
      query: { fieldManager: "test", force: "true" },
      body: { apiVersion: "apitoken.dev/v1alpha1", kind, metadata: { name: nameOf(name) }, spec },
    });
  };
  const remove = async (path: string) => {
    made.delete(path);
    await transport.request("DELETE", path);
  };
  const getBlock = (name: string) => transport.request<OwnerBlock>("GET", `${OWNER_BLOCKS_PATH}/${nameOf(name)}`);
  return {
    applyPolicy: (name, spec) =>
      apply("ApiTokenPolicy", POLICIES_PATH, name, {
        namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
        ...spec,
      }),
    deletePolicy: (name) => remove(`${POLICIES_PATH}/${nameOf(name)}`),
    getPolicy: (name) => transport.request("GET", `${POLICIES_PATH}/${nameOf(name)}`),
    applyBlock: (name, spec) => apply("OwnerBlock", OWNER_BLOCKS_PATH, name, spec),
    deleteBlock: (name) => remove(`${OWNER_BLOCKS_PATH}/${nameOf(name)}`),
    getBlock,
    getBlockCondition: async (name, type) =>
      (await getBlock(name)).status?.conditions?.find((condition) => condition.type === type),
    clear: async () => void (await Promise.all([...made].map(remove))),
  };
}
