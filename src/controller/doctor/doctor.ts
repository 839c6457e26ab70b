/*
 * The doctor must not report what a running controller is just about to do, nor write next to one. Hence the order
 * here: first who leads, then one examination or two, and repairs only while the doctor itself holds the Lease.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { LeaseTerm } from "../../kube/lease.ts";
import { type LeaseView, viewLease } from "../../kube/lease-view.ts";
import { type ErrandOptions, runErrand } from "../leader/errand.ts";
import { createTerm } from "../leader/term.ts";
import { compare } from "./compare.ts";
import { type Finding, isSameFinding } from "./finding.ts";
import { type FailedFix, fixAll } from "./fix.ts";
import { examine, type ReadOptions, type ReadResult } from "./read.ts";
import type { DoctorReport } from "./report.ts";

export type DoctorOptions = ErrandOptions & ReadOptions;

/** How long a running leader gets to finish what it is doing. */
const SETTLE_MS = 1_500;

/**
 * Compares cluster and database; with `mustFix` also repairs what can be repaired, and compares again. While a
 * controller leads, nothing is repaired: the two would only get in each other's way, and the leader will fix on its
 * next pass what it has not fixed already. If none leads, the doctor leads for as long as it takes, fenced like any
 * leader. Throws a LeaseTakenError, or the errors of the API server and the database.
 */
export async function diagnose(options: DoctorOptions, mustFix: boolean): Promise<DoctorReport> {
  const { config, transport, signal } = options;
  const lease = await viewLease(transport, config.lease, signal);
  if (mustFix && lease.state !== "held") return runErrand(options, (term) => fixDifferences(options, lease, term));

  const first = await look(options, lease);
  if (lease.state !== "held" || first.findings.length === 0) return reportOn(first);
  // What the leader is currently working on is not a difference.
  await delay(SETTLE_MS, undefined, { signal });
  const second = await look(options, lease);
  const lasting = second.findings.filter((finding) => first.findings.some((before) => isSameFinding(before, finding)));
  return { ...reportOn({ ...second, findings: lasting }), leader: lease.holder };
}

interface Look {
  readonly result: ReadResult;
  readonly findings: readonly Finding[];
}

async function look(options: DoctorOptions, lease: LeaseView): Promise<Look> {
  const result = await examine(options);
  return { result, findings: compare(result.examination, lease) };
}

/** A repair may reveal or cause the need for another: a block that is now in effect ends its owner's tokens, say. */
const ROUNDS = 5;

async function fixDifferences(options: DoctorOptions, lease: LeaseView, term: LeaseTerm): Promise<DoctorReport> {
  const before = await look(options, lease);
  let seen = before;
  let failed: readonly FailedFix[] = [];
  for (let round = 0; round < ROUNDS && failed.length === 0; round += 1) {
    const { ground } = seen.result;
    if (ground === undefined || !seen.findings.some(({ fix }) => fix !== undefined)) break;
    const { context } = createTerm({ ...options, ...ground, onFatal: () => {} }, term);
    failed = await fixAll(context, options.db, seen.findings);
    seen = await look(options, lease);
  }
  return { ...reportOn(seen), fixed: { found: before.findings.length, failed } };
}

function reportOn({ result, findings }: Look): DoctorReport {
  const tokens = result.examination.cross?.tokens ?? [];
  return {
    findings,
    fixed: undefined,
    leader: undefined,
    apiTokens: tokens.filter(({ exists }) => exists).length,
  };
}
