/*
 * What the reasons of our conditions mean to tools that wait for resources, such as Flux and Argo CD. They follow kstatus
 * (sigs.k8s.io/cli-utils): `Reconciling` and `Stalled` are abnormal, so a condition exists only while it is true, and a resource
 * that is as it should be has neither. `status.observedGeneration` tells these tools whether a status is about the present spec.
 */
import type { Claim } from "./condition.ts";
import type { READY_REASONS } from "./reasons.ts";

/** The conditions that kstatus knows. */
export const PROGRESS_TYPES = ["Reconciling", "Stalled"] as const;

export type ProgressType = (typeof PROGRESS_TYPES)[number];

/**
 * What a reason means to whoever waits. Current: there is nothing to wait for. Reconciling: it continues automatically. Stalled:
 * it is final, or somebody must act, so that waiting is useless. Retried: Reconciling at first, as a webhook may only be
 * restarting, and Stalled once it has lasted.
 */
export type Meaning = "Current" | ProgressType | "Retried";

/** The meaning of each reason of a condition, by the condition's status. A reason without one does not compile. */
export type MeaningsOf<Reasons extends Readonly<Record<"True" | "False", readonly string[]>>> = {
  readonly [Is in "True" | "False"]: Readonly<Record<Reasons[Is][number], Meaning>>;
};

/** What the reasons of `Ready` mean. While a token works, nothing is Stalled: what waits is only a change or the next token. */
export const READY_MEANINGS: MeaningsOf<typeof READY_REASONS> = {
  True: {
    Issued: "Current",
    Rotated: "Current",
    Renewing: "Reconciling",
    // The spec asks for nothing to happen, and nothing does.
    Suspended: "Current",
    PolicyMissing: "Reconciling",
    DatabaseUnavailable: "Reconciling",
    DatabaseRefused: "Reconciling",
    ReconcileFailed: "Reconciling",
  },
  False: {
    Expired: "Stalled",
    Inactive: "Stalled",
    RevokedBySpec: "Stalled",
    OwnerBlocked: "Stalled",
    OwnerLimitExceeded: "Stalled",
    Superseded: "Stalled",
    PolicyDenied: "Stalled",
    // A policy is often applied together with the first ApiTokens that need it, in any order.
    PolicyMissing: "Reconciling",
    NamespaceTerminating: "Reconciling",
    SecretConflict: "Stalled",
    SecretRefused: "Retried",
    DatabaseUnavailable: "Reconciling",
    DatabaseRefused: "Retried",
    ReconcileFailed: "Retried",
    InvalidSpec: "Stalled",
    Suspended: "Stalled",
  },
};

/**
 * From which failure in a row on a Retried reason is Stalled. As retries become rare, that is after about two minutes. It is a
 * power of two, because a status counts failures in these: so it is written again then in any case.
 */
export const STALLED_FROM = 16;

/** The meaning of a reason of `Ready`. A reason of another release, which a stored status may have, is not final. */
export function meaningOfReady({ status, reason }: Pick<Claim<string, string>, "status" | "reason">): Meaning {
  const meanings: Readonly<Partial<Record<string, Meaning>>> = READY_MEANINGS[status === "True" ? "True" : "False"];
  return meanings[reason] ?? "Reconciling";
}

/** The condition for tools that goes with another condition, after so many failures in a row; none if all is well. */
export function claimProgress<Why extends string>(
  meaning: Meaning,
  { reason, message }: Pick<Claim<string, Why>, "reason" | "message">,
  failures = 0,
): Claim<ProgressType, Why>[] {
  const type = meaning === "Retried" ? (failures < STALLED_FROM ? "Reconciling" : "Stalled") : meaning;
  return type === "Current" ? [] : [{ type, status: "True", reason, message }];
}

/** Whether a condition is there for tools only, and repeats another one. */
export function isProgress({ type }: { readonly type: string }): boolean {
  return (PROGRESS_TYPES as readonly string[]).includes(type);
}
