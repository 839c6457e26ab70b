/*
 * Complete and ordinary objects of the cleanup, of which a test overrides only what it is about.
 */
import type { RunReport, TargetReport } from "../../../src/cleanup/report/report.ts";
import type { TargetConfig, TimeConfig } from "../../../src/cleanup/target/config.ts";
import type { ColumnFacts, TableFacts } from "../../../src/postgres/cleanup/catalog.ts";
import type { RowCounts } from "../../../src/postgres/cleanup/counts.ts";
import type { ReferenceFacts } from "../../../src/postgres/cleanup/reference-facts.ts";
import type { CleanupTarget } from "../../../src/postgres/cleanup/target.ts";

const DAY_MS = 86_400_000;

export function aRowCounts(overrides: Partial<RowCounts> = {}): RowCounts {
  return {
    total: 0,
    live: 0,
    withoutExpiry: 0,
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
    definition: "ab12cd34ef56",
    outcome: "succeeded",
    before: aRowCounts(),
    after: aRowCounts(),
    cascades: [],
    deleted: { expired: 0, revoked: 0, cascaded: 0, taken: {} },
    held: [],
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

/** A column with a time, as the configuration names it. */
export function aTime(column: string, plus: Partial<TimeConfig> = {}): TimeConfig {
  return { column, plusMs: 0, plusSeconds: undefined, ...plus };
}

/** A target as a team would write it: expiry and revocation by time. */
export function aTargetConfig(overrides: Partial<TargetConfig> = {}): TargetConfig {
  return {
    table: { schema: "app", table: "refresh_tokens" },
    name: "app.refresh_tokens",
    where: [],
    expiresAt: [aTime("expires_at")],
    revokedAt: [aTime("revoked_at")],
    never: [],
    revoked: undefined,
    timezone: undefined,
    epoch: undefined,
    retention: { expiredMs: 7 * DAY_MS, revokedMs: DAY_MS },
    key: undefined,
    owner: undefined,
    audit: "summary",
    auditKeys: "hashed",
    cascade: [],
    maxFraction: undefined,
    firstRunMaxFraction: 0.5,
    confirm: [],
    ...overrides,
  };
}

export function aColumn(name: string, type: string): ColumnFacts {
  return { name, type, isNullable: true, isVirtual: false };
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
    isOwnerSuperuser: false,
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
    isReferredTo: false,
    triggers: [],
    countsDeletions: true,
    rules: [],
    estimatedRows: 1_000,
    partitionedBy: null,
    hasChildren: false,
    closedPartitions: [],
    closedSchemas: [],
    foreignPartitions: [],
    hidden: [],
    restricted: [],
    unidentified: [],
    ...overrides,
  };
}

/** A foreign key of app.uses, with every right and an index. */
export function aReference(overrides: Partial<ReferenceFacts> = {}): ReferenceFacts {
  return {
    constraint: "fk",
    schema: "app",
    table: "uses",
    oid: "200",
    toOid: "12345",
    columns: ["t"],
    referencedColumns: ["id"],
    onDelete: "no action",
    onlyIn: null,
    relatives: [],
    isRequired: false,
    isPartitioned: false,
    isIndexed: true,
    hasUsage: true,
    mayRead: true,
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
    plusMs: 0,
    plusSeconds: undefined,
    never: [],
  });
  return {
    schema: "app",
    table: "refresh_tokens",
    name: "app.refresh_tokens",
    oid: "12345",
    isPartitioned: false,
    hasChildren: false,
    where: [],
    expiresAt: [time("expires_at")],
    revokedAt: [time("revoked_at")],
    revoked: undefined,
    retention: { expiredMs: 7 * DAY_MS, revokedMs: DAY_MS },
    key: ["id"],
    hashesKeys: true,
    owner: undefined,
    audit: "summary",
    references: [],
    reached: [],
    watched: undefined,
    silencers: [],
    indexedTimes: [
      { time: time("expires_at"), reason: "expired" },
      { time: time("revoked_at"), reason: "revoked" },
    ],
    maxFraction: 0.9,
    firstRunMaxFraction: 0.5,
    definition: "ab12cd34ef56",
    ...overrides,
  };
}
