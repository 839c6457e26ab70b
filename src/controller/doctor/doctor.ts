import { setTimeout as delay } from "node:timers/promises";
import type { LeaseTerm } from "../../kube/lease.ts";
import { type LeaseView, viewLease } from "../../kube/lease-view.ts";
import { type ErrandOptions, runErrand } from "../leader/errand.ts";
import { createTerm } from "../leader/term.ts";
import { compare } from "./compare.ts";
import { type Finding, isSameFinding } from "./finding.ts";
import { type FailedMend, mendAll } from "./mend.ts";
import { examine, type ReadOptions, type ReadResult } from "./read.ts";
import type { DoctorReport } from "./report.ts";

export type DoctorOptions = ErrandOptions & ReadOptions;

/** A running leader is given so long to do what it is just now at. */
const SETTLE_MS = 1_500;

/**
 * Compares cluster and database, and with `mustFix` mends what can be mended and compares again. Nothing is mended where
 * a controller leads, for two would only get into each other's way: what it has not mended by itself it will, at its next
 * pass. Where none leads, the doctor leads for so long as it takes, and is fenced as any leader is.
 */
export async function diagnose(options: DoctorOptions, mustFix: boolean): Promise<DoctorReport> {
  const { config, transport, signal } = options;
  const lease = await viewLease(transport, config.lease, signal);
  if (mustFix && lease.state !== "held") return runErrand(options, (term) => fix(options, lease, term));

  const first = await look(options, lease);
  if (lease.state !== "held" || first.findings.length === 0) return reportOn(first);
  // What the leader is at just now is no difference.
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

/** What is mended may show, or make, more to mend: the tokens of an owner who is blocked now, say. */
const ROUNDS = 5;

async function fix(options: DoctorOptions, lease: LeaseView, term: LeaseTerm): Promise<DoctorReport> {
  const before = await look(options, lease);
  let seen = before;
  let failed: readonly FailedMend[] = [];
  for (let round = 0; round < ROUNDS && failed.length === 0; round += 1) {
    const { ground } = seen.result;
    if (ground === undefined || !seen.findings.some(({ mend }) => mend !== undefined)) break;
    const { context } = createTerm({ ...options, ...ground, onFatal: () => {} }, term);
    failed = await mendAll(context, options.db, seen.findings);
    seen = await look(options, lease);
  }
  return { ...reportOn(seen), mended: { found: before.findings.length, failed } };
}

function reportOn({ result, findings }: Look): DoctorReport {
  const tokens = result.examination.cross?.tokens ?? [];
  return {
    findings,
    mended: undefined,
    leader: undefined,
    apiTokens: tokens.filter(({ exists }) => exists).length,
  };
}
