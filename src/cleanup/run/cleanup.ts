/*
 * One run from its lock to its record in cleanup_runs: server and targets are checked and everything is counted before the
 * first row is deleted.
 */
import { findPid, readNextXid, readServerState, type ServerState } from "../../postgres/cleanup/pressure.ts";
import {
  beginCleanupRun,
  type CleanupOutcome,
  endCleanupRun,
  findIntruder,
  prepareRun,
  setLockTimeout,
  tryLockCleanup,
} from "../../postgres/cleanup/runs.ts";
import type { Database, Queryable } from "../../postgres/database.ts";
import {
  createEventPartitions,
  EVENT_MONTHS_AHEAD,
  emptyEventPartitions,
  findExpiredEventPartitions,
} from "../../postgres/event-partitions.ts";
import { requireSchema } from "../../postgres/schema-version.ts";
import { Fault } from "../../runtime/fault.ts";
import type { Logger } from "../../runtime/log.ts";
import type { CleanupConfig } from "../config.ts";
import { countDeleted, type RunReport, type TargetReport } from "../report/report.ts";
import type { CheckedTarget } from "../target/check.ts";
import { checkTargets } from "../target/targets.ts";
import { createCourtesy } from "./courtesy.ts";
import { previewPartitions } from "./partitions.ts";
import { planTargets } from "./plan.ts";
import type { Progress } from "./progress.ts";
import { findClockWarning, findObstruction } from "./safety.ts";
import { explainFailure, runTarget } from "./target-run.ts";
import { startThrottle } from "./throttle.ts";

export interface RunContext {
  readonly db: Database;
  readonly config: CleanupConfig;
  /** Ends the run between two batches. */
  readonly stop: AbortSignal;
  readonly log: Logger;
  readonly createProgress: (table: string, rowsDue: number) => Progress;
}

interface SessionContext extends RunContext {
  readonly session: Queryable;
}

type Ending = Pick<RunReport, "outcome" | "targets" | "auditPartitions" | "code" | "message">;

const NO_PARTITIONS: RunReport["auditPartitions"] = { created: [], emptied: [] };

/**
 * One run; undefined if another run is in progress. What a run did is recorded in cleanup_runs, even if it fails. A dry run
 * writes nothing and takes no lock, so that it cannot keep the nightly run from its work. A target that does not fit the
 * database fails alone.
 */
export async function runCleanup(context: RunContext): Promise<RunReport | undefined> {
  const startedAtMs = performance.now();
  const { config } = context;
  return context.db.withConnection(async (session) => {
    const here: SessionContext = { ...context, session };
    await prepareRun(session);
    await setLockTimeout(session, config.lockTimeoutMs);
    await requireSchema(session);
    const finish = (runId: string | undefined, ending: Ending): RunReport => ({
      ...ending,
      isDryRun: config.isDryRun,
      runId,
      durationMs: performance.now() - startedAtMs,
    });
    const obstruction = checkServer(here, await readServerState(session));
    if (obstruction !== undefined) return finish(undefined, fail(obstruction, config));
    const checked = await checkTargets(session, config);
    if (config.isDryRun) {
      return finish(undefined, await preview(here, checked).catch((error: unknown) => fail(error, config)));
    }
    if (!(await tryLockCleanup(session))) {
      const intruder = await findIntruder(session);
      return intruder && finish(undefined, fail(createIntrusion(intruder), config));
    }
    const runId = await beginCleanupRun(session);
    const ending = await cleanUp(here, checked, runId).catch((error: unknown) => {
      context.log.error({ err: error }, "cleanup failed");
      return fail(error, config);
    });
    await recordEnd(here, runId, ending);
    return finish(runId, ending);
  });
}

function createIntrusion({ pid, description }: { readonly pid: number; readonly description: string }): Fault {
  return new Fault({
    faultCode: "APITOKEN_E_DATABASE_LOCKED",
    problem: `${description} holds the lock that only one cleanup can hold, and is not a cleanup`,
    remedy: `end that session: select pg_terminate_backend(${pid})`,
  });
}

function fail(error: unknown, config: CleanupConfig): Ending {
  return { outcome: "failed", targets: [], auditPartitions: NO_PARTITIONS, ...explainFailure(error, config) };
}

function checkServer({ log, config }: RunContext, state: ServerState): Fault | undefined {
  const warning = findClockWarning(state);
  if (warning !== undefined) log.warn({ clockDifferenceMs: Math.round(state.clockDifferenceMs) }, "clocks differ");
  if (!state.seesReplicas && (config.pressureLimits.replicaLagMs ?? 0) > 0) {
    log.debug("the role does not see the replicas' lag; grant pg_monitor to apitoken_cleanup");
  }
  return findObstruction(state);
}

async function preview(context: SessionContext, checked: readonly CheckedTarget[]): Promise<Ending> {
  const { session, config } = context;
  const auditPartitions = {
    created: [],
    emptied: await findExpiredEventPartitions(session, config.auditRetentionMs),
  };
  const reports: TargetReport[] = [];
  for (const { planned, report } of await planTargets(session, checked, config)) {
    const partitions =
      planned === undefined
        ? report.partitions
        : await previewPartitions(session, planned.target, planned.cutoffs.expiredBefore);
    reports.push({ ...report, partitions });
  }
  return conclude(reports, auditPartitions);
}

async function cleanUp(context: SessionContext, checked: readonly CheckedTarget[], runId: string): Promise<Ending> {
  const { session, config, db, log } = context;
  // First, because without a partition for the month no token could be issued.
  const auditPartitions = {
    created: await createEventPartitions(session, EVENT_MONTHS_AHEAD),
    emptied: await emptyEventPartitions(session, config.auditRetentionMs),
  };
  const pids = [await findPid(session)];
  const courtesy = createCourtesy(config.busyShare, { nextXid: await readNextXid(session), atMs: performance.now() });
  const watch = () => startThrottle(db, pids, config.pressureLimits, courtesy, log);
  // While everything is counted, so that it is known at the first batch whether others write.
  const watching = watch();
  const plan = await planTargets(session, checked, config).finally(() => watching.end());
  const reports: TargetReport[] = [];
  for (const { planned, report } of plan) {
    if (planned === undefined) {
      const { table, outcome, code, message: reason } = report;
      if (outcome === "failed") log.error({ table, code, reason }, "target cannot be cleaned");
      else log.warn({ table, code, reason }, "target is not cleaned");
      reports.push(report);
      continue;
    }
    const leftRows =
      config.maxRows === undefined
        ? undefined
        : config.maxRows - reports.reduce((sum, done) => sum + countDeleted(done), 0);
    const throttle = watch();
    try {
      const hasCascaded = reports.some(({ deleted }) => deleted.cascaded > 0);
      reports.push(await runTarget(planned, { ...context, runId, throttle, maxRows: leftRows, hasCascaded }));
    } finally {
      await throttle.end();
    }
  }
  return conclude(reports, auditPartitions);
}

/** How a run ended that has looked at every target: as the target did that ended worst. */
function conclude(targets: readonly TargetReport[], auditPartitions: RunReport["auditPartitions"]): Ending {
  const outcome = worstOf(targets);
  const messages = targets.flatMap(({ table, message }) =>
    message === undefined ? [] : [targets.length > 1 ? `${table}: ${message}` : message],
  );
  return {
    outcome,
    targets,
    auditPartitions,
    code: targets.find((target) => target.outcome === outcome)?.code,
    message: messages.length === 0 ? undefined : messages.join("\n"),
  };
}

const BY_SEVERITY = ["failed", "refused", "stopped", "succeeded"] as const;

function worstOf(reports: readonly TargetReport[]): CleanupOutcome {
  return BY_SEVERITY.find((outcome) => reports.some((report) => report.outcome === outcome)) ?? "succeeded";
}

/** If this fails as well, the run stays open, and the next one closes it. */
async function recordEnd(
  { session, log }: SessionContext,
  runId: string,
  { outcome, targets, message }: Ending,
): Promise<void> {
  try {
    await endCleanupRun(session, runId, { outcome, targets, ...(message === undefined ? {} : { error: message }) });
  } catch (cause) {
    if (outcome !== "failed") throw cause;
    log.warn({ err: cause }, "cannot record the end of the run");
  }
}
