import type { RunReport, TargetReport } from "../../../src/cleanup/report.ts";
import type { TokenCounts } from "../../../src/postgres/cleanup-tokens.ts";

export function aTokenCounts(overrides: Partial<TokenCounts> = {}): TokenCounts {
  return {
    total: 0,
    live: 0,
    expired: 0,
    revoked: 0,
    due: { expired: 0, revoked: 0 },
    oldestDeadAt: undefined,
    sizeBytes: 0,
    ...overrides,
  };
}

export function aTargetReport(overrides: Partial<TargetReport> = {}): TargetReport {
  return {
    table: "apitoken.tokens",
    before: aTokenCounts(),
    after: aTokenCounts(),
    deleted: { expired: 0, revoked: 0 },
    batches: 0,
    durationMs: 0,
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
    auditPartitions: { created: [], dropped: [] },
    vacuum: "not needed",
    message: undefined,
    ...overrides,
  };
}
