/*
 * How the e2e looks at the cluster: only with kubectl, as an administrator would, so that it depends on nothing of the
 * programs that it tests.
 */
import { RELEASE, SYSTEM, TENANT } from "./installation.ts";
import { getJson, kubectl, until } from "./programs.ts";

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
}

export interface ApiTokenView {
  readonly metadata: { readonly name: string };
  readonly status?: { readonly tokenId?: string; readonly conditions?: readonly Condition[] };
}

export interface PodView {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly volumes?: readonly object[]; readonly automountServiceAccountToken?: boolean };
  readonly status: { readonly phase: string; readonly podIP?: string; readonly conditions?: readonly Condition[] };
}

export interface JobView {
  readonly metadata: { readonly name: string; readonly ownerReferences?: readonly { readonly kind: string }[] };
  readonly status: { readonly succeeded?: number; readonly conditions?: readonly Condition[] };
}

const OF_RELEASE = `app.kubernetes.io/instance=${RELEASE}`;

const selector = (component: string) => `${OF_RELEASE},app.kubernetes.io/component=${component}`;

/** The pods of one component of the release. */
export async function listPods(component: string): Promise<PodView[]> {
  return (await getJson<{ items: PodView[] }>("pods", "-n", SYSTEM, "-l", selector(component))).items;
}

/** The cleanup's Jobs that have succeeded. */
export async function listDoneJobs(): Promise<JobView[]> {
  const { items } = await getJson<{ items: JobView[] }>("jobs", "-n", SYSTEM, "-l", selector("cleanup"));
  return items.filter(({ status }) =>
    status.conditions?.some(({ type, status: is }) => type === "Complete" && is === "True"),
  );
}

/** The tenant's ApiTokens. */
export async function listApiTokens(): Promise<ApiTokenView[]> {
  return (await getJson<{ items: ApiTokenView[] }>("apitokens", "-n", TENANT)).items;
}

export const isReady = ({ status }: ApiTokenView): boolean => hasReady(status?.conditions);

export const isPodReady = ({ status }: PodView): boolean => hasReady(status.conditions);

function hasReady(conditions: readonly Condition[] | undefined): boolean {
  return conditions?.some(({ type, status }) => type === "Ready" && status === "True") ?? false;
}

/** Waits until the tenant has at least this many ApiTokens and all of them are Ready. */
export function untilAllReady(count: number, timeoutMs?: number): Promise<ApiTokenView[]> {
  return until(
    `${count} ApiTokens are Ready`,
    async () => {
      const all = await listApiTokens();
      return all.length >= count && all.every(isReady) && all;
    },
    timeoutMs,
  );
}

/** The metrics of a controller's pod. */
export function scrape(pod: string): Promise<string> {
  return kubectl("get", "--raw", `/api/v1/namespaces/${SYSTEM}/pods/${pod}:8080/proxy/metrics`);
}

/** The pod that leads, according to the Lease, whose holder begins with the pod's name. */
export async function findLeader(): Promise<string | undefined> {
  const lease = await getJson<{ spec: { holderIdentity?: string } }>("lease", "apitoken-controller", "-n", SYSTEM);
  const pods = await listPods("controller");
  return pods.find(({ metadata }) => lease.spec.holderIdentity?.startsWith(metadata.name))?.metadata.name;
}

/** Waits until all replicas of all Deployments are up to date and ready. */
export function untilRolledOut(): Promise<string> {
  return kubectl("rollout", "status", "deployment", "-n", SYSTEM, "-l", OF_RELEASE, "--timeout=300s");
}
