/*
 * One failed pass has two audiences. The metrics and the log get every failure, by kind; the resource's status gets
 * only those that its user can understand, and only once they have lasted, so that a brief hiccup does not flap
 * conditions.
 */
import { isSecretsPath, KubeApiError, KubeUnreachableError } from "../../kube/api-error.ts";
import { DatabaseLockedError, DatabaseUnavailableError, FencedError, sqlState } from "../../postgres/errors.ts";
import { Fault } from "../../runtime/fault.ts";
import { StaleViewError } from "./secret-writes.ts";

/** This replica was about to write although its lease may have expired. Nothing was sent. */
export class NotLeadingError extends Fault {
  override readonly name = "NotLeadingError";

  constructor(problem: string) {
    super({ faultCode: "APITOKEN_E_NOT_LEADING", problem });
  }
}

/** The kind of failure that ended a pass: label `reason` of the metrics and field `result` of the log. */
export function classifyFailure(error: unknown): string {
  if (error instanceof DatabaseLockedError) return "database_locked";
  if (error instanceof DatabaseUnavailableError) return "database_unavailable";
  if (error instanceof NotLeadingError) return "not_leading";
  // If this replica does hold its lease, another controller of the same cluster leads by a different Lease.
  if (error instanceof FencedError) return "fenced";
  if (error instanceof StaleViewError) return "conflict";
  if (error instanceof KubeUnreachableError) return "api_unreachable";
  if (error instanceof KubeApiError) return error.code === 409 ? "conflict" : "api_error";
  return "failed";
}

/** A failure as the resource's condition Ready shows it. */
export interface ReportedFailure {
  readonly reason: "DatabaseUnavailable" | "DatabaseRefused" | "SecretRefused";
  readonly message: string;
}

/** Refusals often pass without help (a webhook restarts, say). They are reported after this many failures in a row. */
const REPORTED_FROM = 3;

/**
 * What the resource's status reports about a failure, the n-th in a row. Undefined if it is likely to pass without
 * help, or if it concerns nothing that a user of the resource could act on.
 */
export function describeFailure(error: unknown, failures: number): ReportedFailure | undefined {
  if (error instanceof DatabaseLockedError) return failures < REPORTED_FROM ? undefined : describeLock(error);
  if (error instanceof DatabaseUnavailableError) {
    return {
      reason: "DatabaseUnavailable",
      message: "The database is not available. Work resumes automatically when it is back.",
    };
  }
  if (failures < REPORTED_FROM) return undefined;
  const state = sqlState(error);
  if (state !== undefined) {
    return {
      reason: "DatabaseRefused",
      message: `The database rejected the operation (SQLSTATE ${state}); see the controller's log. It will be retried.`,
    };
  }
  const isRefusal = error instanceof KubeApiError && error.code < 500 && ![404, 409, 429].includes(error.code);
  if (!isRefusal || !isSecretsPath(error.path)) return undefined;
  return {
    reason: "SecretRefused",
    message: `The API server rejected the Secret: ${error.message}. It will be retried.`,
  };
}

function describeLock({ blockers = "another session" }: DatabaseLockedError): ReportedFailure {
  return {
    reason: "DatabaseUnavailable",
    message: `A lock in the database is held by ${blockers}. Work resumes automatically when that transaction ends.`,
  };
}
