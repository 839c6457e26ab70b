import { setTimeout as delay } from "node:timers/promises";
import type { Logger } from "../runtime/log.ts";
import { type Candidate, createCandidate, type LeaseOptions } from "./lease-candidate.ts";

/** One time of leading, from the acquisition of the Lease to its loss. */
export interface LeaseTerm {
  /** Aborted when the term is over, for whatever reason. */
  readonly signal: AbortSignal;
  /** Whether the lease surely holds now, by the monotonic clock: false at once after the process was stopped too long. */
  isHeld(): boolean;
}

export interface LeaderElectionOptions extends LeaseOptions {
  /** Ends the candidacy; a lease that is held is released. */
  readonly signal: AbortSignal;
  /** Leads. Must end soon after the term's signal; only then the process stands for election again. */
  readonly onTerm: (term: LeaseTerm) => Promise<void>;
  readonly log: Logger;
}

/**
 * Leader election on a Lease (coordination.k8s.io/v1) by client-go's rules: a lease has run out when it has not changed
 * for its duration, by the observer's own monotonic clock; times written in it count for nothing. After a lost term the
 * process is a candidate again. A lease is no fence: what a leader writes must carry its epoch as well.
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

/** Tries, and logs the first of several failures in a row. Resolves with whether the lease is ours. */
function reportOnce({ log }: LeaderElectionOptions, candidate: Candidate): TryToHold {
  let isFailing = false;
  return async (signal) => {
    try {
      await candidate.tryToHold(signal);
      if (isFailing) log.info("lease can be read and written again");
      isFailing = false;
    } catch (error) {
      if (!isFailing && !signal.aborted) log.warn({ err: error }, "lease cannot be read or written; trying again");
      isFailing ||= !signal.aborted;
    }
    return candidate.isHeld();
  };
}

async function serveTerm(options: LeaderElectionOptions, candidate: Candidate, tryToHold: TryToHold): Promise<void> {
  const { log, onTerm } = options;
  const over = new AbortController();
  const term: LeaseTerm = { signal: over.signal, isHeld: () => !over.signal.aborted && candidate.isHeld() };
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
  // Lost or given up: whoever stands next must not wait for a lease of ours to run out.
  await candidate.release().catch((error: unknown) => log.warn({ err: error }, "lease cannot be released"));
}

/** Renews every retry period, until a stop is asked for, the leader's work has ended, or the deadline has passed. */
async function renewUntilOver(
  { signal, retryPeriodMs }: LeaderElectionOptions,
  candidate: Candidate,
  tryToHold: TryToHold,
  over: AbortController,
): Promise<void> {
  const stop = AbortSignal.any([signal, over.signal]);
  // A timer of its own: a renewal that hangs must not keep a term alive.
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

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal }).catch(() => {});
}
