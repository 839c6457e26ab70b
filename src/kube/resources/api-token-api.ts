/*
 * Every write to an ApiToken. Each carries the uid and the version that was observed, so that a decision about an older
 * state is rejected as a conflict instead of overwriting what a user has changed meanwhile.
 */
import type { ApiTokenStatus } from "../../token/model.ts";
import { undefinedIfMissing } from "../api-error.ts";
import type { KubeTransport } from "../transport.ts";
import { API_TOKEN_FIELDS, type ApiToken, OTHER_FINALIZERS, reduceApiToken } from "./api-token.ts";
import { API_VERSION, FINALIZER } from "./group.ts";

/** The path of the ApiTokens of one namespace, or of all namespaces. */
export function apiTokensPath(namespace?: string): string {
  return `/apis/${API_VERSION}${namespace === undefined ? "" : `/namespaces/${namespace}`}/apitokens`;
}

function pathOf({ metadata }: Pick<ApiToken, "metadata">): string {
  return `${apiTokensPath(metadata.namespace)}/${metadata.name}`;
}

/** Reads an ApiToken consistently, bypassing all caches; undefined if it does not exist. */
export async function getApiToken(
  transport: KubeTransport,
  namespace: string,
  name: string,
): Promise<ApiToken | undefined> {
  return transport
    .request("GET", `${apiTokensPath(namespace)}/${name}`, { fields: API_TOKEN_FIELDS })
    .then(reduceApiToken, undefinedIfMissing);
}

/** Adds our finalizer. Returns the resource as it is now; throws a KubeApiError with code 409 if it has changed. */
export async function addFinalizer(transport: KubeTransport, resource: ApiToken): Promise<ApiToken> {
  return patchFinalizers(transport, resource, (others) => [...others, FINALIZER]);
}

/** Removes our finalizer and no other. Returns and throws like `addFinalizer`. */
export async function removeFinalizer(transport: KubeTransport, resource: ApiToken): Promise<ApiToken> {
  return patchFinalizers(transport, resource, (others) => [...others]);
}

/** `list` makes the new list from the finalizers of others. */
async function patchFinalizers(
  transport: KubeTransport,
  resource: ApiToken,
  list: (others: readonly string[]) => string[],
): Promise<ApiToken> {
  const { uid, resourceVersion, finalizers: seen = [] } = resource.metadata;
  // The version that was seen is a condition of the patch: should the list have changed since, nothing is written.
  const all = seen.includes(OTHER_FINALIZERS) ? await readFinalizers(transport, resource) : seen;
  const finalizers = list(all.filter((finalizer) => finalizer !== FINALIZER));
  const result = await transport.request("PATCH", pathOf(resource), {
    contentType: "application/merge-patch+json",
    fields: API_TOKEN_FIELDS,
    body: { metadata: { uid, resourceVersion, finalizers } },
  });
  return reduceApiToken(result);
}

async function readFinalizers(transport: KubeTransport, resource: ApiToken): Promise<readonly string[]> {
  const { metadata } = await transport.request<ApiToken>("GET", pathOf(resource), { fields: API_TOKEN_FIELDS });
  return metadata.finalizers ?? [];
}

/** Writes the status. Returns the resource as it is now; throws a KubeApiError with code 409 if it has changed. */
export async function writeStatus(
  transport: KubeTransport,
  resource: ApiToken,
  status: ApiTokenStatus,
): Promise<ApiToken> {
  const { namespace, name, uid, resourceVersion } = resource.metadata;
  const result = await transport.request("PUT", `${pathOf(resource)}/status`, {
    fields: API_TOKEN_FIELDS,
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
