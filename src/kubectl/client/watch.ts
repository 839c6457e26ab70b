/*
 * Every change of a selection of ApiTokens, for `list -w` and for whoever waits for one.
 */
import { isCode, KubeApiError, KubeUnreachableError } from "../../kube/api-error.ts";
import { apiTokensPath } from "../../kube/resources/api-token-api.ts";
import { pause } from "../../runtime/signals.ts";
import { type ApiTokenView, readApiToken } from "./api-token.ts";
import type { Client } from "./client.ts";
import { readTokens, type Selection, type TokenList, toFieldSelector } from "./tokens.ts";

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

/** A watch that ends sooner is opened again only after this time. */
const RETRY_MS = 1_000;

/**
 * The changes after this list, until the user stops the command. A watch that ends is continued where it was, and what has changed
 * while there was none is reported, too. `onLost` is called when the API server can no longer be asked, once for each outage.
 */
export async function* watchTokens(
  client: Client,
  selection: Selection,
  list: TokenList,
  onLost: (error: Error) => void = () => {},
): AsyncGenerator<TokenChange> {
  const known = new Map(list.tokens.map((token) => [token.uid, token]));
  const remember = (change: TokenChange): TokenChange => {
    if (change.isDeleted) known.delete(change.token.uid);
    else known.set(change.token.uid, change.token);
    return change;
  };
  let from: string | undefined = list.resourceVersion;
  let isLost = false;
  while (!client.stop.aborted) {
    const beganMs = performance.now();
    try {
      if (from === undefined) {
        const { tokens, resourceVersion } = await readTokens(client, selection);
        for (const change of findChanges([...known.values()], tokens)) yield remember(change);
        from = resourceVersion;
      }
      for await (const { type, object } of openWatch(client, selection, from)) {
        isLost = false;
        if (type === "ERROR") {
          from = undefined;
          break;
        }
        from = object.metadata?.resourceVersion ?? from;
        if (type === "BOOKMARK") continue;
        const token = readApiToken(object);
        if (selection.owner === undefined || token.owner === selection.owner)
          yield remember({ token, isDeleted: type === "DELETED" });
      }
    } catch (error) {
      if (client.stop.aborted) return;
      // The version is too old to continue from.
      if (isCode(error, 410)) from = undefined;
      else if (!isPassing(error)) throw error;
      else if (!isLost) {
        isLost = true;
        onLost(error);
      }
    }
    await pause(Math.max(0, beganMs + RETRY_MS - performance.now()), client.stop);
  }
}

/** What has become of ApiTokens between two lists. */
export function findChanges(before: readonly ApiTokenView[], after: readonly ApiTokenView[]): TokenChange[] {
  const versions = new Map(before.map(({ uid, version }) => [uid, version]));
  const left = new Set(after.map(({ uid }) => uid));
  return [
    ...before.filter(({ uid }) => !left.has(uid)).map((token) => ({ token, isDeleted: true })),
    ...after.filter(({ uid, version }) => versions.get(uid) !== version).map((token) => ({ token, isDeleted: false })),
  ];
}

/** Whether the same call may succeed a moment later. */
function isPassing(error: unknown): error is KubeApiError | KubeUnreachableError {
  return (
    error instanceof KubeUnreachableError ||
    (error instanceof KubeApiError && (error.code === 429 || error.code >= 500))
  );
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
