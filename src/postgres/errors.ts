/*
 * What a failed statement means for the caller: try again later, stop because somebody else leads, or observe again.
 */
import { Fault } from "../runtime/fault.ts";

/** The database did not answer or does not accept work now: try again later. Whether a write took effect is unknown. */
export class DatabaseUnavailableError extends Fault {
  override readonly name = "DatabaseUnavailableError";

  constructor(reason: string, options?: ErrorOptions) {
    super(
      { faultCode: "APITOKEN_E_DATABASE_UNAVAILABLE", problem: `the database is not available (${reason})` },
      options,
    );
  }
}

/** A leader tried to write although another controller has begun a newer epoch. Nothing was written. */
export class FencedError extends Fault {
  override readonly name = "FencedError";

  constructor(clusterId: string, epoch: string) {
    super({
      faultCode: "APITOKEN_E_FENCED",
      problem: `another controller of cluster ${clusterId} leads: epoch ${epoch} is over`,
    });
  }
}

/** The owner was blocked or reached its limit after the pass had observed it. Nothing was written: observe again. */
export class IssueRefusedError extends Error {
  override readonly name = "IssueRefusedError";

  constructor(outcome: string) {
    super(`the token was not issued: ${outcome}`);
  }
}

/**
 * SQLSTATEs of errors that may go away on a later try.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE = new Set([
  "25006", // read_only_sql_transaction: a standby, during a failover
  "53300", // too_many_connections
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57014", // query_canceled: our statement_timeout
  "55P03", // lock_not_available: our lock_timeout
  "25P03", // idle_in_transaction_session_timeout
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);

/** Whether Postgres has undone the statement because of others at the same time: the same statement may succeed at once. */
export function isCollision(error: unknown): boolean {
  return ["40001", "40P01"].includes(sqlState(error) ?? "");
}

/** The SQLSTATE of an error that Postgres itself reported; undefined for any other, such as a broken connection. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("severity" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The error itself if Postgres refused the statement, otherwise a DatabaseUnavailableError around it. */
export function classifyError(error: unknown): unknown {
  const state = sqlState(error);
  if (state !== undefined && !state.startsWith("08") && !UNAVAILABLE.has(state)) return error;
  if (error instanceof DatabaseUnavailableError || error instanceof FencedError) return error;
  const cause = error instanceof Error ? ("code" in error && String(error.code)) || error.message : String(error);
  return new DatabaseUnavailableError(cause, { cause: error });
}
