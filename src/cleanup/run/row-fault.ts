/*
 * Which failures of a batch are about single rows, and what to say of them. Messages of triggers are the application's own and may
 * contain what is in the row, so they are not repeated.
 */

import { formatTableName, quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import { isLockConflict } from "../../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import { reportedState } from "../../postgres/errors.ts";

/** Constraints (23), data (22), what functions raise (P0), refusals of triggers (27, 09), and of views' check options (44). */
const ROW_FAULTS = /^(22|23|P0|27|09|44)/;

/** Whether a batch failed because of some of its rows, so that others of them can be deleted. */
export function isRowFault(error: unknown): boolean {
  return ROW_FAULTS.test(reportedState(error) ?? "");
}

/** Whether a batch ran into statement_timeout. */
export function isTimeout(error: unknown): boolean {
  return reportedState(error) === "57014" && !isLockConflict(error);
}

/** Why a row cannot be deleted, as a clause. It contains nothing of the row. */
export function describeRowFault(error: unknown, target: CleanupTarget): string {
  if (isLockConflict(error)) return "another session has locked it, or a row that would go with it";
  if (isTimeout(error)) return describeTimeout(target);
  const { constraint, table, schema, where } = findFields(error);
  const state = reportedState(error);
  if (constraint !== undefined) {
    return `constraint ${quoteIdentifier(constraint)}${table === undefined ? "" : ` of ${formatTableName({ schema: schema ?? "", table })}`} forbids it`;
  }
  const raised = /function (\S+?)\(/.exec(where ?? "")?.[1];
  return `${raised === undefined ? "Postgres" : `function ${raised}`} refuses it (SQLSTATE ${state})`;
}

function describeTimeout({ references }: CleanupTarget): string {
  const unindexed = references.filter(({ isIndexed }) => !isIndexed);
  const hint = unindexed.map(
    ({ schema, table, columns }) => `${formatTableName({ schema, table })} (${columns.join(", ")})`,
  );
  return `deleting it takes longer than APITOKEN_CLEANUP_STATEMENT_TIMEOUT${hint.length === 0 ? "" : `; no index serves ${hint.join(", ")}`}`;
}

interface Fields {
  constraint?: string | undefined;
  schema?: string | undefined;
  table?: string | undefined;
  where?: string | undefined;
}

/** The fields of Postgres' message, which may be behind an error of ours. */
function findFields(error: unknown): Fields {
  const reported = error instanceof Error && !("severity" in error) ? error.cause : error;
  return (reported ?? {}) as Fields;
}
