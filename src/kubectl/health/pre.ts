/*
 * `check --pre`: what an installation needs, before it.
 */
import { undefinedIfMissing } from "../../kube/api-error.ts";
import { GROUP } from "../../kube/resources/group.ts";
import type { Client } from "../client/client.ts";
import { type Finding, findingsOf } from "./finding.ts";

/** The oldest Kubernetes that the chart accepts (kubeVersion in Chart.yaml). */
export const OLDEST_KUBERNETES = [1, 31] as const;

/** What whoever installs the chart creates in the whole cluster. */
const NEEDED_RIGHTS = [
  ["apiextensions.k8s.io", "customresourcedefinitions"],
  ["rbac.authorization.k8s.io", "clusterroles"],
  ["rbac.authorization.k8s.io", "clusterrolebindings"],
  ["admissionregistration.k8s.io", "validatingadmissionpolicies"],
] as const;

export async function checkBeforeInstallation(client: Client): Promise<Finding[]> {
  const { transport } = client;
  const [version, group, ...rights] = await Promise.all([
    transport.request<{ major: string; minor: string; gitVersion: string }>("GET", "/version"),
    transport.request<{ versions: { version: string }[] }>("GET", `/apis/${GROUP}`).catch(undefinedIfMissing),
    ...NEEDED_RIGHTS.map(([apiGroup, resource]) => mayCreate(client, apiGroup, resource)),
  ]);
  const { ok, warn } = findingsOf("crds");
  return [
    judgeVersion(version),
    group === undefined
      ? ok("not installed yet")
      : warn("already installed: this would be an upgrade (docs/install.md)", "docs/install.md"),
    ...rights,
  ];
}

/** Whether the chart accepts this Kubernetes. */
export function judgeVersion({
  major,
  minor,
  gitVersion,
}: {
  major: string;
  minor: string;
  gitVersion: string;
}): Finding {
  const { ok, fail } = findingsOf("cluster");
  const [majorNeeded, minorNeeded] = OLDEST_KUBERNETES;
  const [majorFound, minorFound] = [Number.parseInt(major, 10), Number.parseInt(minor, 10)];
  const isEnough = majorFound > majorNeeded || (majorFound === majorNeeded && minorFound >= minorNeeded);
  return isEnough
    ? ok(`Kubernetes ${gitVersion}`)
    : fail(`Kubernetes ${gitVersion} is older than ${OLDEST_KUBERNETES.join(".")}, which the chart needs`);
}

async function mayCreate({ transport }: Client, group: string, resource: string): Promise<Finding> {
  const { ok, fail } = findingsOf("rights");
  const { status } = await transport.request<{ status: { allowed: boolean } }>(
    "POST",
    "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
    {
      body: {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: { resourceAttributes: { verb: "create", group, resource } },
      },
    },
  );
  const right = `create ${resource}.${group} in the whole cluster`;
  return status.allowed ? ok(`you may ${right}`) : fail(`you lack the right to ${right}`);
}
