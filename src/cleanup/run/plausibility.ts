/*
 * Before a definition is used for the first time, it has to look right: a wrong unit, a value that means "never", or a column that
 * means something else would delete live rows, and only a person can say that what looks odd is meant.
 */
import { countRows, type RowCounts } from "../../postgres/cleanup/counts.ts";
import type { TimeFacts } from "../../postgres/cleanup/oddities.ts";
import { Fault } from "../../runtime/fault.ts";

/** A larger part of the due rows has one value only if the value has a meaning, or if they all ended at once. */
const MOST_SHARING = 0.1;

/** What is odd about a target's rows, as clauses for people; empty if nothing is. */
export function findOddities(
  counts: Pick<RowCounts, "total" | "due">,
  times: readonly TimeFacts[],
  firstRunMaxFraction: number,
): string[] {
  const due = countRows(counts.due);
  return [
    ...times.flatMap(describeTimes),
    ...(due > counts.total * firstRunMaxFraction
      ? [
          `${due} of ${counts.total} rows are due, more than the share of ${firstRunMaxFraction} that a first run may delete`,
        ]
      : []),
  ];
}

function describeTimes({ column, times, plausible, example, due, sharing, shared }: TimeFacts): string[] {
  return [
    ...(times > 0 && plausible === 0
      ? [
          `no time in ${column} is within the years 2000 to 2100 (one is ${example}): the unit in epoch may be wrong, or the column`,
        ]
      : []),
    ...(sharing > 1 && sharing > due * MOST_SHARING
      ? [
          `${sharing} of ${due} rows that are due have the same ${column}, ${shared}: if it means "never", list it in never`,
        ]
      : []),
  ];
}

/** The refusal of a definition that nobody has confirmed. */
export function createOddity(oddities: readonly string[], definition: string): Fault {
  return new Fault({
    faultCode: "APITOKEN_E_TARGET_ODD",
    problem: `before its first run, this looks odd: ${oddities.join("; ")}. Nothing was deleted`,
    remedy: `look at "cleanup validate", and if it is right, add "confirm: ${definition}" to the target`,
  });
}
