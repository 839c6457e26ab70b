import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../runtime/log.ts";
import { KubeApiError } from "./api-error.ts";
import type { KubeTransport } from "./transport.ts";

/** One time of leading, from the acquisition of the Lease to its loss. */
export interface LeaseTerm {
  /** Aborted when the term is over, for whatever reason. */
  readonly signal: AbortSignal;
  /** Whether the lease surely holds now, by the monotonic clock: false at once after the process was stopped too long. */
  isHeld(): boolean;
}

export interface LeaderElectionOptions {
  readonly transport: KubeTransport;
  readonly namespace: string;
  readonly name: string;
  /** Who stands for election: unique among the replicas. */
  readonly identity: string;
  /** Others take over when the holder has not renewed for so long. */
  readonly leaseDurationMs: number;
  /** The holder gives up when it could not renew for so long; shorter than the duration. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
  /** Ends the candidacy; a lease that is held is released. */
  readonly signal: AbortSignal;
  /** Leads. Must end soon after the term's signal; only then the process stands for election again. */
  readonly onTerm: (term: LeaseTerm) => Promise<void>;
  readonly log: Logger;
}

interface Lease {
  readonly metadata: { readonly resourceVersion: string };
  readonly spec?: {
    readonly holderIdentity?: string | null;
    readonly leaseDurationSeconds?: number;
    readonly leaseTransitions?: number;
    readonly acquireTime?: string;
  };
}

/**
 * Leader election on a Lease (coordination.k8s.io/v1) by client-go's rules: a lease has run out when it has not changed
 * for its duration, by the observer's own monotonic clock; times written in it count for nothing. After a lost term the
 * process is a candidate again. A lease is no fence: what a leader writes must carry its epoch as well.
 */
export async function runLeaderElection(options: LeaderElectionOptions): Promise<void> {
  const { signal, retryPeriodMs, log, identity } = options;
  const candidate = createCandidate(options);
  while (!signal.aborted) {
    const isAcquired = await candidate.tryToHold().catch((error: unknown) => {
      log.warn({ err: error }, "lease cannot be read or written");
      return false;
    });
    if (isAcquired) {
      log.info({ identity }, "leading");
      await serveTerm(options, candidate);
      log.info({ identity }, "no longer leading");
    } else {
      await pause(retryPeriodMs * (1 + Math.random() / 5), signal);
    }
  }
}

async function serveTerm(options: LeaderElectionOptions, candidate: Candidate): Promise<void> {
  const over = new AbortController();
  const term: LeaseTerm = { signal: over.signal, isHeld: () => !over.signal.aborted && candidate.isHeld() };
  const work = options.onTerm(term).catch((error: unknown) => {
    options.log.error({ err: error }, "leading failed");
  });
  const ended = work.then(() => over.abort());
  await renewUntilOver(options, candidate, over);
  over.abort();
  await ended;
  if (options.signal.aborted) await candidate.release();
}

/** Renews every retry period, until a stop is asked for, the leader's work has ended, or the deadline has passed. */
async function renewUntilOver(options: LeaderElectionOptions, candidate: Candidate, over: AbortController) {
  const { signal, retryPeriodMs, log } = options;
  const stop = AbortSignal.any([signal, over.signal]);
  // A timer of its own: a renewal that hangs must not keep a term alive.
  const watchdog = setInterval(() => {
    if (!candidate.isHeld()) over.abort();
  }, 50);
  while (!stop.aborted) {
    await pause(retryPeriodMs, stop);
    if (stop.aborted) break;
    const isHeld = await candidate.tryToHold().catch((error: unknown) => {
      log.warn({ err: error }, "lease cannot be renewed");
      return candidate.isHeld();
    });
    if (!isHeld) over.abort();
  }
  clearInterval(watchdog);
}

interface Candidate {
  /** Takes or renews the lease, if it is ours, free or has run out. Says whether it is ours now. */
  tryToHold(): Promise<boolean>;
  isHeld(): boolean;
  release(): Promise<void>;
}

function createCandidate(options: LeaderElectionOptions): Candidate {
  const { transport, namespace, name, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  // Several tries must fit into the deadline, and none may outlive it (kubernetes/kubernetes#44887).
  const timeoutMs = Math.max(Math.min(renewDeadlineMs / 2, retryPeriodMs * 2), 100);
  let observed: { version: string; atMs: number } | undefined;
  let renewedAtMs = Number.NEGATIVE_INFINITY;

  const buildSpec = (before: Lease["spec"]) => {
    const now = `${new Date().toISOString().slice(0, -1)}000Z`;
    const isOurs = before?.holderIdentity === identity;
    return {
      holderIdentity: identity,
      leaseDurationSeconds: Math.max(1, Math.round(leaseDurationMs / 1_000)),
      acquireTime: isOurs ? (before?.acquireTime ?? now) : now,
      renewTime: now,
      leaseTransitions: (before?.leaseTransitions ?? 0) + (isOurs || before === undefined ? 0 : 1),
    };
  };

  const write = async (lease: Lease | undefined): Promise<boolean> => {
    // From before the request: the server may have stored it any time after.
    const sentAtMs = performance.now();
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { namespace, name, ...(lease ? { resourceVersion: lease.metadata.resourceVersion } : {}) },
      spec: buildSpec(lease?.spec),
    };
    try {
      const written = lease
        ? await transport.request<Lease>("PUT", `${collection}/${name}`, { body, timeoutMs })
        : await transport.request<Lease>("POST", collection, { body, timeoutMs });
      observed = { version: written.metadata.resourceVersion, atMs: sentAtMs };
      renewedAtMs = sentAtMs;
      return true;
    } catch (error) {
      if (error instanceof KubeApiError && error.code === 409) return false;
      throw error;
    }
  };

  return {
    isHeld: () => performance.now() < renewedAtMs + renewDeadlineMs,
    async tryToHold() {
      const lease = await readLease(transport, `${collection}/${name}`, timeoutMs);
      if (lease === undefined) return write(undefined);
      const { resourceVersion } = lease.metadata;
      if (observed?.version !== resourceVersion) observed = { version: resourceVersion, atMs: performance.now() };
      const holder = lease.spec?.holderIdentity;
      const isFree = !holder || holder === identity;
      if (!isFree && performance.now() < observed.atMs + leaseDurationMs) {
        renewedAtMs = Number.NEGATIVE_INFINITY;
        return false;
      }
      return write(lease);
    },
    async release() {
      renewedAtMs = Number.NEGATIVE_INFINITY;
      try {
        const lease = await readLease(transport, `${collection}/${name}`, timeoutMs);
        if (lease?.spec?.holderIdentity !== identity) return;
        const body = { ...lease, spec: { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 } };
        await transport.request("PUT", `${collection}/${name}`, { body, timeoutMs });
      } catch (error) {
        options.log.warn({ err: error }, "lease cannot be released; it will run out");
      }
    },
  };
}

async function readLease(transport: KubeTransport, path: string, timeoutMs: number): Promise<Lease | undefined> {
  try {
    return await transport.request<Lease>("GET", path, { timeoutMs });
  } catch (error) {
    if (error instanceof KubeApiError && error.code === 404) return undefined;
    throw error;
  }
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
