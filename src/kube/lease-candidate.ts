import { KubeApiError } from "./api-error.ts";
import type { KubeTransport, Method } from "./transport.ts";

export interface LeaseOptions {
  readonly transport: KubeTransport;
  readonly namespace: string;
  readonly name: string;
  /** Who stands for election: unique among the replicas. */
  readonly identity: string;
  /** Others take over when the holder has not renewed for so long; written in whole seconds, rounded up. */
  readonly leaseDurationMs: number;
  /** The holder gives up when it could not renew for so long; shorter than the duration. */
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** One who wants to hold a Lease. */
export interface Candidate {
  /**
   * Takes or renews the lease, if it is ours, free or has run out. Throws what the API server answers, or that it does
   * not; an answer that someone else was quicker is no error.
   */
  tryToHold(signal: AbortSignal): Promise<void>;
  /** Whether the lease is surely ours now. */
  isHeld(): boolean;
  /** Until when it is ours, unless it is renewed: on the clock of performance.now(). */
  heldUntilMs(): number;
  /** Gives the lease back if it is ours, so that the next one need not wait. Throws as `tryToHold` does. */
  release(): Promise<void>;
}

interface Lease {
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

/** Another's lease, and when we have seen it change. */
interface Observed {
  readonly version: string | undefined;
  readonly atMs: number;
  readonly durationMs: number;
}

const RELEASE_TRIES = 3;

/** Holds and renews one Lease; see `runLeaderElection` for the rules. */
export function createCandidate(options: LeaseOptions): Candidate {
  const { transport, namespace, name, identity, leaseDurationMs, renewDeadlineMs, retryPeriodMs } = options;
  const collection = `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases`;
  // Several tries must fit into the deadline, and none may outlive it (kubernetes/kubernetes#44887).
  const timeoutMs = Math.max(Math.min(renewDeadlineMs / 2, retryPeriodMs * 2), 100);
  let other: Observed | undefined;
  let heldUntilMs = Number.NEGATIVE_INFINITY;

  const call = (method: Method, path: string, body?: Lease, signal?: AbortSignal): Promise<Lease> =>
    transport.request<Lease>(method, path, { body, timeoutMs, isUrgent: true, ...(signal ? { signal } : {}) });

  const read = async (signal?: AbortSignal): Promise<Lease | undefined> =>
    call("GET", `${collection}/${name}`, undefined, signal).catch((error: unknown) => {
      if (hasCode(error, 404)) return undefined;
      throw error;
    });

  /** Whether someone else holds the lease, as far as can be known. A lease that someone deleted may still be held. */
  const isTaken = (lease: Lease | undefined): boolean => {
    if (lease !== undefined && !isOthers(lease)) other = undefined;
    else if (lease !== undefined && other?.version !== lease.metadata.resourceVersion) {
      const durationMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1_000 || leaseDurationMs;
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
      // From before the request: the server may have stored it any time after.
      const sentAtMs = performance.now();
      try {
        if (lease === undefined) await call("POST", collection, buildLease(undefined), signal);
        else await call("PUT", `${collection}/${name}`, buildLease(lease), signal);
        heldUntilMs = sentAtMs + renewDeadlineMs;
      } catch (error) {
        if (!hasCode(error, 409)) throw error; // someone has written in between: the next try sees who
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
          // A renewal of ours that was given up may still have arrived.
          if (!hasCode(error, 409) || tries === RELEASE_TRIES) throw error;
        }
      }
    },
  };
}

function hasCode(error: unknown, code: number): boolean {
  return error instanceof KubeApiError && error.code === code;
}

/** A Kubernetes MicroTime: RFC 3339 with six digits. */
function formatMicroTime(date: Date): string {
  return `${date.toISOString().slice(0, -1)}000Z`;
}
