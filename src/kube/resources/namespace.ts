/*
 * Namespaces matter for two reasons only: policies select them by label, and the UID of kube-system identifies the
 * cluster, because Kubernetes has no cluster id of its own.
 */

import type { Fields } from "../json-fields.ts";
import type { KubeTransport } from "../transport.ts";
import { IDENTITY_FIELDS, type ObjectMeta } from "./group.ts";

/** What is cached of a Namespace. */
export interface NamespaceView {
  readonly metadata: Pick<ObjectMeta, "name" | "uid" | "resourceVersion"> & {
    readonly labels: Readonly<Record<string, string>>;
  };
  /** Whether it is being deleted. */
  readonly isTerminating: boolean;
}

export const NAMESPACES_PATH = "/api/v1/namespaces";

/** What is read of a large Namespace. */
export const NAMESPACE_FIELDS: Fields = { metadata: { ...IDENTITY_FIELDS, labels: "whole" } };

export function reduceNamespace(raw: unknown): NamespaceView {
  const { name, uid, resourceVersion, labels = {}, deletionTimestamp } = (raw as { metadata: ObjectMeta }).metadata;
  return { metadata: { name, uid, resourceVersion, labels }, isTerminating: deletionTimestamp !== undefined };
}

/** Reads a Namespace, bypassing the cache. Throws a KubeApiError with code 404 if it does not exist. */
export async function readNamespace(transport: KubeTransport, name: string): Promise<NamespaceView> {
  return reduceNamespace(await transport.request("GET", `${NAMESPACES_PATH}/${name}`));
}

/** The cluster's id: the UID of its namespace kube-system. */
export async function findClusterId(transport: KubeTransport): Promise<string> {
  const { metadata } = await transport.request<{ metadata: ObjectMeta }>("GET", `${NAMESPACES_PATH}/kube-system`);
  return metadata.uid;
}
