/*
 * The Events on an ApiToken: what happened lately, in the controller's words.
 */
import { isCode } from "../../kube/api-error.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Client } from "../client/client.ts";

/** One Event, or several equal ones. */
export interface EventView {
  readonly at: string;
  readonly type: string;
  readonly reason: string;
  readonly message: string;
  readonly count: number;
}

/** The parts of an Event (core/v1) that are read. */
interface Event {
  readonly type?: string;
  readonly reason?: string;
  readonly message?: string;
  readonly count?: number;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string };
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly metadata: { readonly creationTimestamp: string };
}

/** How many are shown; the API server keeps them for an hour by default. */
const SHOWN = 5;

/** The last Events on an object, the newest first; undefined if the user may not list Events. */
export async function readEvents(
  { transport }: Client,
  { namespace, uid }: { readonly namespace: string; readonly uid: string },
): Promise<readonly EventView[] | undefined> {
  try {
    const query = { fieldSelector: `involvedObject.uid=${uid}`, limit: "200" };
    const path = `/api/v1/namespaces/${namespace}/events`;
    const { items } = await transport.request<{ items: Event[] | null }>("GET", path, { query });
    return (items ?? []).map(toView).sort(compareNewestFirst).slice(0, SHOWN);
  } catch (error) {
    if (isCode(error, 403)) return undefined;
    throw error;
  }
}

/** To the microsecond, which Date does not know: a controller records several within a millisecond. */
function compareNewestFirst(left: EventView, right: EventView): number {
  return Date.parse(right.at) - Date.parse(left.at) || right.at.localeCompare(left.at);
}

function toView({ type, reason, message, count, series, lastTimestamp, eventTime, metadata }: Event): EventView {
  return {
    at: series?.lastObservedTime ?? lastTimestamp ?? eventTime ?? metadata.creationTimestamp,
    type: stripControls(type ?? ""),
    reason: stripControls(reason ?? ""),
    message: stripControls(message ?? ""),
    count: series?.count ?? count ?? 1,
  };
}
