import fc from "fast-check";
import type { ApiTokenStatus, TokenRow } from "../../../src/token/model.ts";
import type { ParsedSpec } from "../../../src/token/plan.ts";
import { formatTime } from "../../../src/token/status.ts";
import { aDesiredToken, aResource, aTokenRow, HOUR_MS, LIMITS, NOW, RESOURCE_UID } from "../../support/builders.ts";
import { decorationOf, type World, type WorldSecret } from "./world.ts";

const hoursFromNow = (hours: number) => new Date(NOW.getTime() + hours * HOUR_MS);

/** Ids of rows that may exist, and a value that is no token's. */
const anyValue = fc.constantFrom("row1", "row2", "row3", "edited by hand");

const anyRow = fc.record({
  issuedAt: fc.integer({ min: -800, max: -1 }).map(hoursFromNow),
  lifetimeHours: fc.integer({ min: 1, max: 720 }),
  revokedAt: fc.option(fc.integer({ min: -100, max: 100 }).map(hoursFromNow), { nil: undefined, freq: 3 }),
  resourceUid: fc.constantFrom(RESOURCE_UID, RESOURCE_UID, RESOURCE_UID, "a former one's"),
  scopes: fc.constantFrom([], ["orders:read"]),
});

const anyRows = fc.array(anyRow, { maxLength: 3 }).map((rows) =>
  rows.map(({ lifetimeHours, ...row }, index): TokenRow => {
    const expiresAt = new Date(row.issuedAt.getTime() + lifetimeHours * HOUR_MS);
    return aTokenRow({ ...row, id: `row${index + 1}`, revision: index + 1, expiresAt });
  }),
);

const anyLifetime = fc.oneof(
  fc.constant({ kind: "default" } as const),
  fc.integer({ min: 10_000, max: 2_000 * HOUR_MS }).map((durationMs) => ({ kind: "duration", durationMs }) as const),
  fc
    .integer({ min: -100 * HOUR_MS, max: 2_000 * HOUR_MS })
    .map((ms) => ({ kind: "fixed", expiresAt: new Date(NOW.getTime() + ms) }) as const),
);

const anySpec: fc.Arbitrary<ParsedSpec> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ problem: "spec.owner: missing" }) },
  {
    weight: 19,
    arbitrary: fc
      .record({
        lifetime: anyLifetime,
        scopes: fc.constantFrom([], ["orders:read"]),
        isRevoked: mostlyFalse(),
        isSuspended: mostlyFalse(),
      })
      .map((spec) => ({ desired: aDesiredToken(spec) })),
  },
);

const anySecret = (isForeignToo: boolean) =>
  fc.oneof(
    fc.constant(undefined),
    ...(isForeignToo ? [fc.constant<WorldSecret>({ owner: "somebody" })] : []),
    fc.record({ value: anyValue, isDecorated: fc.boolean() }),
    fc.record({ value: anyValue, isDecorated: fc.boolean() }),
  );

function mostlyFalse(): fc.Arbitrary<boolean> {
  return fc.nat(9).map((number) => number === 9);
}

/** Any state that users, crashes, lost statuses and restored backups may leave behind. */
export const anyWorld: fc.Arbitrary<World> = fc
  .record({
    sinceMs: fc.nat(2_000),
    maxHours: fc.constantFrom(720, 720, 24),
    spec: anySpec,
    rows: anyRows,
    published: fc.constantFrom(undefined, "row1", "row2", "row3", "a row that is gone"),
    isGone: mostlyFalse(),
    isDeleting: mostlyFalse(),
    hasFinalizer: fc.boolean(),
    demo: anySecret(true),
    old: anySecret(true),
    older: anySecret(false),
  })
  .map(({ rows, spec, ...parts }): World => {
    const secrets: Record<string, WorldSecret> = {};
    for (const name of ["demo", "old", "older"] as const) {
      const secret = parts[name];
      if (secret !== undefined) secrets[name] = "owner" in secret ? secret : describeSecret(secret, rows);
    }
    const { isDeleting, hasFinalizer } = parts;
    const status = describeStatus(parts.published, rows);
    return {
      now: new Date(NOW.getTime() + parts.sinceMs),
      limits: { ...LIMITS, maxMs: parts.maxHours * HOUR_MS },
      spec,
      resource: parts.isGone ? undefined : aResource({ isDeleting, hasFinalizer, status }),
      rows,
      secrets,
      inHand: undefined,
      issued: 0,
    };
  });

function describeSecret(
  { value, isDecorated }: { value: string; isDecorated: boolean },
  rows: TokenRow[],
): WorldSecret {
  const held = rows.find((row) => row.id === value);
  return { owner: "us", value, decoration: held && isDecorated ? decorationOf(held) : "" };
}

/** The status may tell of an older row than the newest, or of one that has been cleaned up. */
function describeStatus(published: string | undefined, rows: readonly TokenRow[]): ApiTokenStatus {
  if (published === undefined) return {};
  const row = rows.find((each) => each.id === published);
  if (row === undefined) return { tokenId: published, revision: 7, issuedAt: "2026-05-01T00:00:00Z" };
  return { tokenId: row.id, revision: row.revision, issuedAt: formatTime(row.issuedAt) };
}
