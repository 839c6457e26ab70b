/*
 * The one list of reasons. Conditions, Events, metrics and the reference all take theirs from here, so that none of them can
 * have a reason that the others do not know.
 */

/**
 * Why `Ready` has each of its statuses; some reasons go with either. The same words are used in Events and metrics, and
 * docs/lifecycle.md explains each.
 */
export const READY_REASONS = {
  True: [
    "Issued",
    "Rotated",
    "Renewing",
    "Suspended",
    "PolicyMissing",
    "DatabaseUnavailable",
    "DatabaseRefused",
    "ReconcileFailed",
  ],
  False: [
    "Expired",
    "Inactive",
    "RevokedBySpec",
    "OwnerBlocked",
    "OwnerLimitExceeded",
    "Superseded",
    "PolicyDenied",
    "PolicyMissing",
    "NamespaceTerminating",
    "SecretConflict",
    "SecretRefused",
    "DatabaseUnavailable",
    "DatabaseRefused",
    "ReconcileFailed",
    "InvalidSpec",
    "Suspended",
  ],
} as const;

/** What can be unusual about the uses of a token; the schema allows no other. The reasons of Events. */
export const ANOMALY_KINDS = ["NewNetwork", "ManyAddresses", "UnusualRate", "WrongSecrets"] as const;

/** The reasons that only Events have. */
export const EVENT_REASONS = ["SecretDrift", ...ANOMALY_KINDS] as const;

/** The reasons of other conditions, and of Events. */
const OTHER_REASONS = ["OverMaximum", "NotRenewed", ...EVENT_REASONS] as const;

export type Reason = (typeof READY_REASONS)["True" | "False"][number] | (typeof OTHER_REASONS)[number];

export const REASONS: readonly Reason[] = [
  ...new Set([...READY_REASONS.True, ...READY_REASONS.False, ...OTHER_REASONS]),
];
