/*
 * Writes the status of ApiTokenPolicies. Its numbers change with every ApiToken and every namespace, so they are counted for
 * all policies at once and only now and then, and a policy is written at most once per interval.
 */
import type { PolicyResource } from "../../kube/resources/policy.ts";
import { writePolicyStatus } from "../../kube/resources/policy-api.ts";
import {
  buildPolicyStatus,
  isNews,
  type Place,
  type PolicyReport,
  type PolicyStatus,
  reportPolicies,
} from "../../token/policy-status.ts";
import type { Caches } from "../pass/caches.ts";
import type { PassContext } from "../pass/context.ts";
import { readPolicy } from "../pass/observe-policy.ts";
import { createQueue, type Pace } from "../queue/queue.ts";

/** How long changes are gathered: GitOps applies all policies at once. */
const GATHER_MS = 250;

/** The shortest time between two counts if a policy itself has changed. */
const RECOUNT_MS = 1_000;

/** The shortest time between two counts otherwise, and between two writes of the same generation of a policy. */
const COUNT_EVERY_MS = 10_000;

/** A status is nothing that anybody waits for. */
const RETRIES: Pace = { firstMs: 250, longestMs: 60_000 };

export interface PolicyReportsOptions {
  readonly context: Pick<PassContext, "transport" | "caches">;
  /** The namespaces that are watched; all if empty. */
  readonly namespaces: readonly string[];
  /** Called with each failed write and the time until the next try. */
  readonly onFailure: (name: string, error: unknown, retryAfterMs: number) => void;
}

export interface PolicyReports {
  /** Has the policies looked at: at the next count, or soon if what one of them says has changed. */
  wake(when?: "soon"): void;
  /** How many statuses wait to be written. */
  readonly depth: number;
  /** How many statuses are being written. */
  readonly busy: number;
  stop(): Promise<void>;
}

/** What this leader has last written of a policy, or found written. */
interface Told {
  readonly version: string;
  readonly status: PolicyStatus;
  readonly atMs: number;
}

/** Keeps the statuses of all policies up to date until it is stopped. */
export function createPolicyReports({ context, namespaces, onFailure }: PolicyReportsOptions): PolicyReports {
  const { transport, caches } = context;
  const isPartial = namespaces.length > 0;
  const told = new Map<string, Told>();
  /** What was counted last, by the version of the policy's spec. */
  let reports = new Map<string, PolicyReport>();
  let countedAtMs = Number.NEGATIVE_INFINITY;
  let timer: { readonly id: NodeJS.Timeout; readonly atMs: number } | undefined;
  let isStopped = false;

  const count = () => {
    timer = undefined;
    countedAtMs = performance.now();
    const resources = [...caches.policies.values()];
    const counted = reportPolicies(resources.map(readPolicy), listPlaces(caches, namespaces), isPartial);
    reports = new Map(
      resources.map((resource) => [versionOf(resource), counted.get(resource.metadata.name) as PolicyReport]),
    );
    for (const name of told.keys()) if (!counted.has(name)) told.delete(name);
    for (const name of counted.keys()) queue.add(name);
  };

  const report = async (name: string) => {
    const resource = caches.policies.get(name);
    const found = resource && reports.get(versionOf(resource));
    if (resource === undefined || found === undefined) return; // a change of the spec has a count of its own
    const { status: stored = {}, metadata } = resource;
    const version = versionOf(resource);
    const last = told.get(name)?.version === version ? told.get(name) : undefined;
    const status = buildPolicyStatus(found, stored, metadata.generation ?? 0, new Date());
    // Another operator in this cluster counts other namespaces: the two must not overwrite each other forever.
    if (!isNews(isPartial && last !== undefined ? last.status : stored, status)) {
      if (last === undefined) told.set(name, { version, status, atMs: Number.NEGATIVE_INFINITY });
      return;
    }
    const waitMs = last === undefined ? 0 : last.atMs + COUNT_EVERY_MS - performance.now();
    if (waitMs > 0) return queue.addAfter(name, waitMs);
    caches.policies.upsert(await writePolicyStatus(transport, resource, status));
    told.set(name, { version, status, atMs: performance.now() });
  };

  const queue = createQueue({ concurrency: 1, handle: report, onFailure, paceOf: () => RETRIES });

  const wake = (when?: "soon") => {
    if (isStopped) return;
    const nextAtMs = countedAtMs + (when === "soon" ? RECOUNT_MS : COUNT_EVERY_MS);
    const atMs = Math.max(nextAtMs, performance.now() + GATHER_MS);
    if (timer !== undefined && timer.atMs <= atMs) return;
    clearTimeout(timer?.id);
    timer = { id: setTimeout(count, atMs - performance.now()), atMs };
  };

  wake();
  return {
    wake,
    get depth() {
      return queue.depth;
    },
    get busy() {
      return queue.busy;
    },
    async stop() {
      isStopped = true;
      clearTimeout(timer?.id);
      await queue.stop();
    },
  };
}

/** Names a version of a policy's spec. */
function versionOf({ metadata: { uid, generation } }: PolicyResource): string {
  return `${uid}/${generation}`;
}

/** The namespaces whose ApiTokens are watched, with the number of those. */
function listPlaces(caches: Caches, namespaces: readonly string[]): Place[] {
  const amounts = new Map<string, number>();
  for (const { metadata } of caches.apiTokens.values()) {
    amounts.set(metadata.namespace, (amounts.get(metadata.namespace) ?? 0) + 1);
  }
  return [...caches.namespaces.values()]
    .filter(({ metadata }) => namespaces.length === 0 || namespaces.includes(metadata.name))
    .map(({ metadata: { name, labels } }) => ({ labels, apiTokens: amounts.get(name) ?? 0 }));
}
