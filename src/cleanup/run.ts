import {
  beginCleanupRun,
  type CleanupOutcome,
  createEventPartitions,
  dropEventPartitions,
  endCleanupRun,
  findExpiredEventPartitions,
  setLockTimeout,
  tryLockCleanup,
} from "../postgres/cleanup-runs.ts";
import { type Cutoffs, chooseCutoffs, countTokens, mayVacuum, vacuumTokens } from "../postgres/cleanup-tokens.ts";
import type { Connection } from "../postgres/database.ts";
import { requireSchema } from "../postgres/migrations.ts";
import type { Logger } from "../runtime/log.ts";
import type { CleanupConfig } from "./config.ts";
import type { Progress } from "./progress.ts";
import type { RunReport, TargetReport } from "./report.ts";
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
  readonly createProgress: (rowsDue: number) => Progress;
}

/**
 * One run on a session of its own; undefined when another run is at work. What a run did is kept in cleanup_runs, also
 * when it fails; a dry run writes nothing at all.
 */
export async function runCleanup(context: RunContext): Promise<RunReport | undefined> {
  const { session, config } = context;
  const startedAtMs = performance.now();
  await requireSchema(session);
  await setLockTimeout(session, config.APITOKEN_CLEANUP_LOCK_TIMEOUT);
  if (!(await tryLockCleanup(session))) return undefined;

  const runId = config.isDryRun ? undefined : await beginCleanupRun(session);
  const finish = (rest: Omit<RunReport, "isDryRun" | "runId" | "durationMs">): RunReport => ({
    ...rest,
    isDryRun: config.isDryRun,
    runId,
    durationMs: performance.now() - startedAtMs,
  });
  try {
    const report = finish(await cleanUp(context));
    await recordEnd(context, runId, report.outcome, report.targets, report.message);
    return report;
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    await recordEnd(context, runId, "failed", [], message).catch(() => {}); // the error that counts is the first
    throw error;
  }
}

async function recordEnd(
  { session }: RunContext,
  runId: string | undefined,
  outcome: CleanupOutcome,
  targets: readonly TargetReport[],
  error: string | undefined,
): Promise<void> {
  if (runId === undefined) return;
  const deleted = targets.reduce((sum, target) => sum + target.deleted.expired + target.deleted.revoked, 0);
  await endCleanupRun(session, runId, { outcome, deleted, targets, ...(error === undefined ? {} : { error }) });
}

async function cleanUp(context: RunContext): Promise<Omit<RunReport, "isDryRun" | "runId" | "durationMs">> {
  const { session, config, stop } = context;
  const auditPartitions = await keepEventPartitions(context);
  const cutoffs = await chooseCutoffs(
    session,
    config.APITOKEN_CLEANUP_RETENTION_EXPIRED,
    config.APITOKEN_CLEANUP_RETENTION_REVOKED,
  );
  const before = await countTokens(session, cutoffs);
  const untouched = { table: TABLE, before, after: undefined, deleted: { expired: 0, revoked: 0 }, batches: 0 };
  const excess = findExcess(TABLE, before, config.maxFraction);
  if (excess !== undefined) {
    return { outcome: "refused", targets: [untouched], auditPartitions, vacuum: "not needed", message: excess };
  }
  if (config.isDryRun) {
    return { outcome: "succeeded", targets: [untouched], auditPartitions, vacuum: "not needed", message: undefined };
  }

  const { isComplete, ...swept } = await sweep(context, cutoffs, before.due.expired + before.due.revoked);
  const vacuum = stop.aborted ? "skipped, for the run was stopped" : await vacuumIfNeeded(context, swept.deleted);
  const after = await countTokens(session, cutoffs);
  const left = after.due.expired + after.due.revoked;
  return {
    outcome: isComplete ? "succeeded" : "stopped",
    targets: [{ table: TABLE, before, after, ...swept }],
    auditPartitions,
    vacuum,
    message: isComplete ? undefined : `Stopped with ${left} rows of ${TABLE} left; the next run goes on with them.`,
  };
}

async function sweep(context: RunContext, cutoffs: Cutoffs, rowsDue: number) {
  const { session, config, stop, createProgress } = context;
  if (rowsDue === 0) return { deleted: { expired: 0, revoked: 0 }, batches: 0, isComplete: true };
  const progress = createProgress(rowsDue);
  try {
    return await sweepTokens(session, {
      cutoffs,
      audit: config.APITOKEN_CLEANUP_AUDIT,
      batchTargetMs: config.APITOKEN_CLEANUP_BATCH_TARGET,
      stop,
      onProgress: (fraction, deleted) => progress.update(fraction, deleted.expired + deleted.revoked),
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

async function vacuumIfNeeded(
  { session, log }: RunContext,
  deleted: { readonly expired: number; readonly revoked: number },
): Promise<string> {
  if (deleted.expired + deleted.revoked < VACUUM_FROM_ROWS) return "not needed";
  if (!(await mayVacuum(session))) return "not permitted to this role; autovacuum will do it";
  try {
    await vacuumTokens(session);
    return "done";
  } catch (error) {
    log.warn({ err: error }, "vacuum failed"); // the rows are gone all the same
    return "failed; autovacuum will do it";
  }
}
