/*
 * Waits for what the controller does with an ApiToken, for a limited time.
 */
import { type ApiTokenView, conditionOf } from "./api-token.ts";
import type { Client } from "./client.ts";
import { readTokens } from "./tokens.ts";
import { watchTokens } from "./watch.ts";

/** How a wait has ended. `token` is the ApiToken as it was seen last; undefined if it was never seen. */
export interface Waited {
  readonly outcome: "done" | "late" | "deleted";
  readonly token: ApiTokenView | undefined;
}

/** Waits until the ApiToken is as `isDone` wants it. `onWaiting` is called with the ApiToken each time that it is not yet. */
export async function waitFor(
  client: Client,
  { namespace, name }: { readonly namespace: string; readonly name: string },
  isDone: (token: ApiTokenView) => boolean,
  timeoutMs: number,
  onWaiting: (token: ApiTokenView) => void = () => {},
): Promise<Waited> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const limited = { ...client, stop: AbortSignal.any([client.stop, deadline]) };
  const selection = { namespace, name };
  const list = await readTokens(client, selection);
  let [token] = list.tokens;
  if (token !== undefined && isDone(token)) return { outcome: "done", token };
  if (token !== undefined) onWaiting(token);
  for await (const change of watchTokens(limited, selection, list)) {
    if (change.isDeleted) return { outcome: "deleted", token };
    token = change.token;
    if (isDone(token)) return { outcome: "done", token };
    onWaiting(token);
  }
  client.stop.throwIfAborted();
  return { outcome: "late", token };
}

/**
 * Whether it makes no sense to wait any longer, by the current status: the controller says itself with which reasons only a person
 * can help (src/token/kstatus.ts). While a token works, nothing is Stalled.
 */
export function isStuck(token: ApiTokenView): boolean {
  return token.isObserved && conditionOf(token, "Stalled")?.status === "True";
}
