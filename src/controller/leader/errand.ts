/*
 * `doctor --fix` and `uninstall` write what only a leader may write. They therefore take the Lease for their one piece
 * of work instead of writing next to a running controller.
 */
import { type LeaseTerm, runLeaderElection } from "../../kube/lease.ts";
import type { KubeTransport } from "../../kube/transport.ts";
import { Fault } from "../../runtime/fault.ts";
import type { Logger } from "../../runtime/log.ts";
import type { ControllerConfig } from "../config.ts";

/** A controller holds the Lease and keeps renewing it. Nothing was done. */
export class LeaseTakenError extends Fault {
  override readonly name = "LeaseTakenError";
}

export interface ErrandOptions {
  readonly config: ControllerConfig;
  readonly transport: KubeTransport;
  readonly identity: string;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

/**
 * Takes the Lease, does one piece of work as the leader and gives the Lease back. Meanwhile no controller writes, and
 * one that starts waits. If the holder of the Lease is gone, waits until the Lease expires. Throws a LeaseTakenError if
 * a controller leads, and otherwise what the work throws.
 */
export async function runErrand<T>(options: ErrandOptions, work: (term: LeaseTerm) => Promise<T>): Promise<T> {
  const { config, transport, identity, log } = options;
  const done = new AbortController();
  const patienceMs = config.lease.leaseDurationMs + 2 * config.lease.retryPeriodMs;
  const impatience = setTimeout(() => done.abort(), patienceMs);
  let outcome: Promise<T> | undefined;
  await runLeaderElection({
    ...config.lease,
    transport,
    identity,
    signal: AbortSignal.any([options.signal, done.signal]),
    log,
    async onTerm(term) {
      clearTimeout(impatience);
      outcome ??= work(term);
      await outcome.catch(() => {}); // thrown below
      done.abort();
    },
  }).finally(() => clearTimeout(impatience));
  options.signal.throwIfAborted();
  if (outcome !== undefined) return outcome;
  throw new LeaseTakenError({
    faultCode: "APITOKEN_E_LEASE_TAKEN",
    object: `the Lease "${config.lease.namespace}/${config.lease.name}"`,
    problem: "it could not be taken: a controller leads, or the Lease cannot be written",
    remedy: "scale the controller to zero first, or grant the right to write the Lease",
  });
}
