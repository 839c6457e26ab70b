/*
 * The Pushgateway's HTTP API. A failed run must not erase the time of the last success, on which an alert depends.
 */
import { Fault } from "../../runtime/fault.ts";

const JOB = "apitoken_cleanup";
const TIMEOUT_MS = 10_000;

/** A Pushgateway never forgets: a group that got no push for this long belongs to a database that no longer exists. */
const STALE_AFTER_MS = 14 * 86_400_000;

/**
 * Replaces the group's metrics by those of a run. A run that failed has no time of the last success, and must not erase the
 * group's: it uses POST, which keeps metrics whose names are not sent, where PUT would delete them.
 * https://github.com/prometheus/pushgateway#put-method
 */
export async function pushMetrics(gatewayUrl: string, instance: string, text: string): Promise<void> {
  const method = text.includes("apitoken_cleanup_last_success_timestamp_seconds") ? "PUT" : "POST";
  await request(groupUrl(gatewayUrl, instance), {
    method,
    body: text,
    headers: { "content-type": "text/plain; version=0.0.4" },
  });
}

/** Deletes our groups that are stale; returns their instances. */
export async function deleteStaleGroups(gatewayUrl: string, now: Date): Promise<string[]> {
  const answer = await request(new URL(`${basePath(gatewayUrl)}/api/v1/metrics`, gatewayUrl), { method: "GET" });
  const stale = findStaleInstances((await answer.json()) as GatewayMetrics, now);
  for (const instance of stale) await request(groupUrl(gatewayUrl, instance), { method: "DELETE" });
  return stale;
}

/** The part of the answer to `GET /api/v1/metrics` that matters here. */
export interface GatewayMetrics {
  readonly data: readonly {
    readonly labels: Readonly<Record<string, string>>;
    readonly push_time_seconds?: { readonly metrics: readonly { readonly value: string }[] };
  }[];
}

/** The instances of our groups that are stale. Groups with other labels are somebody else's. */
export function findStaleInstances({ data }: GatewayMetrics, now: Date): string[] {
  return data.flatMap(({ labels, push_time_seconds: pushed }) => {
    const pushedAtMs = Number(pushed?.metrics[0]?.value ?? Number.NaN) * 1_000;
    const isOurs = labels.job === JOB && labels.instance !== undefined && Object.keys(labels).length === 2;
    return isOurs && now.getTime() - pushedAtMs > STALE_AFTER_MS ? [labels.instance ?? ""] : [];
  });
}

function groupUrl(gatewayUrl: string, instance: string): URL {
  return new URL(`${basePath(gatewayUrl)}/metrics/job/${JOB}/instance/${encodeURIComponent(instance)}`, gatewayUrl);
}

function basePath(gatewayUrl: string): string {
  return new URL(gatewayUrl).pathname.replace(/\/+$/, "");
}

async function request(url: URL, init: RequestInit): Promise<Response> {
  const fault = { faultCode: "APITOKEN_E_METRICS_NOT_PUSHED" } as const;
  const { username, password, origin, pathname } = url;
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString("base64");
  const headers = { ...init.headers, ...(username === "" ? {} : { authorization: `Basic ${login}` }) };
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(`${origin}${pathname}`, { ...init, headers, signal }).catch((error: Error) => {
    const { cause = error } = error;
    const reason = cause instanceof Error ? ("code" in cause && String(cause.code)) || cause.message : String(cause);
    throw new Fault(
      { ...fault, problem: `the Pushgateway at ${origin} does not answer (${reason})` },
      { cause: error },
    );
  });
  if (!response.ok) {
    const problem = `the Pushgateway answered ${init.method} ${url.pathname} with ${response.status}`;
    throw new Fault({ ...fault, problem });
  }
  return response;
}
