/*
 * Partitions whose rows are all past their retention. Dropping one costs nothing compared with deleting its rows, but must
 * not block anyone who uses the table.
 */

import type { Leaf } from "../../postgres/cleanup/batches.ts";
import type { Cutoffs, LeafCounts } from "../../postgres/cleanup/counts.ts";
import { dropPartition, type PartitionCount } from "../../postgres/cleanup/drop-partition.ts";
import {
  type DeadPartition,
  detachPartition,
  findDeadPartitions,
  findDetachedPartitions,
  isDetachBlocked,
  notePartition,
} from "../../postgres/cleanup/partitions.ts";
import type { ReferenceFacts } from "../../postgres/cleanup/reference-facts.ts";
import { isLockConflict } from "../../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { Logger } from "../../runtime/log.ts";
import type { PartitionReport } from "../report/report.ts";

/** Why a dead partition cannot be detached without blocking others; undefined if it can. */
export function findHindrance(partition: DeadPartition, target: Pick<CleanupTarget, "references">): string | undefined {
  if (!partition.isOwned) return "the role is not a member of its owner";
  if (partition.isDetachPending) return partition.isNoted ? undefined : "somebody else is detaching it";
  if (target.references.some((reference) => canReferTo(reference, partition))) return "other tables refer to it";
  if (partition.hasDependents) return "views, functions or other tables depend on it";
  if (partition.hasDeleteTriggers) return "a trigger must run when rows are deleted";
  if (partition.hasDefaultSibling) return "Postgres cannot detach concurrently next to a default partition";
  return undefined;
}

/** A foreign key to one partition does not keep the others. */
function canReferTo({ onlyIn }: Pick<ReferenceFacts, "onlyIn">, { oid, leaves }: DeadPartition): boolean {
  return onlyIn === null || onlyIn.some((relation) => relation === oid || leaves.includes(relation));
}

export interface PartitionOptions {
  readonly runId: string;
  readonly cutoffs: Cutoffs;
  /** What was counted at the time of the cutoffs, by the oid of the table that holds the rows. */
  readonly leaves: ReadonlyMap<string, LeafCounts>;
  /** Whether rows have gone since then with those of another target: the counts may be too high. */
  readonly hasCascaded: boolean;
  /** The most rows that may be deleted; undefined: any number. */
  readonly maxRows: number | undefined;
  readonly stop: AbortSignal;
  readonly log: Logger;
}

/** Finishes what a killed run has begun, then detaches and drops the partitions whose rows are all due. */
export async function dropDeadPartitions(
  session: Queryable,
  target: CleanupTarget,
  { runId, cutoffs, leaves, hasCascaded, maxRows = Number.POSITIVE_INFINITY, stop, log }: PartitionOptions,
): Promise<PartitionReport> {
  const dropped: { name: string; rows: number }[] = [];
  const kept: { name: string; reason: string }[] = [];
  if (!target.isPartitioned) return { dropped, kept };
  const drop = async (partition: Leaf & { readonly name: string }, counted: PartitionCount | undefined) => {
    const rows = await dropPartition(session, target, partition, { runId, counted });
    dropped.push({ name: partition.name, rows });
  };

  for (const partition of await findDetachedPartitions(session, target)) {
    if (stop.aborted) break;
    await drop(partition, undefined);
  }
  for (const partition of await findDeadPartitions(session, target, cutoffs.expiredBefore)) {
    if (stop.aborted) break;
    const counted = findCount(partition, leaves, cutoffs.now);
    const leftRows = dropped.reduce((left, { rows }) => left - rows, maxRows);
    const reason =
      findHindrance(partition, target) ??
      ((counted?.rows ?? 0) > leftRows
        ? "it has more rows than --max-rows leaves"
        : await tryDetach(session, target, partition));
    if (reason === undefined) {
      await drop(partition, hasCascaded ? undefined : counted);
    } else {
      log.warn({ partition: partition.name, reason }, "partition is not dropped");
      kept.push({ name: partition.name, reason });
    }
  }
  return { dropped, kept };
}

/** Detaches a partition. Returns why that is not possible now, or undefined if it is done. */
async function tryDetach(
  session: Queryable,
  target: CleanupTarget,
  partition: DeadPartition,
): Promise<string | undefined> {
  try {
    await notePartition(session, target, partition);
    await detachPartition(session, partition);
    return undefined;
  } catch (error) {
    if (isLockConflict(error)) return "other sessions use it; a later run detaches it";
    if (isDetachBlocked(error)) return "another partition is half detached; a later run continues";
    throw error;
  }
}

/** What the run has counted in a partition. Undefined if it did not exist then, or was hidden because half detached. */
function findCount(
  { leaves }: DeadPartition,
  counts: ReadonlyMap<string, LeafCounts>,
  at: string,
): PartitionCount | undefined {
  const counted = leaves.map((leaf) => counts.get(leaf)?.due);
  if (counted.includes(undefined)) return undefined;
  return { rows: counted.reduce<number>((sum, due = 0) => sum + due, 0), at };
}

/** What a run would do to the dead partitions. Changes nothing. */
export async function previewPartitions(
  db: Queryable,
  target: CleanupTarget,
  expiredBefore: string,
): Promise<PartitionReport> {
  const partitions = (await findDeadPartitions(db, target, expiredBefore)).map((partition) => ({
    partition,
    hindrance: findHindrance(partition, target),
  }));
  return {
    dropped: partitions.flatMap(({ partition, hindrance }) =>
      hindrance === undefined ? [{ name: partition.name, rows: 0 }] : [],
    ),
    kept: partitions.flatMap(({ partition, hindrance }) =>
      hindrance === undefined ? [] : [{ name: partition.name, reason: hindrance }],
    ),
  };
}
