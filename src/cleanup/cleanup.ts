/*
 * One run from its lock to its record in cleanup_runs: server and targets are checked and everything is counted before the
 * first row is deleted.
 */
import { chooseCutoffs, countLeaves } from "../postgres/cleanup/counts.ts";
import { findPid, readNextXid, readServerState, type ServerState } from "../postgres/cleanup/pressure.ts";
import {
  beginCleanupRun,
  type CleanupOutcome,
  endCleanupRun,
  findIntruder,
  prepareRun,
  setLockTimeout,
  tryLockCleanup,
} from "../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../postgres/cleanup/target.ts";
import type { Database, Queryable } from "../postgres/database.ts";
import {
  createEventPartitions,
  EVENT_MONTHS_AHEAD,
  emptyEventPartitions,
  findExpiredEventPartitions,
} from "../postgres/event-partitions.ts";
import { requireSchema } from "../postgres/migrations.ts";
import { Fault } from "../runtime/fault.ts";
import type { Logger } from "../runtime/log.ts";
import type { CleanupConfig } from "./config.ts";
import { createCourtesy } from "./courtesy.ts";
import { previewPartitions } from "./partitions.ts";
import type { Progress } from "./progress.ts";
import { countDeleted, type RunReport, type TargetReport } from "./report.ts";
import { findClockWarning, findExcess, findObstruction } from "./safety.ts";
import { explainFailure, type PlannedTarget, runTarget, untouched } from "./target-run.ts";
import { checkTargets, requireTargets } from "./targets.ts";
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
 * writes nothing and takes no lock, so that it cannot keep the nightly run from its work. Throws a ConfigError if a target
 * does not fit the database.
 */
export async function runCleanup(context: RunContext): Promise<RunReport | undefined> {
  const startedAtMs = performance.now();
  const { config } = context;
  return context.db.withConnection(async (session) => {
    const here: SessionContext = { ...context, session };
    await prepareRun(session);
    await setLockTimeout(session, config.lockTimeoutMs);
    await requireSchema(session);
    const conclude = (runId: string | undefined, ending: Ending): RunReport => ({
      ...ending,
      isDryRun: config.isDryRun,
      runId,
      durationMs: performance.now() - startedAtMs,
    });
    const obstruction = checkServer(here, await readServerState(session));
    if (obstruction !== undefined) return conclude(undefined, fail(obstruction, config));
    const targets = requireTargets(await checkTargets(session, config));
    if (config.isDryRun) {
      return conclude(undefined, await preview(here, targets).catch((error: unknown) => fail(error, config)));
    }
    if (!(await tryLockCleanup(session))) {
      const intruder = await findIntruder(session);
      return intruder && conclude(undefined, fail(createIntrusion(intruder), config));
    }
    const runId = await beginCleanupRun(session);
    const ending = await cleanUp(here, targets, runId).catch((error: unknown) => {
      context.log.error({ err: error }, "cleanup failed");
      return fail(error, config);
    });
    await recordEnd(here, runId, ending);
    return conclude(runId, ending);
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

/** Counts all targets before anything is deleted, so that the safety cap can refuse the run as a whole. */
async function countTargets({ session }: SessionContext, targets: readonly CleanupTarget[]): Promise<PlannedTarget[]> {
  const planned: PlannedTarget[] = [];
  for (const target of targets) {
    const cutoffs = await chooseCutoffs(session, target.retention);
    const { counts, leaves } = await countLeaves(session, target, cutoffs);
    planned.push({ target, cutoffs, before: counts, leaves });
  }
  return planned;
}

function refuseExcess(planned: readonly PlannedTarget[]): Omit<Ending, "auditPartitions"> | undefined {
  const excesses = planned.map(({ target, before }) => findExcess(target.name, before, target.maxFraction));
  const faults = excesses.filter((excess) => excess !== undefined);
  if (faults.length === 0) return undefined;
  const targets = planned.map((each, index) =>
    untouched(each, { outcome: excesses[index] === undefined ? "stopped" : "refused" }),
  );
  const message = faults.map((fault) => fault.message).join("\n");
  return { outcome: "refused", targets, code: faults[0]?.faultCode, message };
}

async function preview(context: SessionContext, targets: readonly CleanupTarget[]): Promise<Ending> {
  const { session, config } = context;
  const emptied = await findExpiredEventPartitions(session, config.auditRetentionMs);
  const auditPartitions = { created: [], emptied };
  const planned = await countTargets(context, targets);
  const refusal = refuseExcess(planned);
  if (refusal !== undefined) return { ...refusal, auditPartitions };
  const reports: TargetReport[] = [];
  for (const each of planned) {
    const partitions = await previewPartitions(session, each.target, each.cutoffs.expiredBefore);
    reports.push(untouched(each, { partitions }));
  }
  return { outcome: "succeeded", targets: reports, auditPartitions, code: undefined, message: undefined };
}

async function cleanUp(context: SessionContext, targets: readonly CleanupTarget[], runId: string): Promise<Ending> {
  const { session, config, db, log } = context;
  // First, because without a partition for the month no token could be issued.
  const auditPartitions = {
    created: await createEventPartitions(session, EVENT_MONTHS_AHEAD),
    emptied: await emptyEventPartitions(session, config.auditRetentionMs),
  };
  const courtesy = createCourtesy(config.busyShare, await readNextXid(session));
  const planned = await countTargets(context, targets);
  const refusal = refuseExcess(planned);
  if (refusal !== undefined) return { ...refusal, auditPartitions };

  courtesy.observe(await readNextXid(session)); // counting took time and wrote nothing
  const reports: TargetReport[] = [];
  const pids = [await findPid(session)];
  for (const each of planned) {
    const leftRows =
      config.maxRows === undefined
        ? undefined
        : config.maxRows - reports.reduce((sum, report) => sum + countDeleted(report), 0);
    const throttle = startThrottle(db, pids, config.pressureLimits, courtesy, log);
    try {
      reports.push(await runTarget(each, { ...context, runId, throttle, maxRows: leftRows }));
    } finally {
      await throttle.end();
    }
  }
  const outcome = worstOf(reports);
  const messages = reports.flatMap(({ table, outcome: end, message = "" }) =>
    end === "succeeded" ? [] : [reports.length > 1 ? `${table}: ${message}` : message],
  );
  return {
    outcome,
    targets: reports,
    auditPartitions,
    code: reports.find(({ code }) => code !== undefined)?.code,
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
