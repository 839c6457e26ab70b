/*
 * What a failed statement means for the caller: try again later, stop because somebody else leads, or observe again.
 */
import { Fault, type FaultFields } from "../runtime/fault.ts";

/** The database did not answer or does not accept work now: try again later. Whether a write took effect is unknown. */
export class DatabaseUnavailableError extends Fault {
  override readonly name: string = "DatabaseUnavailableError";

  constructor(reason: string, options?: ErrorOptions, fields?: FaultFields) {
    super(
      fields ?? { faultCode: "APITOKEN_E_DATABASE_UNAVAILABLE", problem: `the database is not available (${reason})` },
      options,
    );
  }
}

/** Another session held a lock for too long. Nothing was written: try again later. */
export class DatabaseLockedError extends DatabaseUnavailableError {
  override readonly name: string = "DatabaseLockedError";
  /** Who held the lock, for people; undefined if that was not found out in time. */
  readonly blockers: string | undefined;

  constructor(what: string, blockers: string | undefined, options?: ErrorOptions) {
    super("locked", options, {
      faultCode: "APITOKEN_E_DATABASE_LOCKED",
      problem: `${what} in the database is locked by ${blockers ?? "another session"}`,
      remedy:
        "end that session's transaction, for example with pg_terminate_backend; until then, the work is tried again",
    });
    this.blockers = blockers;
  }
}

/** Another transaction counts, issues or blocks tokens of the same owner. Nothing was written: try again soon. */
export class OwnerBusyError extends DatabaseLockedError {
  override readonly name = "OwnerBusyError";
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

/** A controller was about to begin an epoch when its Lease may have expired. Nothing was written. */
export class LateEpochError extends Fault {
  override readonly name = "LateEpochError";

  constructor() {
    super({ faultCode: "APITOKEN_E_NOT_LEADING", problem: "no epoch was begun: the lease may have expired" });
  }
}

/** The owner was blocked or reached its limit after the pass had observed it. Nothing was written: observe again. */
export class IssueRefusedError extends Error {
  override readonly name = "IssueRefusedError";

  constructor(outcome: string) {
    super(`the token was not issued: ${outcome}`);
  }
}

const LOCK_NOT_AVAILABLE = "55P03"; // our lock_timeout
const QUERY_CANCELED = "57014"; // our statement_timeout

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
  QUERY_CANCELED,
  "25P03", // idle_in_transaction_session_timeout
  "40001", // serialization_failure
  "40P01", // deadlock_detected
]);

/** Whether Postgres has undone the statement because of others at the same time: the same statement may succeed at once. */
export function isCollision(error: unknown): boolean {
  return ["40001", "40P01"].includes(reportedState(error) ?? "");
}

/** The SQLSTATE of an error that Postgres itself reported; undefined for any other, such as a broken connection. */
export function sqlState(error: unknown): string | undefined {
  if (!(error instanceof Error) || !("code" in error) || !("severity" in error)) return undefined;
  return typeof error.code === "string" ? error.code : undefined;
}

/** Whether Postgres itself reported the error and keeps the connection. */
export function isReportedByServer(error: unknown): boolean {
  const state = reportedState(error);
  return state !== undefined && !/^(08|25P|57P)/.test(state);
}

/** The SQLSTATE of what Postgres reported, also if `classifyError` has put another error around it. */
export function reportedState(error: unknown): string | undefined {
  return sqlState(error instanceof DatabaseUnavailableError ? error.cause : error);
}

/**
 * The error itself if Postgres refused the statement, otherwise a DatabaseUnavailableError around it. `blockers` is who was seen
 * to make the statement wait.
 */
export function classifyError(error: unknown, blockers?: string): unknown {
  if (error instanceof Fault) return error;
  const state = sqlState(error);
  if (state === LOCK_NOT_AVAILABLE || (state === QUERY_CANCELED && blockers !== undefined)) {
    return isOwnerQueue(error)
      ? new OwnerBusyError("the queue of the owner", blockers, { cause: error })
      : new DatabaseLockedError("what it needs", blockers, { cause: error });
  }
  if (state !== undefined && !state.startsWith("08") && !UNAVAILABLE.has(state)) return error;
  const cause = error instanceof Error ? ("code" in error && String(error.code)) || error.message : String(error);
  return new DatabaseUnavailableError(cause, { cause: error });
}

/** Whether a statement failed in apitoken.lock_owner; Postgres names the functions that were being executed. */
function isOwnerQueue(error: unknown): boolean {
  return error instanceof Error && "where" in error && /\block_owner\(/.test(String(error.where));
}
