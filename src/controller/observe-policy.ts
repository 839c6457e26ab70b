import { KubeApiError } from "../kube/api-error.ts";
import type { ObjectMeta } from "../kube/resources/group.ts";
import { POLICIES_PATH, type PolicyResource, parsePolicy, reducePolicy } from "../kube/resources/policy.ts";
import type { KubeTransport } from "../kube/transport.ts";
import type { DesiredToken, PolicyVerdict } from "../token/model.ts";
import { judge, type Policy } from "../token/policy.ts";
import type { ObserveContext } from "./observe.ts";

/** What is kept of a Namespace: its labels, which policies select by. */
export interface NamespaceView {
  readonly metadata: Pick<ObjectMeta, "name" | "uid" | "resourceVersion"> & {
    readonly labels: Readonly<Record<string, string>>;
  };
}

export const NAMESPACES_PATH = "/api/v1/namespaces";

export function reduceNamespace(raw: unknown): NamespaceView {
  const { name, uid, resourceVersion, labels = {} } = (raw as { metadata: ObjectMeta }).metadata;
  return { metadata: { name, uid, resourceVersion, labels } };
}

/** What the policies say of an ApiToken: by the caches, or `live`, read from the API server. */
export async function observePolicy(
  context: ObserveContext,
  namespace: string,
  { owner, scopes }: DesiredToken,
  source: "cache" | "live",
): Promise<PolicyVerdict> {
  const { policies, namespaces } = context.caches;
  const [resources, view] =
    source === "live"
      ? await Promise.all([listPolicies(context.transport), readNamespace(context.transport, namespace)])
      : // Without its labels a policy that excludes the namespace would seem to be for it.
        [[...policies.values()], namespaces.get(namespace) ?? (await readNamespace(context.transport, namespace))];
  const readable = resources.map(readPolicy);
  // One that cannot be read may be the one that applies: then nothing new is issued, and nothing is ended.
  if (readable.includes(undefined)) return { kind: "missing" };
  return judge(readable as Policy[], { namespace, namespaceLabels: view.metadata.labels, owner, scopes });
}

const parsed = new WeakMap<PolicyResource, Policy>();

/** The policy as it is decided with; undefined when it cannot be read. */
export function readPolicy(resource: PolicyResource): Policy | undefined {
  try {
    const policy = parsed.get(resource) ?? parsePolicy(resource);
    parsed.set(resource, policy);
    return policy;
  } catch {
    return undefined;
  }
}

/** Without the CRD there are none: what is to be ended must not wait for it to come back. */
async function listPolicies(transport: KubeTransport): Promise<PolicyResource[]> {
  try {
    const { items } = await transport.request<{ items: unknown[] }>("GET", POLICIES_PATH);
    return items.map(reducePolicy);
  } catch (error) {
    if (error instanceof KubeApiError && error.code === 404) return [];
    throw error;
  }
}

async function readNamespace(transport: KubeTransport, name: string): Promise<NamespaceView> {
  return reduceNamespace(await transport.request("GET", `${NAMESPACES_PATH}/${name}`));
}
