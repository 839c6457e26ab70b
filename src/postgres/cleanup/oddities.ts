/*
 * Facts about a target's times that show whether its columns mean what the configuration says. They are read before the first
 * run only, and of a large table from a sample.
 */

import type { Queryable } from "../database.ts";
import { isTrue } from "./condition.ts";
import type { Cutoffs, RowCounts } from "./counts.ts";
import { quoteIdentifier, quoteTable } from "./identifiers.ts";
import { asTimestamp, belongs, type CleanupTarget, hasExpired, TARGET_ROW, wasRevoked } from "./target.ts";
import { decides, isTime, momentAs, type TimeColumn } from "./times.ts";

/** What the values of one time column look like. */
export interface TimeFacts {
  readonly column: string;
  /** How many rows have a time there, and how many of these are within the years 2000 to 2100. */
  readonly times: number;
  readonly plausible: number;
  /** One of the times, as text. */
  readonly example: string;
  /** How many rows are due because of it, and how many of these share the value that is the most frequent among them. */
  readonly due: number;
  readonly sharing: number;
  readonly shared: string;
}

/** A sample has about this many bytes of a table that is larger. */
const SAMPLE_BYTES = 256 * 2 ** 20;

/** The facts about each time column of a target. */
export async function readTimeFacts(
  db: Queryable,
  target: CleanupTarget,
  cutoffs: Cutoffs,
  { tableBytes }: Pick<RowCounts, "tableBytes">,
): Promise<TimeFacts[]> {
  const facts: TimeFacts[] = [];
  const columns = [
    { times: target.expiresAt ?? [], due: hasExpired(target, asTimestamp(cutoffs.expiredBefore)) },
    { times: target.revokedAt ?? [], due: wasRevoked(target, asTimestamp(cutoffs.revokedBefore)) },
  ].flatMap(({ times, due }) => times.map((time) => ({ time, due: `${decides(times, time, TARGET_ROW)} and ${due}` })));
  const percent = Math.max(0.001, Math.min(100, (100 * SAMPLE_BYTES) / Math.max(1, tableBytes)));
  for (const { time, due } of columns) facts.push(await readColumn(db, target, time, due, percent));
  return facts;
}

interface ColumnRow {
  times: string;
  plausible: string;
  example: string | null;
  due: string;
  sharing: string;
  shared: string | null;
}

async function readColumn(
  db: Queryable,
  target: CleanupTarget,
  time: TimeColumn,
  due: string,
  percent: number,
): Promise<TimeFacts> {
  const column = `${TARGET_ROW}.${quoteIdentifier(time.column)}`;
  const century = [momentAs(time, asTimestamp("2000-01-01")), momentAs(time, asTimestamp("2101-01-01"))];
  const sample = percent < 100 ? ` tablesample system (${percent})` : "";
  const [row] = await db.query<ColumnRow>({
    text: `with looked as (
             select ${column} as value, ${isTrue(isTime(time, TARGET_ROW))} as is_time,
                    ${isTrue(due)} as is_due,
                    ${column} >= ${century[0]} and ${column} < ${century[1]} as is_plausible
             from ${quoteTable(target)} as target${sample} where ${belongs(target)} and ${column} is not null
           ), common as (
             select value, count(*) as sharing from looked where is_due group by value order by sharing desc, value limit 1
           )
           select count(*) filter (where is_time) as times, count(*) filter (where is_time and is_plausible) as plausible,
                  count(*) filter (where is_due) as due, min(value::text) filter (where is_time and not is_plausible) as example,
                  coalesce((select sharing from common), 0) as sharing, (select value::text from common) as shared
           from looked`,
  });
  return {
    column: time.column,
    times: Number(row?.times ?? 0),
    plausible: Number(row?.plausible ?? 0),
    example: row?.example ?? "",
    due: Number(row?.due ?? 0),
    sharing: Number(row?.sharing ?? 0),
    shared: row?.shared ?? "",
  };
}
