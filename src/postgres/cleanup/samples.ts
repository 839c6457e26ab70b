/*
 * A few of the rows that would go first, so that a person can look them up in the application before anything is deleted.
 */

import type { Queryable } from "../database.ts";
import { isTrue } from "./condition.ts";
import type { Cutoffs } from "./counts.ts";
import { formatDue } from "./due.ts";
import { quoteTable } from "./identifiers.ts";
import { asTimestamp, type CleanupTarget, hasExpired, keyAsText, TARGET_ROW } from "./target.ts";
import { passedAt } from "./times.ts";

/** A row that is due. */
export interface DueSample {
  /** As the audit trail would have it; undefined if the table has no key. */
  readonly key: string | undefined;
  readonly reason: "expired" | "revoked";
  /** Undefined if the row has no time of this. */
  readonly diedAt: string | undefined;
}

/** The rows that have been dead for the longest of those that are due. */
export async function findDueSamples(
  db: Queryable,
  target: CleanupTarget,
  cutoffs: Cutoffs,
  limit: number,
): Promise<DueSample[]> {
  const expired = isTrue(hasExpired(target, asTimestamp(cutoffs.expiredBefore)));
  const timeOf = (times: CleanupTarget["expiresAt"]) =>
    times === undefined ? "null::timestamptz" : passedAt(times, asTimestamp(cutoffs.now), TARGET_ROW);
  const died = `case when ${expired} then ${timeOf(target.expiresAt)} else ${timeOf(target.revokedAt)} end`;
  const rows = await db.query<{ key: string | null; is_expired: boolean; died_at: string | null }>({
    text: `select ${target.key.length === 0 ? "null::text" : keyAsText(target)} as key, ${expired} as is_expired,
                  date_trunc('second', ${died})::text as died_at
           from ${quoteTable(target)} as target where ${formatDue(target, cutoffs)}
           order by ${died}, target.tableoid, target.ctid limit ${Math.floor(limit)}`,
  });
  return rows.map(({ key, is_expired, died_at }) => ({
    key: key ?? undefined,
    reason: is_expired ? "expired" : "revoked",
    diedAt: died_at ?? undefined,
  }));
}
