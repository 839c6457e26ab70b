/*
 * What the status of an ApiTokenPolicy says. The numbers of all policies are counted together: which of them governs a
 * namespace depends on the others.
 */
import { count, formatCount } from "./amounts.ts";
import type { Claim, DatedClaim } from "./condition.ts";
import { claimProgress, type MeaningsOf, type ProgressType } from "./kstatus.ts";
import { comparePrecedence, type Policy, prepareSelector } from "./policy.ts";
import { buildConditions } from "./status.ts";

/** Why a condition of an ApiTokenPolicy has each of its statuses; docs/lifecycle.md explains each. */
export const POLICY_REASONS = {
  Accepted: { True: ["Accepted"], False: ["InvalidSpec"] },
} as const;

/** What the reasons of `Accepted` mean to tools that wait for policies. */
export const POLICY_MEANINGS: MeaningsOf<typeof POLICY_REASONS.Accepted> = {
  True: { Accepted: "Current" },
  False: { InvalidSpec: "Stalled" },
};

export type PolicyConditionType = keyof typeof POLICY_REASONS | ProgressType;
export type PolicyReason = (typeof POLICY_REASONS)["Accepted"]["True" | "False"][number];

/** An ApiTokenPolicy's status. */
export interface PolicyStatus {
  readonly observedGeneration?: number;
  readonly conditions?: readonly DatedClaim<PolicyConditionType, PolicyReason>[];
  readonly namespaces?: number;
  readonly apiTokens?: number;
}

/** A namespace, as policies see it. */
export interface Place {
  readonly labels: Readonly<Record<string, string>>;
  /** How many ApiTokens it has. */
  readonly apiTokens: number;
}

/** A policy, or why its spec cannot be read. */
export type ReadPolicy =
  | { readonly name: string; readonly policy: Policy; readonly problem?: undefined }
  | { readonly name: string; readonly policy?: undefined; readonly problem: string };

/** What the status of a policy reports, without its times. */
export interface PolicyReport {
  readonly claim: Claim<PolicyConditionType, PolicyReason>;
  readonly namespaces?: number;
  readonly apiTokens?: number;
}

interface Use {
  namespaces: number;
  /** Those of them in which another policy takes precedence. */
  overruled: number;
  apiTokens: number;
}

/**
 * What the status of each policy reports, by its name. `isPartial` if the places are not all namespaces of the cluster, but
 * only those that this controller watches.
 */
export function reportPolicies(
  all: readonly ReadPolicy[],
  places: readonly Place[],
  isPartial: boolean,
): Map<string, PolicyReport> {
  const uses = countUses(
    all.flatMap(({ policy }) => policy ?? []),
    places,
  );
  const unread = all.find(({ policy }) => policy === undefined)?.name;
  const watched = isPartial ? places.length : undefined;
  return new Map(
    all.map(({ name, policy, problem }) => {
      const use = uses.get(name);
      if (policy === undefined || use === undefined) return [name, refuse(problem ?? "")];
      return [name, accept(use, watched, unread, policy.owners.includes("*"))];
    }),
  );
}

function countUses(policies: readonly Policy[], places: readonly Place[]): Map<string, Use> {
  const inOrder = [...policies].sort(comparePrecedence).map(({ name, namespaceSelector }) => ({
    name,
    selects: prepareSelector(namespaceSelector),
    use: { namespaces: 0, overruled: 0, apiTokens: 0 },
  }));
  for (const { labels, apiTokens } of places) {
    let isDecided = false;
    for (const { selects, use } of inOrder) {
      if (!selects(labels)) continue;
      use.namespaces += 1;
      if (isDecided) use.overruled += 1;
      else use.apiTokens += apiTokens;
      isDecided = true;
    }
  }
  return new Map(inOrder.map(({ name, use }) => [name, use]));
}

function accept(
  use: Use,
  watched: number | undefined,
  unread: string | undefined,
  allowsEveryOwner: boolean,
): PolicyReport {
  const warning = unread === undefined ? "" : ` Nothing is issued while ApiTokenPolicy "${unread}" cannot be read.`;
  const openness = allowsEveryOwner && use.namespaces > 0 ? " It allows every owner." : "";
  const message = `${describeUse(use, watched)}${openness}${warning}`;
  const { namespaces, apiTokens } = use;
  return { claim: { type: "Accepted", status: "True", reason: "Accepted", message }, namespaces, apiTokens };
}

function describeUse({ namespaces, overruled, apiTokens }: Use, watched: number | undefined): string {
  const selected =
    watched === undefined
      ? count(namespaces, "namespace")
      : `${formatCount(namespaces)} of the ${count(watched, "namespace")} that this controller watches`;
  if (namespaces === 0) {
    return `Selects ${watched === undefined ? "no namespace" : selected}. Correct its namespaceSelector, or label the namespaces that it is meant for.`;
  }
  const others = overruled === 0 ? "" : ` (in ${formatCount(overruled)} of them another policy takes precedence)`;
  return `Selects ${selected}${others}, and governs ${count(apiTokens, "ApiToken")}.`;
}

/** Longer problems are cut: a spec has many fields, and each may be wrong. */
const LONGEST_PROBLEM = 1_024;

function refuse(problem: string): PolicyReport {
  const cut = problem.length <= LONGEST_PROBLEM ? problem : `${problem.slice(0, LONGEST_PROBLEM)}…`;
  const message = `${cut} Until then no policy applies, and nothing is issued in any namespace.`;
  return { claim: { type: "Accepted", status: "False", reason: "InvalidSpec", message } };
}

/** The status that reports this of the policy's current generation. */
export function buildPolicyStatus(
  { claim, ...counts }: PolicyReport,
  before: PolicyStatus,
  generation: number,
  now: Date,
): PolicyStatus {
  const meaning = claim.reason === "Accepted" ? POLICY_MEANINGS.True.Accepted : POLICY_MEANINGS.False[claim.reason];
  const claims = [claim, ...claimProgress(meaning, claim)];
  return { observedGeneration: generation, conditions: buildConditions(claims, before, generation, now), ...counts };
}

/** Whether a status reports anything else than the one before. */
export function isNews(before: PolicyStatus, after: PolicyStatus): boolean {
  return essenceOf(before) !== essenceOf(after);
}

function essenceOf({ observedGeneration, conditions = [], namespaces, apiTokens }: PolicyStatus): string {
  const claims = conditions.map(({ type, status, reason, message }) => [type, status, reason, message]);
  return JSON.stringify([observedGeneration, claims, namespaces, apiTokens]);
}
