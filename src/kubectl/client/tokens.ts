/*
 * Reads many ApiTokens, one after the other as they arrive, so that tens of thousands neither take long nor fill the memory.
 */
import { isCode } from "../../kube/api-error.ts";
import { readPages } from "../../kube/list.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { type ApiTokenView, readApiToken } from "./api-token.ts";
import type { Client } from "./client.ts";

/** Which ApiTokens are read. */
export interface Selection {
  /** Undefined for all namespaces. */
  readonly namespace: string | undefined;
  readonly labelSelector?: string | undefined;
  /** The exact owner. */
  readonly owner?: string | undefined;
  /** The exact name. */
  readonly name?: string | undefined;
  /** Only those that have a previous token. */
  readonly hasPrevious?: boolean;
}

/** The part of a selection that the API server makes by fields. Those of older releases can select by name alone. */
export function toFieldSelector({ owner, name, hasPrevious }: Omit<Selection, "namespace">): string | undefined {
  const parts = [
    ...(name === undefined ? [] : [`metadata.name=${name}`]),
    ...(owner === undefined ? [] : [`spec.owner=${owner}`]),
    ...(hasPrevious ? ["status.previous.tokenId!="] : []),
  ];
  return parts.length === 0 ? undefined : parts.join(",");
}

const RETRIES_OF_EXPIRED = 3;

/**
 * Only the first page is sure to come from the API server's memory. It reads the others from etcd and decodes them again, which takes
 * several times as long, so the first page has what most clusters have.
 */
export const PAGE_SIZE = 10_000;

/** What is read, and the version of the list, from which a watch continues. */
export interface TokenList {
  readonly tokens: readonly ApiTokenView[];
  readonly resourceVersion: string;
}

/** Reads all ApiTokens of a selection as of one moment. Starts over if the list expires between two pages. */
export async function readTokens(client: Client, selection: Selection): Promise<TokenList> {
  for (let retry = 0; ; retry += 1) {
    try {
      return await readOnce(client, selection);
    } catch (error) {
      if (!isCode(error, 410) || retry === RETRIES_OF_EXPIRED) throw error;
    }
  }
}

async function readOnce(client: Client, selection: Selection): Promise<TokenList> {
  const { owner, hasPrevious = false, ...rest } = selection;
  if (owner === undefined && !hasPrevious) return readAll(client, rest);
  try {
    return await readAll(client, selection);
  } catch (error) {
    // The CRD of an older release, or an older API server, knows no such field selector.
    if (!isCode(error, 400)) throw error;
    const all = await readAll(client, rest);
    return { ...all, tokens: all.tokens.filter((token) => isSelected(token, selection)) };
  }
}

/** The same selection where the API server cannot make it. */
function isSelected(token: ApiTokenView, { owner, hasPrevious = false }: Selection): boolean {
  return (owner === undefined || token.owner === owner) && (!hasPrevious || token.previous !== undefined);
}

async function readAll({ transport, timeoutMs, stop }: Client, selection: Selection): Promise<TokenList> {
  const { namespace, labelSelector } = selection;
  const tokens: ApiTokenView[] = [];
  let resourceVersion = "";
  const options = {
    fields: API_TOKEN_VIEW_FIELDS,
    readItem: readApiToken,
    pageSize: PAGE_SIZE,
    labelSelector,
    fieldSelector: toFieldSelector(selection),
    timeoutMs,
    signal: stop,
  };
  for await (const { items, metadata } of readPages(transport, apiTokensPath(namespace), options)) {
    tokens.push(...(items ?? []));
    resourceVersion = metadata.resourceVersion;
  }
  return { tokens, resourceVersion };
}

/** What is read of a large ApiToken. */
const API_TOKEN_VIEW_FIELDS = {
  metadata: {
    name: "whole",
    namespace: "whole",
    uid: "whole",
    resourceVersion: "whole",
    generation: "whole",
    creationTimestamp: "whole",
    deletionTimestamp: "whole",
    annotations: "bounded",
  },
  spec: "bounded",
  status: "bounded",
} as const;
