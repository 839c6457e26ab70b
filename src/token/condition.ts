/*
 * What a condition of any resource is (KEP-1623), and those of an ApiToken.
 */
import type { Reason } from "./reasons.ts";

/** The conditions that a status may have: `Ready` always after the first pass, the others only while they are true. */
export const CONDITION_TYPES = [
  "Ready",
  "LifetimeClamped",
  "ExpiringSoon",
  "Revoked",
  "Reconciling",
  "Stalled",
] as const;

export type ConditionType = (typeof CONDITION_TYPES)[number];

/** A condition (KEP-1623); `lastTransitionTime` is RFC 3339 in whole seconds. */
export type Condition = DatedClaim<ConditionType, Reason>;

/** What a condition of any resource says, without its times. */
export interface Claim<Type extends string, Why extends string> {
  readonly type: Type;
  readonly status: "True" | "False" | "Unknown";
  readonly reason: Why;
  readonly message: string;
}

/** A condition of any resource, as metav1.Condition (KEP-1623). `lastTransitionTime` is RFC 3339 in whole seconds. */
export interface DatedClaim<Type extends string, Why extends string> extends Claim<Type, Why> {
  readonly observedGeneration: number;
  readonly lastTransitionTime: string;
}
