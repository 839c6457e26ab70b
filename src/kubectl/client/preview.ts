/*
 * What the policies would do with an ApiToken, before it exists: the controller's own rules, with the policies that the user may
 * read. A user who may not read them is not stopped, because the controller decides in any case.
 */
import { isCode } from "../../kube/api-error.ts";
import { readNamespace } from "../../kube/resources/namespace.ts";
import { type PolicyResource, readPolicySpec } from "../../kube/resources/policy.ts";
import { listPolicies } from "../../kube/resources/policy-api.ts";
import { resolveLifetime } from "../../token/lifetime.ts";
import type { AppliedPolicy, DesiredToken } from "../../token/model.ts";
import { judge, type Policy } from "../../token/policy.ts";
import { formatTime } from "../../token/status.ts";
import type { Client } from "./client.ts";
import { formatRight } from "./faults.ts";

/** What the policies say of a spec. */
export type Preview =
  /** The user may not read them. */
  | { readonly kind: "unknown"; readonly missingRight: string }
  /** A policy cannot be read, so none applies anywhere. */
  | { readonly kind: "unreadable"; readonly policy: string; readonly problem: string }
  /** No policy selects the namespace. */
  | { readonly kind: "missing" }
  | { readonly kind: "denied"; readonly policy: string; readonly rule: string }
  | {
      readonly kind: "allowed";
      readonly policy: string;
      readonly expiresAt: string;
      readonly durationMs: number;
      /** Whether the token ends earlier than the spec asks for. */
      readonly isClamped: boolean;
      readonly maxDurationMs: number;
      readonly perOwner: AppliedPolicy["owner"];
    };

type Subject = Pick<DesiredToken, "owner" | "scopes" | "lifetime">;

/** What the policies of the cluster say of a spec in a namespace. */
export async function previewPolicies(client: Client, namespace: string, desired: Subject): Promise<Preview> {
  try {
    const [policies, view] = await Promise.all([
      listPolicies(client.transport),
      readNamespace(client.transport, namespace),
    ]);
    return preview(policies, namespace, view.metadata.labels, desired, new Date());
  } catch (error) {
    if (isCode(error, 403) && error.missingRight)
      return { kind: "unknown", missingRight: formatRight(error.missingRight) };
    throw error;
  }
}

/** The same with the policies at hand. */
export function preview(
  resources: readonly PolicyResource[],
  namespace: string,
  namespaceLabels: Readonly<Record<string, string>>,
  { owner, scopes, lifetime }: Subject,
  now: Date,
): Preview {
  const policies: Policy[] = [];
  for (const { name, policy, problem } of resources.map(readPolicySpec)) {
    if (policy === undefined) return { kind: "unreadable", policy: name, problem };
    policies.push(policy);
  }
  const verdict = judge(policies, { namespace, namespaceLabels, owner, scopes });
  if (verdict.kind === "missing") return { kind: "missing" };
  if (verdict.kind === "denied") return { kind: "denied", policy: verdict.name, rule: verdict.rule };
  const { applied } = verdict;
  const { expiresAt, isClamped } = resolveLifetime(lifetime, applied.lifetime, now);
  return {
    kind: "allowed",
    policy: applied.name,
    expiresAt: formatTime(expiresAt),
    durationMs: Math.ceil((expiresAt.getTime() - now.getTime()) / 1_000) * 1_000,
    isClamped,
    maxDurationMs: applied.lifetime.maxMs,
    perOwner: applied.owner,
  };
}
