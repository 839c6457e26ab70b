/*
 * Every change of a selection of ApiTokens, for `list -w` and for whoever waits for one.
 */
import { isCode, KubeUnreachableError } from "../../kube/api-error.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { type ApiTokenView, readApiToken } from "./api-token.ts";
import type { Client } from "./client.ts";
import { readTokens, type Selection, toFieldSelector } from "./tokens.ts";

export interface TokenChange {
  readonly token: ApiTokenView;
  readonly isDeleted: boolean;
}

/** The parts of a line of a watch that are read. */
interface WatchEvent {
  readonly type: string;
  readonly object: { readonly code?: number; readonly metadata?: { readonly resourceVersion?: string } };
}

/** The API server ends a watch after this long; a bookmark comes every minute, so anything longer is a dead connection. */
const WATCH_SECONDS = 300;
const STALL_MS = 90_000;

/** The changes after this version, until the user stops the command. A watch that ends is continued where it was. */
export async function* watchTokens(
  client: Client,
  selection: Selection,
  resourceVersion: string,
): AsyncGenerator<TokenChange> {
  let from = resourceVersion;
  while (!client.stop.aborted) {
    try {
      for await (const { type, object } of openWatch(client, selection, from)) {
        if (type === "ERROR") {
          from = "";
          break;
        }
        from = object.metadata?.resourceVersion ?? from;
        if (type === "BOOKMARK") continue;
        const token = readApiToken(object);
        if (selection.owner === undefined || token.owner === selection.owner)
          yield { token, isDeleted: type === "DELETED" };
      }
    } catch (error) {
      if (client.stop.aborted) return;
      if (isCode(error, 410)) from = "";
      else if (!(error instanceof KubeUnreachableError)) throw error;
    }
    // The version is too old to continue from: what has changed meanwhile is in the list.
    if (from === "" && !client.stop.aborted) {
      const list = await readTokens(client, selection);
      from = list.resourceVersion;
      for (const token of list.tokens) yield { token, isDeleted: false };
    }
  }
}

/** An owner is filtered here, because a server that cannot select by owner refuses the whole watch. */
function openWatch({ transport, stop }: Client, { owner: _, ...selection }: Selection, resourceVersion: string) {
  const { namespace, labelSelector } = selection;
  const fieldSelector = toFieldSelector(selection);
  const query = {
    resourceVersion,
    allowWatchBookmarks: "true",
    timeoutSeconds: String(WATCH_SECONDS),
    ...(labelSelector === undefined ? {} : { labelSelector }),
    ...(fieldSelector === undefined ? {} : { fieldSelector }),
  };
  return transport.watch<WatchEvent>(apiTokensPath(namespace), query, { signal: stop, stallMs: STALL_MS });
}
