/*
 * Where the operator runs, found by the labels of its chart: nobody should have to know the release's name to ask how it is.
 */
import { isCode } from "../../kube/api-error.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Client } from "./client.ts";

/** Every object of the chart has this label. */
export const OPERATOR_SELECTOR = "app.kubernetes.io/part-of=apitoken-operator";

/** Where the documents install the operator: looked at if the user may not search the whole cluster. */
export const USUAL_NAMESPACE = "apitoken-system";

/** A workload of the operator. */
export interface Workload {
  readonly namespace: string;
  readonly name: string;
  /** controller, verifier or cleanup. */
  readonly component: string;
  readonly version: string | undefined;
}

/** A Deployment of the operator. */
export interface Deployment extends Workload {
  readonly wanted: number;
  readonly available: number;
}

/** What is read of a workload's object. */
interface RawWorkload {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly labels?: Record<string, string> };
}

interface RawDeployment extends RawWorkload {
  readonly spec: { readonly replicas?: number };
  readonly status?: { readonly availableReplicas?: number };
}

/** The operator's objects of a kind, such as "/apis/apps/v1" and "deployments". Undefined if the user may not list them. */
export async function findOperatorObjects<T>(
  { transport }: Client,
  group: string,
  plural: string,
): Promise<readonly T[] | undefined> {
  const query = { labelSelector: OPERATOR_SELECTOR, limit: "100" };
  for (const place of ["", `/namespaces/${USUAL_NAMESPACE}`]) {
    try {
      return (
        (await transport.request<{ items: T[] | null }>("GET", `${group}${place}/${plural}`, { query })).items ?? []
      );
    } catch (error) {
      if (!isCode(error, 403)) throw error;
    }
  }
  return undefined;
}

/** The operator's Deployments; undefined if the user may not see them. */
export async function findDeployments(client: Client): Promise<readonly Deployment[] | undefined> {
  const found = await findOperatorObjects<RawDeployment>(client, "/apis/apps/v1", "deployments");
  return found?.map((raw) => ({
    ...describeWorkload(raw),
    wanted: raw.spec.replicas ?? 1,
    available: raw.status?.availableReplicas ?? 0,
  }));
}

/** Which workload an object is, by its labels. */
export function describeWorkload({ metadata: { namespace, name, labels = {} } }: RawWorkload): Workload {
  const version = labels["app.kubernetes.io/version"];
  return {
    namespace,
    name,
    component: labels["app.kubernetes.io/component"] ?? "",
    version: version === undefined ? undefined : stripControls(version),
  };
}
