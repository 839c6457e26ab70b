import { readNamespace } from "../../kube/resources/namespace.ts";
import { listPolicies, type PolicyResource, parsePolicy } from "../../kube/resources/policy.ts";
import type { DesiredToken, PolicyVerdict } from "../../token/model.ts";
import { judge, type Policy } from "../../token/policy.ts";
import type { ReadContext } from "./context.ts";

/** What the policies say of an ApiToken: by the caches, or `live`, read from the API server. */
export async function observePolicy(
  context: ReadContext,
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
