/*
 * What a target's rows are after a sweep. Rows that it has tried to delete and has left look like any others that are due, and would
 * be reported as work that nobody does.
 */
import {
  type Cutoffs,
  countRows,
  countTarget,
  findOldestWaiting,
  type RowCounts,
} from "../../postgres/cleanup/counts.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import type { Queryable } from "../../postgres/database.ts";
import type { HeldReason } from "../report/report.ts";
import { countHeld } from "./held-rows.ts";

/** Counts a target again, with the rows that could not be deleted among those that are held. */
export async function countAgain(
  session: Queryable,
  { target, cutoffs }: { readonly target: CleanupTarget; readonly cutoffs: Cutoffs },
  held: readonly HeldReason[],
): Promise<RowCounts> {
  const counts = setAside(await countTarget(session, target, cutoffs), held);
  // The oldest dead row is one of those that are held, and an alert on its age would never clear.
  if (held.length === 0 || countRows(counts.due) > 0) return counts;
  return { ...counts, oldestDeadAt: await findOldestWaiting(session, target, cutoffs) };
}

function setAside(counts: RowCounts, held: readonly HeldReason[]): RowCounts {
  const rows = Math.min(countHeld(held), countRows(counts.due));
  const expired = Math.max(0, counts.due.expired - rows);
  const revoked = countRows(counts.due) - rows - expired;
  return { ...counts, held: counts.held + rows, due: { expired, revoked } };
}
