import type { KubeTransport } from "../transport.ts";
import type { ObjectMeta } from "./group.ts";

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

/** A Namespace, read live. */
export async function readNamespace(transport: KubeTransport, name: string): Promise<NamespaceView> {
  return reduceNamespace(await transport.request("GET", `${NAMESPACES_PATH}/${name}`));
}

/** The UID of the namespace kube-system. */
export async function findClusterId(transport: KubeTransport): Promise<string> {
  const { metadata } = await transport.request<{ metadata: ObjectMeta }>("GET", `${NAMESPACES_PATH}/kube-system`);
  return metadata.uid;
}
