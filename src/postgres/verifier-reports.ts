/*
 * What a verifier reports: uses and refusals of tokens, their counts, and what is unusual about them. The functions of the schema
 * bound what a report can do.
 */
import type { AnomalyKind } from "../token/anomalies.ts";
import type { Queryable } from "./database.ts";

/** How many items the database takes in one call, of each kind. */
export const REPORTS_PER_CALL = 1_000;

/** A use of a token. */
export interface TokenUse {
  readonly id: string;
  readonly at: Date;
  /** Undefined if it is not known. */
  readonly address: string | undefined;
}

/** Notes up to `REPORTS_PER_CALL` uses. */
export async function noteUses(db: Queryable, uses: readonly TokenUse[]): Promise<void> {
  await db.query({
    name: "note-uses",
    text: "select apitoken.note_uses($1, $2, $3)",
    values: [uses.map(({ id }) => id), uses.map(({ at }) => at), uses.map(({ address }) => address ?? null)],
  });
}

/** A refusal of a token. */
export interface TokenFailure {
  readonly id: string;
  /** One of `FAILURE_REASONS`. */
  readonly why: string;
  /** Undefined if it is not known. */
  readonly address: string | undefined;
}

/** Records in the audit trail that tokens were refused, up to `REPORTS_PER_CALL`; once a minute for each token. */
export async function recordFailures(db: Queryable, failures: readonly TokenFailure[]): Promise<void> {
  await db.query({
    name: "record-failures",
    text: "select apitoken.record_failures($1, $2, $3)",
    values: [
      failures.map(({ id }) => id),
      failures.map(({ why }) => why),
      failures.map(({ address }) => address ?? null),
    ],
  });
}

/** How often a token was used on a day with the same result. */
export interface UseCount {
  readonly id: string;
  /** In UTC, as in 2026-11-29. */
  readonly day: string;
  /** Good, or one of `FAILURE_REASONS`. */
  readonly result: string;
  readonly number: number;
}

/** Adds up to `REPORTS_PER_CALL` counts to those of the same token, day and result. */
export async function countUses(db: Queryable, counts: readonly UseCount[]): Promise<void> {
  await db.query({
    name: "count-uses",
    text: "select apitoken.count_uses($1, $2, $3, $4)",
    values: [
      counts.map(({ id }) => id),
      counts.map(({ day }) => day),
      counts.map(({ result }) => result),
      counts.map(({ number }) => number),
    ],
  });
}

/** Something unusual about the uses of a token. */
export interface TokenAnomaly {
  readonly id: string;
  readonly kind: AnomalyKind;
  /** Undefined if it is not known. */
  readonly address: string | undefined;
}

/** Reports up to `REPORTS_PER_CALL` anomalies, each once a day for each token. */
export async function reportAnomalies(db: Queryable, anomalies: readonly TokenAnomaly[]): Promise<void> {
  await db.query({
    name: "report-anomalies",
    text: "select apitoken.report_anomalies($1, $2, $3)",
    values: [
      anomalies.map(({ id }) => id),
      anomalies.map(({ kind }) => kind),
      anomalies.map(({ address }) => address ?? null),
    ],
  });
}
