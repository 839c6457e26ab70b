/*
 * Which failures of a batch are about single rows, and what to say of them. Messages of triggers are the application's own and may
 * contain what is in the row, so they are not repeated.
 */

import { formatTableName, quoteIdentifier } from "../../postgres/cleanup/identifiers.ts";
import { isLockConflict } from "../../postgres/cleanup/runs.ts";
import type { CleanupTarget } from "../../postgres/cleanup/target.ts";
import { TriggeredDeletion } from "../../postgres/cleanup/triggers.ts";
import { reportedState } from "../../postgres/errors.ts";
import { Fault } from "../../runtime/fault.ts";

/**
 * Classes of SQLSTATEs that are about more than single rows: the connection, the session, the statement, rights, resources, the
 * server. Functions of triggers raise any other, also some of their own invention.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const OTHER_FAULTS = /^(08|0A|25|26|28|3D|3F|40|42|53|54|55|57|58|72|F0|HV|XX)/;

/** Whether a batch failed because of some of its rows, so that others of them can be deleted. */
export function isRowFault(error: unknown): boolean {
  if (error instanceof TriggeredDeletion) return true;
  const state = reportedState(error);
  return state !== undefined && !OTHER_FAULTS.test(state);
}

const NO_RIGHT = "42501";

/** Refusals that Postgres words itself, without a value of a row: of rights, of locks, and of time limits. */
const HARMLESS_STATES = /^(42501|55P03|40P01|57014|25P03|57P0.)$/;

/**
 * The error, or another one instead of it if an application's function has worded it: its message may contain what is in the row, and
 * must get neither into a log nor into a report.
 */
export function concealRow(error: unknown): unknown {
  const fields = findFields(error);
  const { where, routine } = fields;
  const state = reportedState(error) ?? "";
  const isRaised = routine !== undefined && areInvented(fields);
  const called = findFunction(fields);
  if (state === NO_RIGHT && !isRaised && called !== undefined) {
    return new Fault({
      faultCode: "APITOKEN_E_DATABASE_REFUSED",
      problem: `function ${called}, which a trigger calls, is refused: ${(fields as Error).message}`,
      remedy: "grant apitoken_cleanup what the function does, or make it security definer",
    });
  }
  if (!isRaised && (where === undefined || HARMLESS_STATES.test(state))) return error;
  return new Fault({
    faultCode: "APITOKEN_E_DATABASE_REFUSED",
    problem: `${describeRefusal(error)}, with a message that is not repeated because it may contain what is in the row`,
  });
}

/** Whether a batch ran into statement_timeout. */
export function isTimeout(error: unknown): boolean {
  return reportedState(error) === "57014" && !isLockConflict(error);
}

/** Why a row cannot be deleted, as a clause. It contains nothing of the row. */
export function describeRowFault(error: unknown, target: CleanupTarget): string {
  if (isLockConflict(error)) return "another session has locked it, or a row that would go with it";
  if (isTimeout(error)) return describeTimeout(target);
  if (error instanceof TriggeredDeletion) return error.message;
  const fields = findFields(error);
  const { constraint } = fields;
  if (constraint === undefined || areInvented(fields)) return describeRefusal(error);
  const place = describePlace(fields);
  return `constraint ${quoteIdentifier(constraint)}${place === undefined ? "" : ` of ${place}`} forbids it`;
}

function describeRefusal(error: unknown): string {
  const fields = findFields(error);
  const raised = findFunction(fields);
  const place = areInvented(fields) ? undefined : describePlace(fields);
  const because = place === undefined ? "" : ` because of ${place}`;
  return `${raised === undefined ? "Postgres" : `function ${raised}`} refuses it${because} (SQLSTATE ${reportedState(error)})`;
}

/** The function in which Postgres refuses something; undefined if in none. */
function findFunction({ where = "" }: Fields): string | undefined {
  return /function (\S+?)\(/.exec(where)?.[1];
}

/** Whether an application's function may have given the names, which then may be values of the row: RAISE, or PL/Python. */
function areInvented({ routine }: Fields): boolean {
  return routine === undefined || /^(exec_stmt_raise$|PLy_)/.test(routine);
}

/** What Postgres sets to null or to a default has this statement, without a value. */
const SETTING = /^SQL statement "UPDATE ONLY ("(?:[^"]|"")+")\.("(?:[^"]|"")+") SET /;

/** The column, the table or the domain at which a deletion fails. */
function describePlace({ schema = "", table, column, dataType, where = "" }: Fields): string | undefined {
  if (table !== undefined) {
    const name = formatTableName({ schema, table });
    return column === undefined ? name : `column ${quoteIdentifier(column)} of ${name}`;
  }
  if (dataType === undefined) return undefined;
  const [, inSchema, inTable] = SETTING.exec(where) ?? [];
  const domain = `domain ${formatTableName({ schema, table: dataType })}`;
  if (inSchema === undefined || inTable === undefined) return domain;
  const unquote = (name: string) => name.slice(1, -1).replaceAll('""', '"');
  return `${domain} in ${formatTableName({ schema: unquote(inSchema), table: unquote(inTable) })}`;
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
  column?: string | undefined;
  dataType?: string | undefined;
  where?: string | undefined;
  routine?: string | undefined;
}

/** The fields of Postgres' message, which may be behind an error of ours. */
function findFields(error: unknown): Fields {
  const reported = error instanceof Error && !("severity" in error) ? error.cause : error;
  return (reported ?? {}) as Fields;
}
