/*
 * A resource for every reason of every condition that this project writes, with the status that the controller would write: what
 * tools see of it depends on nothing else.
 */
import { withProgress } from "../../../src/token/block.ts";
import { BLOCK_REASONS, type BlockClaim } from "../../../src/token/block-reasons.ts";
import { statusOfFailure } from "../../../src/token/failure.ts";
import { STALLED_FROM } from "../../../src/token/kstatus.ts";
import { buildPolicyStatus, POLICY_REASONS, type PolicyReport } from "../../../src/token/policy-status.ts";
import { READY_REASONS } from "../../../src/token/reasons.ts";
import { buildConditions, buildStatus, type ConditionClaim } from "../../../src/token/status.ts";
import { anObserved, aResource, aTokenRow, NOW } from "../builders.ts";

/** A resource with the reason that its main condition has. */
export interface Sample {
  readonly kind: "ApiToken" | "OwnerBlock" | "ApiTokenPolicy";
  readonly condition: string;
  readonly is: "True" | "False";
  readonly reason: string;
  /** How many passes have failed in a row, where that matters. */
  readonly failures: number;
  readonly resource: { readonly metadata: object; readonly status: object };
}

const STATUSES = ["True", "False"] as const;
const GENERATION = 3;

/** Few failures, and enough of them to count as lasting. */
const FAILURES = [1, STALLED_FROM];

/** Every reason of every kind; those of failures twice. */
export function listSamples(): Sample[] {
  return [...listTokens(), ...listBlocks(), ...listPolicies()];
}

function listTokens(): Sample[] {
  return STATUSES.flatMap((is) =>
    READY_REASONS[is].flatMap((reason) => {
      const sample = { kind: "ApiToken", condition: "Ready", is, reason } as const;
      const message = `is ${reason}`;
      const resource = aResource({ generation: GENERATION, status: { observedGeneration: -1 } });
      if (/Unavailable$|Refused$|Failed$/.test(reason)) {
        const seen = { held: is === "True" ? aTokenRow() : undefined };
        return FAILURES.flatMap((failures): Sample[] => {
          const status = statusOfFailure(resource, { reason, message }, { failures, seen, now: NOW });
          return status === undefined ? [] : [{ ...sample, failures, resource: wrap("ApiToken", status) }];
        });
      }
      const claim: ConditionClaim = { type: "Ready", status: is, reason, message };
      const status = buildStatus({ ...anObserved(), resource }, [claim], {});
      return [{ ...sample, failures: 0, resource: wrap("ApiToken", status) }];
    }),
  );
}

function listBlocks(): Sample[] {
  const types = Object.keys(BLOCK_REASONS) as (keyof typeof BLOCK_REASONS)[];
  return types.flatMap((type) =>
    STATUSES.flatMap((is) =>
      BLOCK_REASONS[type][is].flatMap((reason) => {
        const claim: BlockClaim = { type, status: is, reason, message: `is ${reason}` };
        return FAILURES.map((failures) => {
          const conditions = buildConditions(withProgress([claim], failures), {}, GENERATION, NOW);
          const resource = wrap("OwnerBlock", { observedGeneration: GENERATION, conditions });
          return { kind: "OwnerBlock", condition: type, is, reason, failures, resource } as const;
        });
      }),
    ),
  );
}

function listPolicies(): Sample[] {
  return STATUSES.flatMap((is) =>
    POLICY_REASONS.Accepted[is].map((reason) => {
      const claim: PolicyReport["claim"] = { type: "Accepted", status: is, reason, message: `is ${reason}` };
      const resource = wrap("ApiTokenPolicy", buildPolicyStatus({ claim }, {}, GENERATION, NOW));
      return { kind: "ApiTokenPolicy", condition: "Accepted", is, reason, failures: 0, resource } as const;
    }),
  );
}

function wrap(kind: string, status: object): Sample["resource"] {
  return {
    ...{ apiVersion: "apitoken.dev/v1alpha1", kind },
    metadata: { name: "demo", namespace: "shop", generation: GENERATION },
    ...{ spec: { owner: "shop/demo" }, status },
  };
}
