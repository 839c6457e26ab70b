/*
 * Looks at every target before anything is deleted anywhere: what is due, and whether so much may go. A target that cannot be
 * looked at, or that should not be cleaned, has its report already; the others are cleaned all the same.
 */
import { countCascades } from "../../postgres/cleanup/cascades.ts";
import { chooseCutoffs, countLeaves } from "../../postgres/cleanup/counts.ts";
import { readTimeFacts } from "../../postgres/cleanup/oddities.ts";
import { findUsedDefinitions } from "../../postgres/cleanup/runs.ts";
import { type CleanupTarget, isOwnTable } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import { isReportedByServer } from "../../postgres/errors.ts";
import type { Fault } from "../../runtime/fault.ts";
import type { CleanupConfig } from "../config.ts";
import type { TargetReport } from "../report/report.ts";
import type { CheckedTarget } from "../target/check.ts";
import { hashDefinition } from "../target/definition.ts";
import { findErrors } from "../target/targets.ts";
import { createOddity, findOddities } from "./plausibility.ts";
import { findCascadeExcess, findExcess } from "./safety.ts";
import { explainFailure, type PlannedTarget, untouched } from "./target-run.ts";

/** A target, and its report as long as nothing is deleted from it. */
export interface PlanStep {
  /** Undefined if it must not be cleaned: the report says why. */
  readonly planned: PlannedTarget | undefined;
  readonly report: TargetReport;
}

/** Plans every target, in their order. Throws only if the database is lost. */
export async function planTargets(
  session: Queryable,
  checked: readonly CheckedTarget[],
  config: CleanupConfig,
): Promise<PlanStep[]> {
  const used = await findUsedDefinitions(session);
  const steps: PlanStep[] = [];
  for (const each of checked) steps.push(await planTarget(session, each, { config, used }));
  return steps;
}

interface PlanContext {
  readonly config: CleanupConfig;
  /** The definitions with which an earlier run has cleaned. */
  readonly used: ReadonlySet<string>;
}

async function planTarget(
  session: Queryable,
  checked: CheckedTarget,
  { config, used }: PlanContext,
): Promise<PlanStep> {
  const { target, failure } = checked;
  if (failure !== undefined) return skip(checked, { outcome: "failed", ...explainFailure(failure, config) });
  if (target === undefined) {
    const message = findErrors(checked).join("; ");
    return skip(checked, { outcome: "failed", code: "APITOKEN_E_TARGET_INVALID", message });
  }
  try {
    const planned = await measureTarget(session, target);
    const isKnown = used.has(target.definition) || checked.config.confirm.includes(target.definition);
    const oddities = isKnown ? [] : await readOddities(session, planned);
    return judge(planned, oddities);
  } catch (error) {
    if (!isReportedByServer(error)) throw error;
    return skip(checked, { outcome: "failed", ...explainFailure(error, config) });
  }
}

/** Counts what is due of a target, and what would go with it. */
export async function measureTarget(session: Queryable, target: CleanupTarget): Promise<PlannedTarget> {
  const cutoffs = await chooseCutoffs(session, target.retention);
  const { counts, leaves } = await countLeaves(session, target, cutoffs);
  const cascades = await countCascades(session, target, cutoffs);
  return { target, cutoffs, before: counts, leaves, cascades };
}

/** What is odd about a target that no run has cleaned yet. Our own table is what we know it to be. */
export async function readOddities(session: Queryable, { target, before, cutoffs }: PlannedTarget): Promise<string[]> {
  if (isOwnTable(target)) return [];
  return findOddities(before, await readTimeFacts(session, target, cutoffs, before), target.firstRunMaxFraction);
}

/** Why the cap forbids a run to clean the target; undefined if it does not. */
export function findCapFault({ target, before, cascades }: PlannedTarget): Fault | undefined {
  return (
    findExcess(target.name, before, target.maxFraction) ?? findCascadeExcess(target.name, cascades, target.maxFraction)
  );
}

function judge(planned: PlannedTarget, oddities: readonly string[]): PlanStep {
  const { target, before, cascades } = planned;
  const refusal =
    findCapFault(planned) ?? (oddities.length === 0 ? undefined : createOddity(oddities, target.definition));
  if (refusal === undefined) return { planned, report: untouched(target, { before, cascades }) };
  const { faultCode: code, message } = refusal;
  return { planned: undefined, report: untouched(target, { before, cascades, outcome: "refused", code, message }) };
}

function skip({ config }: CheckedTarget, why: Pick<TargetReport, "outcome" | "code" | "message">): PlanStep {
  return { planned: undefined, report: untouched({ ...config, definition: hashDefinition(config) }, why) };
}
