/*
 * Generates arbitrary states of the simulated world, including those that only hand edits, restores and SQL can cause.
 */

import fc from "fast-check";
import type { Condition } from "../../../src/token/condition.ts";
import type {
  ApiTokenStatus,
  AppliedPolicy,
  DesiredToken,
  ParsedSpec,
  PolicyVerdict,
  TokenRow,
} from "../../../src/token/model.ts";
import type { Reason } from "../../../src/token/reasons.ts";
import { formatTime } from "../../../src/token/status.ts";
import {
  aDesiredSecret,
  aDesiredToken,
  aPolicy,
  aResource,
  aTokenRow,
  HOUR_MS,
  LIMITS,
  NOW,
  RESOURCE_UID,
} from "../../support/builders.ts";
import { contentsOf, decorationOf, type World, type WorldSecret } from "./world.ts";

const hoursFromNow = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS);

const anyRateLimit = fc.constantFrom(
  undefined,
  undefined,
  { requests: 600, seconds: 60 },
  { requests: 7, seconds: 3_600 },
);

/** Ids of rows that may exist, and a value that is not a token's. */
const anyValue = fc.constantFrom("row1", "row2", "row3", "edited by hand");

const anyRow = fc.record({
  issuedAt: fc.integer({ min: -800, max: -1 }).map(hoursFromNow),
  lifetimeHours: fc.integer({ min: 1, max: 720 }),
  revokedAt: fc.option(fc.integer({ min: -100, max: 100 }).map(hoursFromNow), { nil: undefined, freq: 3 }),
  revocationReason: fc.constantFrom("Rotated", "leaked", "Superseded", "Inactive"),
  usedAt: fc.option(fc.integer({ min: -300, max: 0 }).map(hoursFromNow), { nil: undefined }),
  resourceUid: fc.constantFrom(RESOURCE_UID, RESOURCE_UID, RESOURCE_UID, "a former one's"),
  scopes: fc.constantFrom([], ["orders:read"]),
  rateLimit: anyRateLimit,
  grace: fc.constantFrom(undefined, undefined, { periodMs: 500 * HOUR_MS, scopes: ["jobs:cancel"] }),
});

const anyRows = fc.array(anyRow, { maxLength: 3 }).map((rows) =>
  rows.map(({ lifetimeHours, usedAt, revocationReason, ...row }, index): TokenRow => {
    const expiresAt = new Date(row.issuedAt.getTime() + lifetimeHours * HOUR_MS);
    return aTokenRow({
      ...row,
      id: `row${index + 1}`,
      revision: index + 1,
      expiresAt,
      revocationReason: row.revokedAt && revocationReason,
      lastUsedAt: usedAt && usedAt > row.issuedAt ? usedAt : undefined,
    });
  }),
);

const anyLifetime = fc.oneof(
  fc.constant({ kind: "default" } as const),
  fc.integer({ min: 10_000, max: 2_000 * HOUR_MS }).map((durationMs) => ({ kind: "duration", durationMs }) as const),
  fc
    .integer({ min: -100 * HOUR_MS, max: 2_000 * HOUR_MS })
    .map((ms) => ({ kind: "fixed", expiresAt: new Date(NOW.getTime() + ms) }) as const),
);

const anyRotation = fc.record({
  isAutomatic: mostlyTrue(),
  renewBefore: fc.constantFrom({ percentage: 10 }, { percentage: 50 }, { ms: HOUR_MS }, { ms: 5_000 * HOUR_MS }),
  overlapMs: fc.constantFrom(0, 1_500, HOUR_MS, 2_000 * HOUR_MS),
});

const anyTimeout = fc.constantFrom(undefined, undefined, undefined, 24 * HOUR_MS, 200 * HOUR_MS);

/** Any spec that can be read. */
export const anyDesired: fc.Arbitrary<DesiredToken> = fc
  .record({
    lifetime: anyLifetime,
    rotation: anyRotation,
    inactivityTimeoutMs: anyTimeout,
    rateLimit: anyRateLimit,
    scopes: fc.constantFrom([], ["orders:read"]),
    key: fc.constantFrom("token", "token", "password"),
    data: fc.constantFrom({}, {}, { header: "Bearer ${token}" }),
    isRetained: fc.boolean(),
    isRevoked: mostlyFalse(),
    isSuspended: mostlyFalse(),
  })
  .map(({ key, data, isRetained, ...spec }) =>
    aDesiredToken({ ...spec, secret: aDesiredSecret({ key, data, isRetained }) }),
  );

const anySpec: fc.Arbitrary<ParsedSpec> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ problem: "spec.owner: missing" }) },
  { weight: 19, arbitrary: anyDesired.map((desired) => ({ desired })) },
);

const anyAppliedPolicy: fc.Arbitrary<AppliedPolicy> = fc
  .record({
    maxHours: fc.constantFrom(720, 720, 24),
    owner: fc.record({
      max: fc.constantFrom(1, 2),
      onLimit: fc.constantFrom("RevokeOldest", "Reject"),
      scope: fc.constant("Cluster"),
    }),
    inactivityTimeoutMs: anyTimeout,
    minRequestIntervalMs: fc.constantFrom(0, 60_000, 48 * HOUR_MS),
    rateLimit: anyRateLimit,
    grace: fc.constantFrom(undefined, undefined, { periodMs: HOUR_MS, scopes: ["jobs:cancel"] }),
  })
  .map(({ maxHours, ...rest }) => aPolicy({ ...rest, lifetime: { ...LIMITS, maxMs: maxHours * HOUR_MS } }));

export const anyAllowed: fc.Arbitrary<PolicyVerdict> = anyAppliedPolicy.map((applied) => ({
  kind: "allowed",
  applied,
}));

const anyVerdict: fc.Arbitrary<PolicyVerdict> = fc.oneof(
  { weight: 8, arbitrary: anyAllowed },
  { weight: 1, arbitrary: fc.constant({ kind: "missing" }) },
  { weight: 1, arbitrary: fc.constant({ kind: "denied", name: "default", rule: 'owner "alice" is not allowed' }) },
);

const anyBlock = fc.oneof(
  { weight: 8, arbitrary: fc.constant(undefined) },
  {
    weight: 2,
    arbitrary: fc
      .integer({ min: -10, max: 200 })
      .map((hours) => ({ reason: "left", effectiveAt: hoursFromNow(hours) })),
  },
);

const anyCount = fc.constantFrom(0, 0, 0, 0, 1, 2);

const anyRequest = fc.constantFrom(undefined, undefined, undefined, "monday", "tuesday");

const anySecret = (isForeignToo: boolean) =>
  fc.oneof(
    fc.constant(undefined),
    ...(isForeignToo
      ? [
          fc.constant<WorldSecret>({ owner: "somebody" }),
          anyValue.map((value): WorldSecret => ({ owner: "somebody", value })),
        ]
      : []),
    fc.record({ value: anyValue, isDecorated: fc.boolean(), isIntact: fc.boolean(), handled: anyRequest }),
    fc.record({ value: anyValue, isDecorated: fc.boolean(), isIntact: fc.constant(true), handled: anyRequest }),
  );

function mostlyFalse(): fc.Arbitrary<boolean> {
  return fc.nat(9).map((number) => number === 9);
}

function mostlyTrue(): fc.Arbitrary<boolean> {
  return fc.nat(4).map((number) => number !== 4);
}

/** Any state that users, crashes, lost statuses and restored backups may leave behind. */
export const anyWorld: fc.Arbitrary<World> = fc
  .record({
    sinceMs: fc.nat(2_000),
    policy: anyVerdict,
    block: anyBlock,
    rivals: fc.record({ older: anyCount, newer: anyCount }),
    spec: anySpec,
    rows: anyRows,
    told: fc.record({
      tokenId: fc.constantFrom(undefined, "row1", "row2", "row3", "a row that is gone"),
      previous: fc.constantFrom(undefined, undefined, "row1", "row2"),
      ended: fc.constantFrom<Reason | undefined>(
        undefined,
        undefined,
        undefined,
        "Superseded",
        "Inactive",
        "OwnerBlocked",
      ),
      lastHandledRotateAt: anyRequest,
    }),
    isGone: mostlyFalse(),
    isDeleting: mostlyFalse(),
    hasFinalizer: fc.boolean(),
    rotateRequestedAt: anyRequest,
    demo: anySecret(true),
    old: anySecret(true),
    older: anySecret(false),
  })
  .map(({ rows, spec, policy, block, rivals, told, ...parts }): World => {
    const secrets: Record<string, WorldSecret> = {};
    for (const name of ["demo", "old", "older"] as const) {
      const secret = parts[name];
      if (secret !== undefined) secrets[name] = "owner" in secret ? secret : describeSecret(secret, rows, spec);
    }
    const { isDeleting, hasFinalizer, rotateRequestedAt } = parts;
    const status = describeStatus(told, rows);
    const isKept = rows.some(({ id }) => id === told.tokenId);
    return {
      now: new Date(NOW.getTime() + parts.sinceMs),
      policy,
      block,
      rivals,
      spec,
      // A run changes its world, and must not change what the next one is made of.
      resource: parts.isGone ? undefined : aResource({ isDeleting, hasFinalizer, rotateRequestedAt, status }),
      rows: told.tokenId === undefined || isKept ? [...rows] : rows.map(endDifferently),
      secrets,
      inHand: undefined,
      issued: 0,
    };
  });

/** A token that was ended for good has no successor that the status could name, so its row gets a reason that is not final. */
function endDifferently(row: TokenRow): TokenRow {
  return row.revokedAt === undefined ? row : { ...row, revocationReason: "leaked" };
}

interface SecretParts {
  readonly value: string;
  readonly isDecorated: boolean;
  readonly isIntact: boolean;
  readonly handled: string | undefined;
}

function describeSecret(
  { value, isDecorated, isIntact, handled }: SecretParts,
  rows: readonly TokenRow[],
  { desired }: ParsedSpec,
): WorldSecret {
  const held = rows.find((row) => row.id === value);
  return {
    owner: "us",
    value,
    decoration: held && isDecorated ? decorationOf(held) : "",
    contents: held && desired && isIntact ? contentsOf(desired, held) : "",
    handledRotateAt: handled,
  };
}

interface ToldParts {
  readonly tokenId: string | undefined;
  readonly previous: string | undefined;
  readonly ended: Reason | undefined;
  readonly lastHandledRotateAt: string | undefined;
}

/** The status may tell of an older row than the newest, or of one that has been cleaned up. */
function describeStatus(told: ToldParts, rows: readonly TokenRow[]): ApiTokenStatus {
  const { tokenId, lastHandledRotateAt } = told;
  if (tokenId === undefined) return {};
  const row = rows.find((each) => each.id === tokenId);
  const previous = rows.find((each) => each.id === told.previous);
  return {
    tokenId,
    revision: row?.revision ?? 7,
    issuedAt: row ? formatTime(row.issuedAt) : "2026-05-01T00:00:00Z",
    ...(told.ended && { conditions: toldEnd(told.ended) }),
    ...(previous && { previous: { tokenId: previous.id, validUntil: formatTime(hoursFromNow(1)) } }),
    ...(lastHandledRotateAt && { lastHandledRotateAt }),
  };
}

/** The conditions of a token that was ended for this reason. */
function toldEnd(reason: Reason): Condition[] {
  const rest = { reason, message: "told", observedGeneration: 1, lastTransitionTime: formatTime(NOW) };
  return [
    { type: "Ready", status: "False", ...rest },
    { type: "Revoked", status: "True", ...rest },
  ];
}
