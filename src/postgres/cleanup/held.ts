/*
 * When a batch fails because of some of its rows, these have to be found and told.
 */
import type { Queryable } from "../database.ts";
import type { BatchOptions, Leaf, OnLockedRow } from "./batches.ts";
import type { Cutoffs } from "./counts.ts";
import { formatDue, formatDueRows, rangeValues } from "./due.ts";
import { quoteIdentifier, quoteTable } from "./identifiers.ts";
import { type CleanupTarget, isOwnTable, keyAsText } from "./target.ts";

export interface ListOptions extends Pick<BatchOptions, "range" | "cutoffs" | "maxRows"> {
  /** Places that are left out. */
  readonly except: readonly string[];
  /** Locks the rows, and waits for those that are locked, or leaves them out. Undefined: they are only read. */
  readonly lock?: OnLockedRow;
}

/** The places of the rows of a range that are due, and the latest of their times if the range is one of times. */
export async function listDue(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  options: ListOptions,
): Promise<{ readonly places: string[]; readonly last: string | undefined }> {
  const { range, except, lock } = options;
  const time = "time" in range ? range.time : undefined;
  const died = time === undefined ? "null::text" : `target.${quoteIdentifier(time.column)}::text`;
  const rows = await session.query<{ place: string; died: string | null }>({
    text: `select target.ctid::text as place, ${died} as died from only ${leaf.sql} as target
           where target.ctid <> all ($1::tid[]) and ${formatDueRows(target, leaf.sql, options)}${lock === undefined ? "" : ` ${LOCKS[lock]}`}`,
    values: [except, ...rangeValues(range)],
  });
  return { places: rows.map(({ place }) => place), last: rows.at(-1)?.died ?? undefined };
}

const LOCKS: Readonly<Record<OnLockedRow, string>> = { wait: "for update", skip: "for update skip locked" };

/** The key of a row as the audit trail would have it; undefined if the table has no key, or if the row is gone. */
export async function findKey(
  session: Queryable,
  target: CleanupTarget,
  leaf: Leaf,
  place: string,
): Promise<string | undefined> {
  if (target.key.length === 0) return undefined;
  const [row] = await session.query<{ key: string }>({
    text: `select ${keyAsText(target)} as key from only ${leaf.sql} as target where target.ctid = $1::tid`,
    values: [place],
  });
  return row?.key;
}

/** How many due rows this session could lock now; none of our own table, of which the role may lock no row. */
export async function countLockable(session: Queryable, target: CleanupTarget, cutoffs: Cutoffs): Promise<number> {
  if (isOwnTable(target)) return 0;
  const [row] = await session.query<{ count: string }>({
    text: `select count(*) from (
             select from ${quoteTable(target)} as target where ${formatDue(target, cutoffs)} for update skip locked) as lockable`,
  });
  return Number(row?.count ?? 0);
}
