/*
 * Two controllers that write at once would undo each other's rotations. Client-go's leader election decides which one
 * works, here with a watchdog: a term ends on time even if a renewal hangs or the process was stopped.
 */
import type { Logger } from "../runtime/log.ts";
import { pause } from "../runtime/signals.ts";
import { type Candidate, createCandidate, type LeaseOptions } from "./lease-candidate.ts";

/** One period of leading, from the acquisition of the Lease to its loss. */
export interface LeaseTerm {
  /** Aborted when the term is over, for any reason. */
  readonly signal: AbortSignal;
  /**
   * Whether the lease is certainly ours now, by the monotonic clock. Also false if the process was stopped too long.
   */
  isHeld(): boolean;
  /** How much longer it certainly is if it is not renewed; 0 or less if it may have expired. */
  heldForMs(): number;
}

export interface LeaderElectionOptions extends LeaseOptions {
  /** Ends the candidacy, and releases the lease if it is held. */
  readonly signal: AbortSignal;
  /** Does the leader's work. Must end soon after the term's signal; until then the process does not run again. */
  readonly onTerm: (term: LeaseTerm) => Promise<void>;
  readonly log: Logger;
}

/**
 * Leader election on a Lease (coordination.k8s.io/v1) by client-go's rules: a lease has expired if it has not changed
 * for its duration (at most ten times our own), by the observer's own monotonic clock; the times written in it are
 * ignored. After a lost term the process is a candidate again. A lease does not fence writes, so what a leader writes
 * must also carry its epoch. Resolves after the signal; never rejects.
 */
export async function runLeaderElection(options: LeaderElectionOptions): Promise<void> {
  const { signal, retryPeriodMs, log, identity } = options;
  const candidate = createCandidate(options);
  const tryToHold = reportOnce(options, candidate);
  while (!signal.aborted) {
    if (await tryToHold(signal)) {
      log.info({ identity }, "leading");
      await serveTerm(options, candidate, tryToHold);
      log.info({ identity }, "no longer leading");
    }
    await pause(retryPeriodMs * (1 + Math.random() / 5), signal);
  }
}

type TryToHold = (signal: AbortSignal) => Promise<boolean>;

/**
 * Wraps `Candidate.tryToHold`: logs only the first of several failures, and resolves with whether the lease is ours.
 */
function reportOnce({ log }: LeaderElectionOptions, candidate: Candidate): TryToHold {
  let isFailing = false;
  return async (signal) => {
    try {
      await candidate.tryToHold(signal);
      if (isFailing) log.info("lease can be read and written again");
      isFailing = false;
    } catch (error) {
      if (!isFailing && !signal.aborted) log.warn({ err: error }, "lease cannot be read or written; retrying");
      isFailing ||= !signal.aborted;
    }
    return candidate.isHeld();
  };
}

async function serveTerm(options: LeaderElectionOptions, candidate: Candidate, tryToHold: TryToHold): Promise<void> {
  const { log, onTerm } = options;
  const over = new AbortController();
  const term: LeaseTerm = {
    signal: over.signal,
    isHeld: () => !over.signal.aborted && candidate.isHeld(),
    heldForMs: () => (over.signal.aborted ? 0 : candidate.heldUntilMs() - performance.now()),
  };
  const lead = async () => {
    try {
      await onTerm(term);
    } catch (error) {
      log.error({ err: error }, "leading failed");
    } finally {
      over.abort();
    }
  };
  const ended = lead();
  await renewUntilOver(options, candidate, tryToHold, over);
  await ended;
  // Whether the term was lost or ended, the next leader should not have to wait for our lease to expire.
  await candidate.release().catch((error: unknown) => log.warn({ err: error }, "lease cannot be released"));
}

/** Renews every retry period until the stop, the end of the leader's work, or the renew deadline. */
async function renewUntilOver(
  { signal, retryPeriodMs }: LeaderElectionOptions,
  candidate: Candidate,
  tryToHold: TryToHold,
  over: AbortController,
): Promise<void> {
  const stop = AbortSignal.any([signal, over.signal]);
  // A separate timer, because a renewal that hangs must not prolong the term.
  let watchdog: NodeJS.Timeout | undefined;
  const watch = () => {
    const leftMs = candidate.heldUntilMs() - performance.now();
    if (leftMs <= 0) over.abort();
    else watchdog = setTimeout(watch, leftMs);
  };
  watch();
  while (!stop.aborted) {
    await pause(retryPeriodMs, stop);
    if (!stop.aborted && !(await tryToHold(stop))) over.abort();
  }
  clearTimeout(watchdog);
  over.abort();
}
