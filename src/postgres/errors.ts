import { Fault } from "../runtime/fault.ts";

/** The database gave no answer, or said that it takes no work now: try again later. Nothing is known of the write. */
export class DatabaseUnavailableError extends Fault {
  override readonly name = "DatabaseUnavailableError";

  constructor(reason: string, options?: ErrorOptions) {
    super(
      { faultCode: "APITOKEN_E_DATABASE_UNAVAILABLE", problem: `the database is not available (${reason})` },
      options,
    );
  }
}

/** A write of a leader whose epoch is no longer the newest: another controller leads now. Nothing was written. */
export class FencedError extends Fault {
  override readonly name = "FencedError";

  constructor(clusterId: string, epoch: string) {
    super({
      faultCode: "APITOKEN_E_FENCED",
      problem: `another controller of cluster ${clusterId} leads: epoch ${epoch} is over`,
    });
  }
}

/** The owner was blocked, or its limit reached, after it was looked at. Nothing was written: look again. */
export class IssueRefusedError extends Error {
  override readonly name = "IssueRefusedError";

  constructor(outcome: string) {
    super(`the token was not issued: ${outcome}`);
  }
}

/**
 * SQLSTATEs that say "not now" rather than "not so".
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const UNAVAILABLE = new Set([
  "25006", // read_only_sql_transaction: a standby, while a failover is under way
  "53300", // too_many_connections
  "57P01", // admin_shutdown
  "57P02", // crash_shutdown
  "57P03", // cannot_connect_now
  "57014", // query_canceled: our statement_timeout
  "55P03", // lock_not_available: our lock_timeout
  "25P03", // idle_in_transaction_session_timeout
]);

/** The SQLSTATE of an error that Postgres itself reported; undefined for any other (a broken connection, say). */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("severity" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** The same error, or a DatabaseUnavailableError around it when the database was not there to refuse. */
export function classifyError(error: unknown): unknown {
  const state = sqlState(error);
  if (state !== undefined && !state.startsWith("08") && !UNAVAILABLE.has(state)) return error;
  if (error instanceof DatabaseUnavailableError || error instanceof FencedError) return error;
  const cause = error instanceof Error ? ("code" in error && String(error.code)) || error.message : String(error);
  return new DatabaseUnavailableError(cause, { cause: error });
}
