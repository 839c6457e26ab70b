/*
 * Reads and writes of ApiTokenPolicies. The controller writes nothing but the status, and only on the version that it
 * observed.
 */
import type { PolicyStatus } from "../../token/policy-status.ts";
import { undefinedIfMissing } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import { API_VERSION } from "./group.ts";
import { POLICIES_PATH, type PolicyResource, reducePolicy } from "./policy.ts";

/** Reads all policies. Without the CRD there are none, so that revocations need not wait for the CRD to return. */
export async function listPolicies(transport: KubeTransport): Promise<PolicyResource[]> {
  const list = await transport.request<{ items: unknown[] }>("GET", POLICIES_PATH).catch(undefinedIfMissing);
  return list?.items.map(reducePolicy) ?? [];
}

/** Writes the status. Returns the resource as it is now; throws a KubeApiError with code 409 if it has changed. */
export async function writePolicyStatus(
  transport: KubeTransport,
  { metadata: { name, uid, resourceVersion }, spec }: PolicyResource,
  status: PolicyStatus,
): Promise<PolicyResource> {
  const result = await transport.request("PUT", `${POLICIES_PATH}/${name}/status`, {
    body: { apiVersion: API_VERSION, kind: "ApiTokenPolicy", metadata: { name, uid, resourceVersion }, spec, status },
  });
  return reducePolicy(result);
}
