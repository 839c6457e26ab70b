/*
 * The doctor must know whether a controller leads without becoming a candidate. It cannot trust the times in the Lease,
 * because the clocks of holder and observer may differ, so it watches whether the Lease changes.
 */
import { setTimeout as delay } from "node:timers/promises";
import { undefinedIfMissing } from "./api-error.ts";
import { durationMsOf, type Lease, type LeaseOptions, leasesPath } from "./lease-candidate.ts";
import type { KubeTransport } from "./transport.ts";

/** Who leads, as far as an observer can tell. */
export type LeaseView =
  | { readonly state: "absent" }
  /** Given back, and not taken since. */
  | { readonly state: "free" }
  | { readonly state: "held"; readonly holder: string }
  /** Its holder has not renewed it for its whole duration. */
  | { readonly state: "expired"; readonly holder: string; readonly renewedAt: Date | undefined };

const POLL_MS = 250;

/**
 * Looks at a Lease. If it seems to have expired by the time in it, watches it for its whole duration: only a Lease that
 * does not change has really expired. Throws the errors of `KubeTransport.request`, or the signal's reason.
 */
export async function viewLease(
  transport: KubeTransport,
  { namespace, name, leaseDurationMs }: Pick<LeaseOptions, "namespace" | "name" | "leaseDurationMs">,
  signal: AbortSignal,
): Promise<LeaseView> {
  const first = await read(transport, namespace, name);
  const view = describe(first, leaseDurationMs);
  if (first === undefined || view.state !== "expired") return view;
  const endsAtMs = performance.now() + durationMsOf(first, leaseDurationMs);
  while (performance.now() < endsAtMs) {
    await delay(POLL_MS, undefined, { signal });
    const next = await read(transport, namespace, name);
    if (next?.metadata.resourceVersion === first.metadata.resourceVersion) continue;
    return next?.spec?.holderIdentity
      ? { state: "held", holder: next.spec.holderIdentity }
      : describe(next, leaseDurationMs);
  }
  return view;
}

function describe(lease: Lease | undefined, ownMs: number): LeaseView {
  if (lease === undefined) return { state: "absent" };
  const { holderIdentity, renewTime } = lease.spec ?? {};
  if (!holderIdentity) return { state: "free" };
  const renewedAt = renewTime ? new Date(renewTime) : undefined;
  const isFresh = renewedAt !== undefined && Date.now() < renewedAt.getTime() + durationMsOf(lease, ownMs);
  return isFresh ? { state: "held", holder: holderIdentity } : { state: "expired", holder: holderIdentity, renewedAt };
}

async function read(transport: KubeTransport, namespace: string, name: string): Promise<Lease | undefined> {
  return transport.request<Lease>("GET", `${leasesPath(namespace)}/${name}`).catch(undefinedIfMissing);
}
