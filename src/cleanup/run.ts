import {
  beginCleanupRun,
  type CleanupOutcome,
  endCleanupRun,
  isLockConflict,
  prepareSession,
  setLockTimeout,
  tryLockCleanup,
} from "../postgres/cleanup-runs.ts";
import { chooseCutoffs, countTokens, mayVacuum, type TokenCounts, vacuumTokens } from "../postgres/cleanup-tokens.ts";
import type { Connection } from "../postgres/database.ts";
import {
  createEventPartitions,
  dropEventPartitions,
  findExpiredEventPartitions,
} from "../postgres/event-partitions.ts";
import { requireSchema } from "../postgres/migrations.ts";
import type { Logger } from "../runtime/log.ts";
import type { CleanupConfig } from "./config.ts";
import type { Progress } from "./progress.ts";
import { countRows, type RunReport, type TargetReport } from "./report.ts";
import { findExcess } from "./safety.ts";
import { sweepTokens } from "./tokens.ts";

const TABLE = "apitoken.tokens";

/** The audit trail has partitions for so many months to come. */
const MONTHS_AHEAD = 3;

/** Below this many deleted rows autovacuum does. */
const VACUUM_FROM_ROWS = 10_000;

export interface RunContext {
  readonly session: Connection;
  readonly config: CleanupConfig;
  /** Ends the run between two batches. */
  readonly stop: AbortSignal;
  readonly log: Logger;
  readonly createProgress: (table: string, rowsDue: number) => Progress;
}

type Ending = Pick<RunReport, "outcome" | "targets" | "auditPartitions" | "message">;

/**
 * One run on a session of its own; undefined when another run is at work. What a run did is kept in cleanup_runs, also
 * when it fails. A dry run writes nothing at all and takes no lock: it does not keep the nightly run from its work.
 */
export async function runCleanup(context: RunContext): Promise<RunReport | undefined> {
  const { session, config } = context;
  const startedAtMs = performance.now();
  await prepareSession(session);
  await setLockTimeout(session, config.APITOKEN_CLEANUP_LOCK_TIMEOUT);
  await requireSchema(session);
  if (!config.isDryRun && !(await tryLockCleanup(session))) return undefined;

  const runId = config.isDryRun ? undefined : await beginCleanupRun(session);
  const ending = await cleanUp(context, runId).catch((error: unknown) => failed(context, [], error));
  if (runId !== undefined) await recordEnd(context, runId, ending);
  const vacuum = await vacuumIfNeeded(context, ending);
  return { ...ending, vacuum, isDryRun: config.isDryRun, runId, durationMs: performance.now() - startedAtMs };
}

async function cleanUp(context: RunContext, runId: string | undefined): Promise<Ending> {
  const { session, config } = context;
  const auditPartitions = await keepEventPartitions(context);
  const cutoffs = await chooseCutoffs(
    session,
    config.APITOKEN_CLEANUP_RETENTION_EXPIRED,
    config.APITOKEN_CLEANUP_RETENTION_REVOKED,
  );
  const before = await countTokens(session, cutoffs);
  const report = (rest: Partial<TargetReport>): TargetReport[] => [
    {
      table: TABLE,
      before,
      after: undefined,
      deleted: { expired: 0, revoked: 0 },
      batches: 0,
      durationMs: 0,
      ...rest,
    },
  ];
  const excess = findExcess(TABLE, before, config.maxFraction);
  if (excess !== undefined) return { outcome: "refused", targets: report({}), auditPartitions, message: excess };
  if (runId === undefined) return { outcome: "succeeded", targets: report({}), auditPartitions, message: undefined };

  const { end, error, ...swept } = await sweep(context, { runId, cutoffs, before });
  if (end === "failed") return { ...failed(context, report(swept), error), auditPartitions };
  const left = countRows(before.due) - countRows(swept.deleted);
  if (end === "stopped" && left > 0) {
    const message = `Stopped with about ${left} rows of ${TABLE} left; the next run goes on with them.`;
    return { outcome: "stopped", targets: report(swept), auditPartitions, message };
  }
  const after = await countTokens(session, cutoffs);
  return { outcome: "succeeded", targets: report({ ...swept, after }), auditPartitions, message: undefined };
}

async function sweep(
  { session, config, stop, createProgress }: RunContext,
  run: { runId: string; cutoffs: Parameters<typeof countTokens>[1]; before: TokenCounts },
) {
  const { runId, cutoffs, before } = run;
  const rowsDue = countRows(before.due);
  if (rowsDue === 0)
    return { deleted: { expired: 0, revoked: 0 }, batches: 0, durationMs: 0, end: "complete" as const };
  const progress = createProgress(TABLE, rowsDue);
  try {
    return await sweepTokens(session, {
      runId,
      cutoffs,
      audit: config.APITOKEN_CLEANUP_AUDIT,
      batchTargetMs: config.APITOKEN_CLEANUP_BATCH_TARGET,
      lockTimeoutMs: config.APITOKEN_CLEANUP_LOCK_TIMEOUT,
      totalRows: before.total,
      stop,
      onProgress: (fraction, deleted) => progress.update(fraction, countRows(deleted)),
    });
  } finally {
    progress.end();
  }
}

/** First of all: without a partition for the month no token could be issued. */
async function keepEventPartitions({ session, config }: RunContext): Promise<RunReport["auditPartitions"]> {
  const retentionMs = config.APITOKEN_CLEANUP_AUDIT_RETENTION;
  if (config.isDryRun) return { created: [], dropped: await findExpiredEventPartitions(session, retentionMs) };
  return {
    created: await createEventPartitions(session, MONTHS_AHEAD),
    dropped: await dropEventPartitions(session, retentionMs),
  };
}

/** How a run ends that an error has ended: with what it did up to then. */
function failed({ log, config }: RunContext, targets: readonly TargetReport[], error: unknown): Ending {
  log.error({ err: error }, "cleanup failed");
  const message = isLockConflict(error)
    ? "Another session holds a lock that the cleanup needs (ALTER TABLE, VACUUM FULL and the like take such), for " +
      `longer than APITOKEN_CLEANUP_LOCK_TIMEOUT, ${config.APITOKEN_CLEANUP_LOCK_TIMEOUT} ms. Run again when it is done.`
    : error instanceof Error
      ? error.message
      : String(error);
  return { outcome: "failed", targets, auditPartitions: { created: [], dropped: [] }, message };
}

/** When this fails as well, the run stays without an end, and the next one closes it. */
async function recordEnd({ session, log }: RunContext, runId: string, ending: Ending): Promise<void> {
  const outcome: CleanupOutcome = ending.outcome;
  const error = ending.message === undefined ? {} : { error: ending.message };
  try {
    await endCleanupRun(session, runId, { outcome, targets: ending.targets, ...error });
  } catch (cause) {
    if (outcome !== "failed") throw cause;
    log.warn({ err: cause }, "cannot record the end of the run");
  }
}

/** The run has its end by now: however long this takes and however it ends, the rows are gone. */
async function vacuumIfNeeded({ session, log, stop }: RunContext, { outcome, targets }: Ending): Promise<string> {
  const deleted = targets.reduce((sum, target) => sum + countRows(target.deleted), 0);
  if (deleted < VACUUM_FROM_ROWS) return "not needed";
  if (outcome !== "succeeded" || stop.aborted) return "skipped, for the run ended early";
  try {
    if (!(await mayVacuum(session))) return "not permitted to this role; autovacuum will do it";
    await vacuumTokens(session);
    return "done";
  } catch (error) {
    log.warn({ err: error }, "vacuum failed");
    return "failed; autovacuum will do it";
  }
}
