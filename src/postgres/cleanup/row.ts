/*
 * One row of a target, as far as the target's rule looks at it. Nothing else of the row is read.
 */
import type { Queryable } from "../database.ts";
import { reportedState } from "../errors.ts";
import { type Comparison, isTrue } from "./condition.ts";
import type { Cutoffs } from "./counts.ts";
import { findHolders } from "./families.ts";
import { formatTableName, quoteIdentifier, quoteTable } from "./identifiers.ts";
import type { ReferenceFacts } from "./reference-facts.ts";
import { cutoffsAt } from "./references.ts";
import { asTimestamp, belongs, type CleanupTarget, hasExpired, hasExpiry, TARGET_ROW, wasRevoked } from "./target.ts";
import { passedAt, placeOfDeciding, type TimeColumn, type TimeSource } from "./times.ts";

/** A time column that decides, with the values that it decides by, as text. */
export interface DecidingTime {
  readonly column: string;
  readonly value: string;
  /** The column with the seconds that are added, if there is one, and its value. */
  readonly plusSeconds: { readonly column: string; readonly value: string } | undefined;
  readonly plusMs: number;
}

/** What decides about a row. Times are text in UTC. */
export interface RowFacts {
  readonly belongs: boolean;
  /** The comparisons of `where` and `revoked`, with the column's value and whether they are true. */
  readonly where: readonly ComparedColumn[];
  readonly revoked: readonly ComparedColumn[];
  /** Undefined: no column is set, or the target has none. */
  readonly expiry: DecidingTime | undefined;
  readonly revocation: DecidingTime | undefined;
  readonly hasExpiry: boolean;
  readonly hasExpired: boolean;
  readonly wasRevoked: boolean;
  readonly isPastExpiry: boolean;
  readonly isPastRevocation: boolean;
  /** When it expires or has expired, and when that is past its retention; undefined if never, or after the year 9999. */
  readonly expiresAt: string | undefined;
  readonly expiryDueAt: string | undefined;
  readonly revokedAt: string | undefined;
  readonly revocationDueAt: string | undefined;
  /** The foreign keys that keep the row. They are looked at only if the row is past its retention. */
  readonly heldBy: readonly ReferenceFacts[];
}

export interface ComparedColumn {
  readonly comparison: Comparison;
  readonly value: string | null;
  readonly isTrue: boolean;
}

/** SQLSTATEs of a text that is not a value of the key's type: data exceptions. */
const KEY_FAULTS = /^22/;

/** A key, by the columns of a target's key and as the audit trail writes it. */
export interface RowKey {
  readonly parts: readonly string[];
  readonly text: string;
}

/** The key that a person has given; a text why it cannot be one. Several columns are a JSON array. */
export async function readKey(db: Queryable, target: CleanupTarget, given: string): Promise<RowKey | string> {
  const { key, oid } = target;
  try {
    const [list] = key.length === 1 ? [{ parts: [given] }] : await readList(db, given);
    const parts = list?.parts ?? [];
    if (parts.length !== key.length) return `it must be a JSON array with a value for each of ${key.join(", ")}`;
    const types = await db.query<{ type: string }>({
      text: `select format_type(a.atttypid, -1) as type from unnest($2::text[]) with ordinality as k (name, place)
               join pg_attribute a on a.attrelid = $1::oid and a.attname = k.name order by place`,
      values: [oid, key],
    });
    const values = types.map(({ type }, place) => `$${place + 1}::text::${type}`);
    const [row] = await db.query<{ key: string }>({
      text: `select ${key.length === 1 ? `${values[0]}::text` : `json_build_array(${values.join(", ")})::text`} as key`,
      values: parts,
    });
    return { parts, text: row?.key ?? given };
  } catch (error) {
    if (!KEY_FAULTS.test(reportedState(error) ?? "")) throw error;
    return (error as Error).message;
  }
}

/** By Postgres, because a number of many digits would lose some of them here. */
function readList(db: Queryable, given: string): Promise<{ parts: string[] }[]> {
  return db.query<{ parts: string[] }>({
    text: "select array(select json_array_elements_text($1::json)) as parts",
    values: [given],
  });
}

type Row = Record<string, string | boolean | null>;

/** Reads what decides about the row with a key; undefined if there is no such row. */
export async function readRow(
  db: Queryable,
  target: CleanupTarget,
  { parts }: RowKey,
  cutoffs: Cutoffs,
): Promise<RowFacts | undefined> {
  const holders = findHolders(target, cutoffsAt(asTimestamp(cutoffs.now)));
  const isMember = isTrue(belongs(target));
  const due = [
    isTrue(hasExpired(target, asTimestamp(cutoffs.expiredBefore))),
    isTrue(wasRevoked(target, asTimestamp(cutoffs.revokedBefore))),
  ];
  const columns: [string, string][] = [
    ["belongs", isMember],
    ["has_expiry", hasExpiry(target)],
    ["has_expired", isTrue(hasExpired(target, asTimestamp(cutoffs.now)))],
    ["was_revoked", isTrue(wasRevoked(target, asTimestamp(cutoffs.now)))],
    ["past_expiry", due[0] ?? "false"],
    ["past_revocation", due[1] ?? "false"],
    ...formatTimes("expiry", target.expiresAt, target.retention.expiredMs),
    ...formatTimes("revocation", target.revokedAt, target.retention.revokedMs),
    ...formatComparisons("where", target.where),
    ...formatComparisons("revoked", target.revoked ?? []),
    ...holders.map(({ sql }, place): [string, string] => [
      `held_${place}`,
      `case when ${isMember} and (${due.join(" or ")}) then not ${isTrue(sql)} else false end`,
    ]),
  ];
  const isKey = target.key.map((column, place) => `${TARGET_ROW}.${quoteIdentifier(column)} = $${place + 1}`);
  const [row] = await db.query<Row>({
    text: `select ${columns.map(([name, sql]) => `${sql} as ${name}`).join(", ")}
           from ${quoteTable(target)} as ${TARGET_ROW} where ${isKey.join(" and ")}`,
    values: parts,
  });
  if (row === undefined) return undefined;
  return {
    belongs: row.belongs === true,
    where: readComparisons(row, "where", target.where),
    revoked: readComparisons(row, "revoked", target.revoked ?? []),
    expiry: readDeciding(row, "expiry", target.expiresAt),
    revocation: readDeciding(row, "revocation", target.revokedAt),
    hasExpiry: row.has_expiry === true,
    hasExpired: row.has_expired === true,
    wasRevoked: row.was_revoked === true,
    isPastExpiry: row.past_expiry === true,
    isPastRevocation: row.past_revocation === true,
    expiresAt: readText(row.expiry_at),
    expiryDueAt: readText(row.expiry_due_at),
    revokedAt: readText(row.revocation_at),
    revocationDueAt: readText(row.revocation_due_at),
    heldBy: holders.flatMap(({ reference }, place) => (row[`held_${place}`] === true ? [reference] : [])),
  };
}

const readText = (value: string | boolean | null | undefined) => (typeof value === "string" ? value : undefined);

/** Sums of later times could overflow. */
const LAST_MOMENT = "9999-12-31T00:00:00Z";

function formatTimes(name: string, times: TimeSource | undefined, retentionMs: number): [string, string][] {
  if (times === undefined) return [];
  const at = passedAt(times, asTimestamp(LAST_MOMENT), TARGET_ROW);
  const [grace] = times.flatMap(({ graceSeconds }) => (graceSeconds === undefined ? [] : [graceSeconds]));
  const kept = [
    `make_interval(secs => ${retentionMs / 1_000})`,
    ...(grace === undefined ? [] : [`make_interval(secs => coalesce(${TARGET_ROW}.${quoteIdentifier(grace)}, 0))`]),
  ];
  return [
    [`${name}_at`, `date_trunc('second', ${at})::text`],
    [`${name}_due_at`, `date_trunc('second', ${at} + ${kept.join(" + ")})::text`],
    [`${name}_place`, placeOfDeciding(times, TARGET_ROW)],
    ...times.flatMap(({ column, plusSeconds }, place): [string, string][] => [
      [`${name}_value_${place}`, `${TARGET_ROW}.${quoteIdentifier(column)}::text`],
      ...(plusSeconds === undefined
        ? []
        : [[`${name}_seconds_${place}`, `${TARGET_ROW}.${quoteIdentifier(plusSeconds)}::text`] as [string, string]]),
    ]),
  ];
}

function readDeciding(row: Row, name: string, times: TimeSource = []): DecidingTime | undefined {
  const place = Number(row[`${name}_place`] ?? -1);
  const time: TimeColumn | undefined = times[place];
  if (time === undefined) return undefined;
  return {
    column: time.column,
    value: readText(row[`${name}_value_${place}`]) ?? "",
    plusSeconds:
      time.plusSeconds === undefined
        ? undefined
        : { column: time.plusSeconds, value: readText(row[`${name}_seconds_${place}`]) ?? "" },
    plusMs: time.plusMs,
  };
}

function formatComparisons(name: string, comparisons: readonly Comparison[]): [string, string][] {
  return comparisons.flatMap((comparison, place): [string, string][] => [
    [`${name}_is_${place}`, isTrue(belongs({ where: [comparison] }))],
    [`${name}_value_${place}`, `${TARGET_ROW}.${quoteIdentifier(comparison.column)}::text`],
  ]);
}

function readComparisons(row: Row, name: string, comparisons: readonly Comparison[]): ComparedColumn[] {
  return comparisons.map((comparison, place) => ({
    comparison,
    value: readText(row[`${name}_value_${place}`]) ?? null,
    isTrue: row[`${name}_is_${place}`] === true,
  }));
}

/** What the audit trail knows about a deleted row. */
export interface TrailEntry {
  readonly cleanedAt: string;
  readonly run: string;
  readonly reason: string;
}

/** When and why rows with a key were deleted from a target's table; only keys are found that the trail was to record. */
export async function findInTrail(db: Queryable, target: CleanupTarget, key: RowKey): Promise<TrailEntry[]> {
  const rows = await db.query<{ cleaned_at: string; run: string; reason: string }>({
    text: `select date_trunc('second', cleaned_at)::text as cleaned_at, run::text as run, reason
           from apitoken.find_cleaned($1, $2) order by cleaned_at desc limit 10`,
    values: [key.text, formatTableName(target)],
  });
  return rows.map(({ cleaned_at, run, reason }) => ({ cleanedAt: cleaned_at, run, reason }));
}
