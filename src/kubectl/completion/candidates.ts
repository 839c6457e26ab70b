/*
 * Live candidates: what the cluster has. A shell waits for them, so they have a short limit and no second try.
 */
import { loadKubeConfig } from "../../kube/kubeconfig.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { readApiToken, reasonOf } from "../client/api-token.ts";
import { type Client, withClient } from "../client/client.ts";
import { GUIDE } from "../guide/guide.ts";
import { CATEGORIES } from "../health/finding.ts";
import type { Candidate, Live, Slot } from "./slot.ts";

const LIMIT_MS = 2_000;

/** More than a shell can show. */
const MOST = "500";

/** The candidates for a place; none if the cluster does not answer in time. */
export async function findCandidates(slot: Slot): Promise<readonly Candidate[]> {
  if (slot.kind === "fixed") return slot.candidates;
  if (slot.kind === "files") return [];
  try {
    return await findLive(slot.what, slot.given);
  } catch {
    return [];
  }
}

function findLive(what: Live, given: Slot["given"]): Promise<readonly Candidate[]> | readonly Candidate[] {
  switch (what) {
    case "reasons":
      return [...new Set(GUIDE.map(({ name }) => name))].map((value) => ({ value }));
    case "categories":
      return CATEGORIES.map((value) => ({ value }));
    case "contexts":
      return loadKubeConfig({ path: given.kubeconfig })
        .getContexts()
        .map(({ name }) => ({ value: name }));
    case "namespaces":
      return ask(given, async ({ transport }) => {
        const accept = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io";
        const list = await transport.request<{ items: { metadata: { name: string } }[] }>("GET", "/api/v1/namespaces", {
          accept,
          query: { limit: MOST },
        });
        return list.items.map(({ metadata }) => ({ value: metadata.name }));
      });
    case "names":
      return ask(given, async (client) =>
        (await readSome(client, client.namespace)).map((token) => ({
          value: token.name,
          help: `${reasonOf(token)}, owner ${token.owner}`,
        })),
      );
    case "owners":
      return ask(given, async (client) => {
        const tokens = await readSome(client, undefined).catch(() => readSome(client, client.namespace));
        return [...new Set(tokens.map(({ owner }) => owner))].sort().map((value) => ({ value }));
      });
  }
}

function ask<T>(given: Slot["given"], work: (client: Client) => Promise<T>): Promise<T> {
  const { namespace, context, kubeconfig, as: user } = given;
  const options = { namespace, context, kubeconfig, as: user, "request-timeout": LIMIT_MS };
  return withClient({ options, stop: AbortSignal.timeout(LIMIT_MS) }, work);
}

async function readSome({ transport }: Client, namespace: string | undefined) {
  const query = { limit: MOST };
  const list = await transport.request<{ items: unknown[] }>("GET", apiTokensPath(namespace), { query });
  return list.items.map(readApiToken);
}
