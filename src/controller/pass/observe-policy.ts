/*
 * Finds the policy verdict for one ApiToken. It is careful in one direction: whenever the policies, or the labels that
 * select them, are not fully known, the verdict is "missing", which issues nothing new and ends nothing.
 */
import { readNamespace } from "../../kube/resources/namespace.ts";
import { type PolicyResource, readPolicySpec } from "../../kube/resources/policy.ts";
import { listPolicies } from "../../kube/resources/policy-api.ts";
import type { DesiredToken, PolicyVerdict } from "../../token/model.ts";
import { judge, type Policy } from "../../token/policy.ts";
import type { ReadPolicy } from "../../token/policy-status.ts";
import type { Caches } from "./caches.ts";
import type { ReadContext } from "./context.ts";

/** What the policies allow this ApiToken: from the caches or, with "server", from the API server. */
export async function observePolicy(
  context: ReadContext,
  namespace: string,
  { owner, scopes }: Pick<DesiredToken, "owner" | "scopes">,
  source: "cache" | "server",
): Promise<PolicyVerdict> {
  const { policies, namespaces } = context.caches;
  const [resources, view] =
    source === "server"
      ? await Promise.all([listPolicies(context.transport), readNamespace(context.transport, namespace)])
      : // Without its labels, a namespace would seem to be selected by a policy that excludes it.
        [[...policies.values()], namespaces.get(namespace) ?? (await readNamespace(context.transport, namespace))];
  const readable = resources.map((resource) => readPolicy(resource).policy);
  // A policy that cannot be parsed might be the one that applies.
  if (readable.includes(undefined)) return { kind: "missing" };
  return judge(readable as Policy[], { namespace, namespaceLabels: view.metadata.labels, owner, scopes });
}

/** The same at a glance, without a call: undefined if it is not fully known what the policies are and whom they select. */
export function judgeFromCache(
  { policies, namespaces }: Caches,
  namespace: string,
  { owner, scopes }: Pick<DesiredToken, "owner" | "scopes">,
): PolicyVerdict | undefined {
  const namespaceLabels = namespaces.get(namespace)?.metadata.labels;
  const readable = [...policies.values()].map((resource) => readPolicy(resource).policy);
  if (namespaceLabels === undefined || readable.includes(undefined)) return undefined;
  return judge(readable as Policy[], { namespace, namespaceLabels, owner, scopes });
}

const known = new WeakMap<PolicyResource, ReadPolicy>();

/** The policy, or why its spec cannot be read. Read once per version of the resource. */
export function readPolicy(resource: PolicyResource): ReadPolicy {
  const read = known.get(resource) ?? readPolicySpec(resource);
  known.set(resource, read);
  return read;
}
