/*
 * Finds one ApiToken. Logs, audits and leak reports name a token by its id, so an id is taken wherever a name is.
 */
import { isCode, undefinedIfMissing } from "../../kube/api-error.ts";
import { readPages } from "../../kube/list.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { API_VERSION } from "../../kube/resources/group.ts";
import { type ApiTokenView, readApiToken } from "./api-token.ts";
import type { Client } from "./client.ts";
import { definitionsMissing, objectMissing } from "./faults.ts";

/** An id of a token, as in status.tokenId. */
const TOKEN_ID = /^[0-9A-Za-z]{12}$/;

/** What an object of Kubernetes may be called. */
const NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;

/** The ApiToken with this name in the client's namespace, or the one that has, or had just before, the token with this id. */
export async function findApiToken(client: Client, nameOrId: string): Promise<ApiTokenView> {
  const byName = NAME.test(nameOrId) ? await getByName(client, nameOrId) : undefined;
  if (byName !== undefined) return byName;
  const byId = TOKEN_ID.test(nameOrId) ? await findByTokenId(client, nameOrId) : undefined;
  if (byId !== undefined) return byId;
  if (!(await hasDefinitions(client))) throw definitionsMissing(client);
  throw objectMissing(
    TOKEN_ID.test(nameOrId)
      ? `an ApiToken "${client.namespace}/${nameOrId}", or one with the token ${nameOrId}`
      : `the ApiToken "${client.namespace}/${nameOrId}"`,
    'choose the namespace with -n; "kubectl apitoken list -A" lists all',
  );
}

async function getByName({ transport, namespace }: Client, name: string): Promise<ApiTokenView | undefined> {
  const path = `${apiTokensPath(namespace)}/${name}`;
  return transport.request("GET", path).then(readApiToken, undefinedIfMissing);
}

/** In all namespaces, or in the client's if the user may not look further. */
async function findByTokenId(client: Client, id: string): Promise<ApiTokenView | undefined> {
  try {
    return await searchTokenId(client, apiTokensPath(), id);
  } catch (error) {
    if (!isCode(error, 403)) throw error;
    return searchTokenId(client, apiTokensPath(client.namespace), id);
  }
}

async function searchTokenId(client: Client, path: string, id: string): Promise<ApiTokenView | undefined> {
  const fields = ["status.tokenId", "status.previous.tokenId"];
  try {
    const found = await Promise.all(fields.map((field) => searchPages(client, path, id, `${field}=${id}`)));
    return found.find((token) => token !== undefined);
  } catch (error) {
    // The CRD of an older release, or an older API server, knows no such field selector.
    if (!isCode(error, 400)) throw error;
    return searchPages(client, path, id, undefined);
  }
}

async function searchPages({ transport, timeoutMs, stop }: Client, path: string, id: string, fieldSelector?: string) {
  const options = { fields: {}, readItem: readApiToken, fieldSelector, timeoutMs, signal: stop };
  for await (const { items } of readPages(transport, path, options)) {
    const found = items?.find((token) => token.tokenId === id || token.previous?.tokenId === id);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Whether the cluster knows ApiTokens. */
export async function hasDefinitions({ transport }: Client): Promise<boolean> {
  return (await transport.request("GET", `/apis/${API_VERSION}`).catch(undefinedIfMissing)) !== undefined;
}
