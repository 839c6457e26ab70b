/*
 * Whether the operator's programs run: by their Deployments, the Lease and the CronJob, without going near a pod.
 */

import { undefinedIfMissing } from "../../kube/api-error.ts";
import { leasesPath } from "../../kube/lease-candidate.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Client } from "../client/client.ts";
import { type Deployment, findDeployments, findOperatorObjects, USUAL_NAMESPACE } from "../client/operator.ts";
import { formatSpan } from "../client/times.ts";
import { type Finding, findingsOf } from "./finding.ts";

const NOT_SEEN =
  "you may see no Deployments, neither in the cluster nor in apitoken-system, so it is not known whether it runs";

export async function checkController(client: Client, now: Date): Promise<Finding[]> {
  const { warn, fail } = findingsOf("controller");
  const deployments = await findDeployments(client);
  if (deployments === undefined) return [warn(NOT_SEEN)];
  const found = deployments.filter(({ component }) => component === "controller");
  if (found.length === 0) {
    const lease = judgeLease(
      await readLease(client, { namespace: USUAL_NAMESPACE }),
      { namespace: USUAL_NAMESPACE },
      now,
    );
    return lease.level === "ok"
      ? [warn("no Deployment of the operator's chart is in the cluster: it runs in another way"), lease]
      : [fail("no Deployment of the operator's chart is in the cluster", "docs/runbooks/controller-absent.md")];
  }
  const leases = await Promise.all(found.map((deployment) => readLease(client, deployment)));
  return found.flatMap((deployment, index) => [
    judgeDeployment(deployment, "controller", "docs/runbooks/controller-absent.md"),
    judgeLease(leases[index], deployment, now),
  ]);
}

export async function checkVerifier(client: Client): Promise<Finding[]> {
  const { ok, warn } = findingsOf("verifier");
  const deployments = await findDeployments(client);
  if (deployments === undefined) return [warn(NOT_SEEN)];
  const found = deployments.filter(({ component }) => component === "verifier");
  if (found.length === 0) return [ok("not installed: backends verify tokens in another way")];
  return found.map((deployment) => judgeDeployment(deployment, "verifier", "docs/verifier.md"));
}

/** Whether a Deployment has the pods that it wants. */
export function judgeDeployment(deployment: Deployment, category: "controller" | "verifier", see: string): Finding {
  const { ok, warn, fail } = findingsOf(category);
  const { namespace, name, wanted, available, version } = deployment;
  const place = `Deployment ${namespace}/${name}${version === undefined ? "" : ` (${version})`}`;
  if (wanted === 0) return fail(`${place} is scaled to zero`, see);
  if (available === 0) return fail(`${place}: none of ${wanted} pods is available`, see);
  if (available < wanted) return warn(`${place}: ${available} of ${wanted} pods are available`, see);
  return ok(`${place}: ${available} of ${wanted} pods are available`);
}

/** The parts of a Lease that are read. */
export interface LeaseFacts {
  readonly holder: string | undefined;
  readonly renewedAt: string | undefined;
  readonly durationSeconds: number;
}

const LEASE_NAME = "apitoken-controller";

/** The Lease that the controllers of a Deployment compete for; "forbidden" if the user may not read it. */
async function readLease(
  client: Client,
  { namespace }: Pick<Deployment, "namespace">,
): Promise<LeaseFacts | "forbidden" | undefined> {
  interface RawLease {
    readonly spec?: { holderIdentity?: string; renewTime?: string; leaseDurationSeconds?: number };
  }
  const path = `${leasesPath(namespace)}/${LEASE_NAME}`;
  const lease = await client.transport.request<RawLease>("GET", path).catch((error: unknown) => {
    if ((error as { code?: unknown }).code === 403) return "forbidden" as const;
    return undefinedIfMissing(error);
  });
  if (lease === undefined || lease === "forbidden") return lease;
  const { holderIdentity, renewTime, leaseDurationSeconds = 15 } = lease.spec ?? {};
  return {
    holder: holderIdentity ? stripControls(holderIdentity) : undefined,
    renewedAt: renewTime,
    durationSeconds: leaseDurationSeconds,
  };
}

/** Whether a controller leads. The clocks of two machines differ, so only a Lease that is long past has expired. */
export function judgeLease(
  lease: LeaseFacts | "forbidden" | undefined,
  { namespace }: Pick<Deployment, "namespace">,
  now: Date,
): Finding {
  const { ok, warn, fail } = findingsOf("controller");
  const see = "docs/runbooks/no-leader.md";
  const place = `Lease ${namespace}/${LEASE_NAME}`;
  if (lease === "forbidden")
    return warn(`you lack the right to get leases in ${namespace}, so the leader is not known`);
  if (lease === undefined)
    return warn(`there is no ${place}: no controller has ever led, or it uses another Lease`, see);
  if (lease.holder === undefined || lease.renewedAt === undefined) return fail(`no controller leads (${place})`, see);
  const ageMs = now.getTime() - Date.parse(lease.renewedAt);
  if (ageMs <= 2 * lease.durationSeconds * 1_000 + 5_000) return ok(`${lease.holder} leads`);
  return fail(`${lease.holder} has not renewed the ${place} for ${formatSpan(ageMs)}`, see);
}

interface RawCronJob {
  readonly metadata: { readonly name: string; readonly namespace: string };
  readonly spec: { readonly suspend?: boolean; readonly schedule: string };
  readonly status?: { readonly lastScheduleTime?: string; readonly lastSuccessfulTime?: string };
}

/** A nightly job that has not succeeded for two nights has missed one. */
const CLEANUP_LATE_MS = 49 * 3_600_000;

export async function checkCleanup(client: Client, now: Date): Promise<Finding[]> {
  const { warn } = findingsOf("cleanup");
  const jobs = await findOperatorObjects<RawCronJob>(client, "/apis/batch/v1", "cronjobs");
  if (jobs === undefined) return [warn("you may see no CronJobs, so it is not known whether it runs")];
  if (jobs.length === 0)
    return [
      warn("no CronJob of the operator's chart is in the cluster: dead rows are never deleted", "docs/cleanup.md"),
    ];
  return jobs.map((job) => judgeCronJob(job, now));
}

/** Whether the cleanup runs and succeeds. */
export function judgeCronJob({ metadata, spec, status = {} }: RawCronJob, now: Date): Finding {
  const { ok, warn, fail } = findingsOf("cleanup");
  const see = "docs/runbooks/cleanup-not-succeeding.md";
  const place = `CronJob ${metadata.namespace}/${metadata.name}`;
  const { lastScheduleTime, lastSuccessfulTime } = status;
  if (spec.suspend === true) return warn(`${place} is suspended`, see);
  if (lastSuccessfulTime === undefined) {
    if (lastScheduleTime === undefined) return ok(`${place} has not been due yet (${stripControls(spec.schedule)})`);
    return fail(`${place} has never succeeded; its last run began at ${lastScheduleTime}`, see);
  }
  const ageMs = now.getTime() - Date.parse(lastSuccessfulTime);
  if (ageMs > CLEANUP_LATE_MS)
    return fail(`${place} succeeded ${formatSpan(ageMs)} ago, at ${lastSuccessfulTime}`, see);
  return ok(`${place} succeeded ${formatSpan(ageMs)} ago`);
}
