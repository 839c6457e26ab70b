/*
 * Finds the policy verdict for one ApiToken. It is careful in one direction: whenever the policies, or the labels that
 * select them, are not fully known, the verdict is "missing", which issues nothing new and ends nothing.
 */
import { readNamespace } from "../../kube/resources/namespace.ts";
import { type PolicyResource, readPolicySpec } from "../../kube/resources/policy.ts";
import { listPolicies } from "../../kube/resources/policy-api.ts";
import type { DesiredToken, PolicyVerdict } from "../../token/model.ts";
import { judge, type Policy, type PolicySubject } from "../../token/policy.ts";
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
  return judgeAll(resources, { namespace, namespaceLabels: view.metadata.labels, owner, scopes });
}

/** The same at a glance, without a call: undefined if the namespace's labels are not known. */
export function judgeFromCache(
  { policies, namespaces }: Caches,
  namespace: string,
  { owner, scopes }: Pick<DesiredToken, "owner" | "scopes">,
): PolicyVerdict | undefined {
  const namespaceLabels = namespaces.get(namespace)?.metadata.labels;
  if (namespaceLabels === undefined) return undefined;
  return judgeAll([...policies.values()], { namespace, namespaceLabels, owner, scopes });
}

function judgeAll(resources: readonly PolicyResource[], subject: PolicySubject): PolicyVerdict {
  const readable = resources.map((resource) => readPolicy(resource).policy);
  // A policy that cannot be parsed might be the one that applies.
  return readable.includes(undefined) ? { kind: "missing" } : judge(readable as Policy[], subject);
}

const known = new WeakMap<PolicyResource, ReadPolicy>();

/** The policy, or why its spec cannot be read. Read once per version of the resource. */
export function readPolicy(resource: PolicyResource): ReadPolicy {
  const read = known.get(resource) ?? readPolicySpec(resource);
  known.set(resource, read);
  return read;
}
