import type { ApiTokenStatus } from "../../token/model.ts";
import { KubeApiError } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import { type ApiToken, reduceApiToken } from "./api-token.ts";
import { API_VERSION, FINALIZER } from "./group.ts";

/** Where ApiTokens are listed: in one namespace, or in all. */
export function apiTokensPath(namespace?: string): string {
  return `/apis/${API_VERSION}${namespace === undefined ? "" : `/namespaces/${namespace}`}/apitokens`;
}

function pathOf({ metadata }: Pick<ApiToken, "metadata">): string {
  return `${apiTokensPath(metadata.namespace)}/${metadata.name}`;
}

/** Reads an ApiToken consistently, past all caches; undefined when there is none. */
export async function getApiToken(
  transport: KubeTransport,
  namespace: string,
  name: string,
): Promise<ApiToken | undefined> {
  try {
    return reduceApiToken(await transport.request("GET", `${apiTokensPath(namespace)}/${name}`));
  } catch (error) {
    if (error instanceof KubeApiError && error.code === 404) return undefined;
    throw error;
  }
}

/** Adds our finalizer, if the resource is still as it was seen. Returns it as it is now. */
export async function addFinalizer(transport: KubeTransport, resource: ApiToken): Promise<ApiToken> {
  return patchFinalizers(transport, resource, [...(resource.metadata.finalizers ?? []), FINALIZER]);
}

/** Removes our finalizer, if the resource is still as it was seen. Others' finalizers stay. */
export async function removeFinalizer(transport: KubeTransport, resource: ApiToken): Promise<ApiToken> {
  const others = (resource.metadata.finalizers ?? []).filter((finalizer) => finalizer !== FINALIZER);
  return patchFinalizers(transport, resource, others);
}

async function patchFinalizers(transport: KubeTransport, resource: ApiToken, finalizers: string[]): Promise<ApiToken> {
  const { uid, resourceVersion } = resource.metadata;
  const result = await transport.request("PATCH", pathOf(resource), {
    contentType: "application/merge-patch+json",
    body: { metadata: { uid, resourceVersion, finalizers } },
  });
  return reduceApiToken(result);
}

/** Writes the status, if the resource is still as it was seen. Returns the resource as it is now. */
export async function writeStatus(
  transport: KubeTransport,
  resource: ApiToken,
  status: ApiTokenStatus,
): Promise<ApiToken> {
  const { namespace, name, uid, resourceVersion } = resource.metadata;
  const result = await transport.request("PUT", `${pathOf(resource)}/status`, {
    body: {
      apiVersion: API_VERSION,
      kind: "ApiToken",
      metadata: { namespace, name, uid, resourceVersion },
      spec: resource.spec,
      status,
    },
  });
  return reduceApiToken(result);
}
