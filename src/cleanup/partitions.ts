import {
  type DeadPartition,
  detachPartition,
  dropPartition,
  findDeadPartitions,
  findDetachedPartitions,
  isDetachBlocked,
  notePartition,
} from "../postgres/cleanup-partitions.ts";
import { isLockConflict } from "../postgres/cleanup-runs.ts";
import type { CleanupTarget } from "../postgres/cleanup-target.ts";
import type { Queryable } from "../postgres/database.ts";
import type { Logger } from "../runtime/log.ts";

/** What became of a target's dead partitions. */
export interface PartitionReport {
  /** Dropped whole, or in a dry run: to be dropped. */
  readonly dropped: readonly { readonly name: string; readonly rows: number }[];
  /** Their rows are deleted instead, and why. */
  readonly kept: readonly { readonly name: string; readonly reason: string }[];
}

/** Why a dead partition cannot be detached without holding others up; undefined when it can be. */
export function findHindrance(partition: DeadPartition, target: Pick<CleanupTarget, "references">): string | undefined {
  if (!partition.isOwned) return "the role is no member of its owner";
  if (partition.isDetachPending) return undefined;
  if (target.references.length > 0) return "other tables refer to it";
  if (partition.hasDefaultSibling) return "beside a default partition Postgres detaches none concurrently";
  return undefined;
}

export interface PartitionOptions {
  readonly runId: string;
  readonly expiredBefore: string;
  readonly stop: AbortSignal;
  readonly log: Logger;
}

/** Detaches and drops the partitions of which every row is due; finishes first what a killed run has begun. */
export async function dropDeadPartitions(
  session: Queryable,
  target: CleanupTarget,
  { runId, expiredBefore, stop, log }: PartitionOptions,
): Promise<PartitionReport> {
  const dropped: { name: string; rows: number }[] = [];
  const kept: { name: string; reason: string }[] = [];
  if (!target.isPartitioned) return { dropped, kept };
  for (const partition of await findDeadPartitions(session, target, expiredBefore)) {
    if (stop.aborted) break;
    const hindrance = findHindrance(partition, target);
    if (hindrance !== undefined) {
      kept.push({ name: partition.name, reason: hindrance });
      continue;
    }
    try {
      await notePartition(session, target, partition);
      await detachPartition(session, partition);
    } catch (error) {
      const reason = isLockConflict(error)
        ? "other sessions use it; a later run detaches it"
        : isDetachBlocked(error)
          ? "another partition is half detached; a later run goes on"
          : undefined;
      if (reason === undefined) throw error;
      log.warn({ partition: partition.name, reason }, "partition is not detached");
      kept.push({ name: partition.name, reason });
    }
  }
  for (const partition of await findDetachedPartitions(session, target)) {
    if (stop.aborted) break;
    dropped.push({ name: partition.name, rows: await dropPartition(session, target, partition, runId) });
  }
  return { dropped, kept };
}

/** What a run would do, without doing it. */
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
