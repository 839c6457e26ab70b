/*
 * What a run would do to each target now, and what keeps it from that. A target that cannot be looked at has an error of its own,
 * and the others are shown all the same.
 */
import type { RowCounts } from "../../postgres/cleanup/counts.ts";
import { countRows } from "../../postgres/cleanup/counts.ts";
import { formatTableName } from "../../postgres/cleanup/identifiers.ts";
import { findUsedDefinitions } from "../../postgres/cleanup/runs.ts";
import { type DueSample, findDueSamples } from "../../postgres/cleanup/samples.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import { isReportedByServer } from "../../postgres/errors.ts";
import type { CleanupConfig } from "../config.ts";
import type { PartitionReport, TargetReport } from "../report/report.ts";
import { previewPartitions } from "../run/partitions.ts";
import { findCapFault, measureTarget, readOddities } from "../run/plan.ts";
import { explainFailure } from "../run/target-run.ts";
import type { CheckedTarget } from "../target/check.ts";
import { hashDefinition } from "../target/definition.ts";
import type { CheckFinding } from "../target/finding.ts";

/** A target, and what a run would do to it now. `--output json` prints exactly this object. */
export interface Inspection {
  readonly name: string;
  readonly table: string;
  readonly retention: CleanupTarget["retention"];
  readonly audit: CleanupTarget["audit"];
  readonly key: readonly string[];
  /** The hash of the definition, which `confirm` in the configuration takes. */
  readonly definition: string;
  /** The same hash, if a run is refused until the configuration confirms it. */
  readonly confirm: string | undefined;
  /** Whether an earlier run has cleaned with this definition, so that it is not checked for plausibility any more. */
  readonly isUsed: boolean;
  readonly isConfirmed: boolean;
  /** Why the cap forbids a run. */
  readonly cap: string | undefined;
  readonly maxFraction: number;
  /** Undefined if the target has errors, or cannot be counted. */
  readonly counts: RowCounts | undefined;
  readonly cascades: TargetReport["cascades"];
  /** The rows that would go first. */
  readonly samples: readonly DueSample[];
  readonly partitions: PartitionReport;
  readonly findings: readonly CheckFinding[];
}

const SAMPLES = 3;

export interface InspectionContext {
  readonly config: CleanupConfig;
  /** The definitions with which an earlier run has cleaned. */
  readonly used: ReadonlySet<string>;
}

/** What inspections have in common. */
export async function startInspection(session: Queryable, config: CleanupConfig): Promise<InspectionContext> {
  return { config, used: await findUsedDefinitions(session) };
}

/** Inspects a target that has been checked. Throws only if the database is lost. */
export async function inspectTarget(
  session: Queryable,
  checked: CheckedTarget,
  { config, used }: InspectionContext,
): Promise<Inspection> {
  const { target, findings } = checked;
  const definition = hashDefinition(checked.config);
  const plain: Inspection = {
    name: checked.name,
    table: formatTableName(checked.config.table),
    retention: checked.config.retention,
    audit: checked.config.audit,
    key: target?.key ?? checked.config.key ?? [],
    definition,
    confirm: undefined,
    isUsed: used.has(definition),
    isConfirmed: checked.config.confirm.includes(definition),
    cap: undefined,
    maxFraction: target?.maxFraction ?? checked.config.maxFraction ?? config.maxFraction,
    counts: undefined,
    cascades: [],
    samples: [],
    partitions: { dropped: [], kept: [] },
    findings,
  };
  if (target === undefined) return plain;
  try {
    return await measure(session, target, plain);
  } catch (error) {
    if (!isReportedByServer(error)) throw error;
    const message = `it cannot be counted: ${explainFailure(error, config).message}`;
    return { ...plain, findings: [{ level: "error", message }, ...findings] };
  }
}

async function measure(session: Queryable, target: CleanupTarget, plain: Inspection): Promise<Inspection> {
  const planned = await measureTarget(session, target);
  const { before, cutoffs, cascades } = planned;
  const oddities = plain.isUsed ? [] : await readOddities(session, planned);
  const cap = findCapFault(planned)?.message;
  return {
    ...plain,
    counts: before,
    cascades,
    samples: countRows(before.due) === 0 ? [] : await findDueSamples(session, target, cutoffs, SAMPLES),
    partitions: await previewPartitions(session, target, cutoffs.expiredBefore),
    cap,
    confirm: oddities.length > 0 && !plain.isConfirmed ? plain.definition : undefined,
    findings: [
      ...(cap === undefined ? [] : [{ level: "error" as const, message: `a run would be refused by the cap: ${cap}` }]),
      ...oddities.map((oddity) => describeOddity(oddity, plain.isConfirmed)),
      ...plain.findings,
    ],
  };
}

function describeOddity(oddity: string, isConfirmed: boolean): CheckFinding {
  return isConfirmed
    ? { level: "note", message: `odd, and confirmed: ${oddity}` }
    : { level: "error", message: `this looks odd, and a first run would be refused: ${oddity}` };
}
