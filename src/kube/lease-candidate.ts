/*
 * The reads and writes of one Lease, without the loop around them. Kept apart because the safety of leadership
 * rests on a few lines: when we may count the Lease as ours, and when somebody else's as expired.
 */
import { isCode, undefinedIfMissing } from "./api-error.ts";
import type { KubeTransport, Method } from "./transport.ts";

export interface LeaseOptions {
  readonly transport: KubeTransport;
  readonly namespace: string;
  readonly name: string;
  /** The candidate's name, unique among the replicas. */
  readonly identity: string;
  /**
   * Others take over if the holder has not renewed for this long. Written to the Lease in whole seconds, rounded up.
   */
  readonly leaseDurationMs: number;
  /** The holder gives up if it could not renew for this long. Must be shorter than the duration. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** A replica that wants to hold the Lease. */
export interface Candidate {
  /**
   * Takes or renews the lease if it is ours, free or expired. It is not an error if someone else was faster. Throws the
   * errors of `KubeTransport.request`.
   */
  tryToHold(signal: AbortSignal): Promise<void>;
  /** Whether the lease is certainly ours now. */
  isHeld(): boolean;
  /** Until when the lease is ours if it is not renewed, on the clock of performance.now(). */
  heldUntilMs(): number;
  /** Gives the lease back if it is ours, so that the next leader need not wait. Throws like `tryToHold`. */
  release(): Promise<void>;
}

/** A Lease of Kubernetes, as far as it matters here. One that is yet to be created has no version. */
export interface Lease {
  readonly metadata: { readonly name: string; readonly namespace: string; readonly resourceVersion?: string };
  readonly spec?: LeaseSpec;
}

interface LeaseSpec {
  readonly holderIdentity?: string | null;
  readonly leaseDurationSeconds?: number | null;
  readonly leaseTransitions?: number | null;
  readonly acquireTime?: string | null;
  readonly renewTime?: string | null;
}

/** The last change that we have seen of somebody else's lease. */
interface Sighting {
  readonly version: string | undefined;
  readonly atMs: number;
  readonly durationMs: number;
}

const RELEASE_TRIES = 3;

/** All replicas should have the same lease duration. While it is being changed, the holder may have a longer one. */
const LONGEST_FACTOR = 10;

/**
 * After how long without a change a lease has expired. What its holder wrote counts, but not without limit: anybody
 * with the right to write it could otherwise keep all replicas from leading for decades.
 */
export function durationMsOf({ spec }: Lease, ownMs: number): number {
  const writtenMs = (spec?.leaseDurationSeconds ?? 0) * 1_000 || ownMs;
  return Math.min(writtenMs, ownMs * LONGEST_FACTOR);
}

/** The path of a namespace's Leases. */
export function leasesPath(namespace: string): string {
  return `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
}

/** Holds and renews one Lease; see `runLeaderElection` for the rules. */
export function createCandidate(options: LeaseOptions): Candidate {
  const { transport, namespace, name, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  const collection = leasesPath(namespace);
  // Several tries must fit into the deadline, and none may outlast it (kubernetes/kubernetes#44887).
  const timeoutMs = Math.max(Math.min(renewDeadlineMs / 2, retryPeriodMs * 2), 100);
  let other: Sighting | undefined;
  let heldUntilMs = Number.NEGATIVE_INFINITY;

  const call = (method: Method, path: string, body?: Lease, signal?: AbortSignal): Promise<Lease> =>
    transport.request<Lease>(method, path, { body, timeoutMs, isUrgent: true, ...(signal ? { signal } : {}) });

  const read = async (signal?: AbortSignal): Promise<Lease | undefined> =>
    call("GET", `${collection}/${name}`, undefined, signal).catch(undefinedIfMissing);

  /** Whether somebody else may still hold the lease. That is possible even after it was deleted. */
  const isTaken = (lease: Lease | undefined): boolean => {
    if (lease !== undefined && !isOthers(lease)) other = undefined;
    else if (lease !== undefined && other?.version !== lease.metadata.resourceVersion) {
      const durationMs = durationMsOf(lease, leaseDurationMs);
      other = { version: lease.metadata.resourceVersion, atMs: performance.now(), durationMs };
    }
    return other !== undefined && performance.now() < other.atMs + other.durationMs;
  };
  const isOthers = ({ spec }: Lease): boolean => Boolean(spec?.holderIdentity) && spec?.holderIdentity !== identity;

  const buildLease = (before: Lease | undefined): Lease => {
    const now = formatMicroTime(new Date());
    const isOurs = before?.spec?.holderIdentity === identity;
    return {
      ...before,
      metadata: before?.metadata ?? { namespace, name },
      spec: {
        ...before?.spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(leaseDurationMs / 1_000),
        acquireTime: isOurs ? (before?.spec?.acquireTime ?? now) : now,
        renewTime: now,
        leaseTransitions: (before?.spec?.leaseTransitions ?? 0) + (isOurs || before === undefined ? 0 : 1),
      },
    };
  };

  return {
    heldUntilMs: () => heldUntilMs,
    isHeld: () => performance.now() < heldUntilMs,
    async tryToHold(signal) {
      const lease = await read(signal);
      if (isTaken(lease)) {
        heldUntilMs = Number.NEGATIVE_INFINITY;
        return;
      }
      // Counted from before the request, because the server may have stored it at any time since.
      const sentAtMs = performance.now();
      try {
        if (lease === undefined) await call("POST", collection, buildLease(undefined), signal);
        else await call("PUT", `${collection}/${name}`, buildLease(lease), signal);
        heldUntilMs = sentAtMs + renewDeadlineMs;
      } catch (error) {
        if (!isCode(error, 409)) throw error; // someone else has written meanwhile; the next try sees who
      }
    },
    async release() {
      heldUntilMs = Number.NEGATIVE_INFINITY;
      for (let tries = 1; ; tries += 1) {
        const lease = await read();
        if (lease?.spec?.holderIdentity !== identity) return;
        try {
          const spec = { ...lease.spec, holderIdentity: "", leaseDurationSeconds: 1 };
          await call("PUT", `${collection}/${name}`, { ...lease, spec });
          return;
        } catch (error) {
          // One of our own renewals that was aborted may still have arrived.
          if (!isCode(error, 409) || tries === RELEASE_TRIES) throw error;
        }
      }
    },
  };
}

/** Formats a Kubernetes MicroTime: RFC 3339 with six decimals. */
function formatMicroTime(date: Date): string {
  return `${date.toISOString().slice(0, -1)}000Z`;
}
