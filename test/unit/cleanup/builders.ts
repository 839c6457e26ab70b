/*
 * Complete and ordinary objects of the cleanup, of which a test overrides only what it is about.
 */
import type { RunReport, TargetReport } from "../../../src/cleanup/report.ts";
import type { TargetConfig } from "../../../src/cleanup/target-config.ts";
import type { ColumnFacts, TableFacts } from "../../../src/postgres/cleanup/catalog.ts";
import type { RowCounts } from "../../../src/postgres/cleanup/counts.ts";
import type { CleanupTarget } from "../../../src/postgres/cleanup/target.ts";

const DAY_MS = 86_400_000;

export function aRowCounts(overrides: Partial<RowCounts> = {}): RowCounts {
  return {
    total: 0,
    live: 0,
    expired: 0,
    revoked: 0,
    due: { expired: 0, revoked: 0 },
    held: 0,
    oldestDeadAt: undefined,
    isEstimate: false,
    tableBytes: 0,
    indexBytes: 0,
    deadTuples: 0,
    vacuumedAt: undefined,
    ...overrides,
  };
}

export function aTargetReport(overrides: Partial<TargetReport> = {}): TargetReport {
  return {
    table: "apitoken.tokens",
    outcome: "succeeded",
    before: aRowCounts(),
    after: aRowCounts(),
    deleted: { expired: 0, revoked: 0, cascaded: 0 },
    partitions: { dropped: [], kept: [] },
    batches: 0,
    durationMs: 0,
    pausedMs: {},
    retention: { expiredMs: 7 * DAY_MS, revokedMs: 7 * DAY_MS },
    vacuum: "not needed",
    code: undefined,
    message: undefined,
    ...overrides,
  };
}

export function aRunReport(overrides: Partial<RunReport> = {}): RunReport {
  return {
    outcome: "succeeded",
    isDryRun: false,
    runId: "1",
    durationMs: 1_234,
    targets: [aTargetReport()],
    auditPartitions: { created: [], emptied: [] },
    code: undefined,
    message: undefined,
    ...overrides,
  };
}

/** A target as a team would write it: expiry and revocation by time. */
export function aTargetConfig(overrides: Partial<TargetConfig> = {}): TargetConfig {
  return {
    table: { schema: "app", table: "refresh_tokens" },
    expiresAt: "expires_at",
    revokedAt: "revoked_at",
    revoked: undefined,
    timezone: undefined,
    epoch: undefined,
    retention: { expiredMs: 7 * DAY_MS, revokedMs: DAY_MS },
    key: undefined,
    owner: undefined,
    audit: "summary",
    maxFraction: undefined,
    ...overrides,
  };
}

export function aColumn(name: string, type: string): ColumnFacts {
  return { name, type, isNullable: true };
}

/** A table that fits `aTargetConfig`, with every right and every index. */
export function aTableFacts(overrides: Partial<TableFacts> = {}): TableFacts {
  return {
    oid: "12345",
    schema: "app",
    table: "refresh_tokens",
    kind: "table",
    owner: "app_owner",
    isOwner: false,
    hasUsage: true,
    maySelect: true,
    mayDelete: true,
    mayUpdate: true,
    columns: [
      aColumn("id", "uuid"),
      aColumn("expires_at", "timestamp with time zone"),
      aColumn("revoked_at", "timestamp with time zone"),
      aColumn("is_active", "boolean"),
      aColumn("status", "text"),
    ],
    key: ["id"],
    indexes: [
      { name: "by_expiry", columns: ["expires_at"], method: "btree", isPartial: false, isUnique: false },
      { name: "by_revocation", columns: ["revoked_at"], method: "btree", isPartial: true, isUnique: false },
    ],
    references: [],
    triggers: [],
    estimatedRows: 1_000,
    partitionedBy: null,
    closedPartitions: [],
    ...overrides,
  };
}

/** The target that both make. */
export function aTarget(overrides: Partial<CleanupTarget> = {}): CleanupTarget {
  const time = (column: string) => ({
    column,
    kind: "timestamptz" as const,
    type: "timestamp with time zone",
    timezone: "UTC",
  });
  return {
    schema: "app",
    table: "refresh_tokens",
    name: "app.refresh_tokens",
    oid: "12345",
    isPartitioned: false,
    expiresAt: time("expires_at"),
    revokedAt: time("revoked_at"),
    revoked: undefined,
    retention: { expiredMs: 7 * DAY_MS, revokedMs: DAY_MS },
    key: ["id"],
    owner: undefined,
    audit: "summary",
    references: [],
    indexedTimes: [time("expires_at"), time("revoked_at")],
    maxFraction: 0.9,
    ...overrides,
  };
}
