/*
 * One failed pass has two audiences. The metrics and the log get every failure at once, by kind; the resource's status gets
 * it, whatever it is, once it has lasted, so that a brief hiccup does not flap conditions.
 */
import { isCode, isSecretsPath, KubeApiError, KubeUnreachableError } from "../../kube/api-error.ts";
import {
  DatabaseLockedError,
  DatabaseUnavailableError,
  FencedError,
  IssueRefusedError,
  LateEpochError,
  sqlState,
} from "../../postgres/errors.ts";
import { Fault } from "../../runtime/fault.ts";
import { stripControls } from "../../runtime/text.ts";
import type { Failure } from "../../token/failure.ts";
import { hideTokens } from "../../token/token-string.ts";
import { StaleViewError } from "./secret-writes.ts";

/** This replica was about to write although its lease may have expired. Nothing was sent. */
export class NotLeadingError extends Fault {
  override readonly name = "NotLeadingError";

  constructor(problem: string) {
    super({ faultCode: "APITOKEN_E_NOT_LEADING", problem });
  }
}

/** A pass has carried out plan after plan and still finds something to do. */
export class UnsettledError extends Error {
  override readonly name = "UnsettledError";
}

/** The kind of failure that ended a pass: label `reason` of the metrics and field `result` of the log. */
export function classifyFailure(error: unknown): string {
  if (error instanceof DatabaseLockedError) return "database_locked";
  if (error instanceof DatabaseUnavailableError) return "database_unavailable";
  if (error instanceof NotLeadingError || error instanceof LateEpochError) return "not_leading";
  // If this replica does hold its lease, another controller of the same cluster leads by a different Lease.
  if (error instanceof FencedError) return "fenced";
  if (error instanceof StaleViewError || error instanceof IssueRefusedError) return "conflict";
  if (error instanceof KubeUnreachableError) return "api_unreachable";
  if (error instanceof KubeApiError) return error.code === 409 ? "conflict" : "api_error";
  return "failed";
}

/** The database is away: whatever needs it has to wait. */
export const DATABASE_UNAVAILABLE: Failure = {
  reason: "DatabaseUnavailable",
  message: "The database is not available. Work resumes automatically when it is back.",
};

/** Most failures pass without help: a conflict, a restart. They are reported after this many in a row. */
const REPORTED_FROM = 3;

/**
 * What the resource's status reports about a failure, the n-th in a row. Undefined if it is likely to pass without help, or
 * if another replica leads, because then only that one writes statuses.
 */
export function describeFailure(error: unknown, failures: number): Failure | undefined {
  if ([NotLeadingError, LateEpochError, FencedError].some((kind) => error instanceof kind)) return undefined;
  if (error instanceof DatabaseLockedError) return failures < REPORTED_FROM ? undefined : describeLock(error);
  if (error instanceof DatabaseUnavailableError) return DATABASE_UNAVAILABLE;
  if (failures < REPORTED_FROM) return undefined;
  const state = sqlState(error);
  if (state !== undefined) {
    return {
      reason: "DatabaseRefused",
      message: `The database rejected the operation (SQLSTATE ${state}); see the controller's log. It will be retried.`,
    };
  }
  const problem = quote(error);
  if (!isAboutSecret(error)) {
    return {
      reason: "ReconcileFailed",
      message: `The last passes failed: ${problem}. They are retried.`,
    };
  }
  const isUnanswered = error instanceof KubeUnreachableError;
  return {
    reason: "SecretRefused",
    message: isUnanswered
      ? `The API server did not answer in time (${problem}): perhaps an admission webhook hangs. It will be retried.`
      : `The API server rejected the Secret: ${problem}. It will be retried.`,
  };
}

function describeLock({ blockers = "another session" }: DatabaseLockedError): Failure {
  return {
    reason: "DatabaseUnavailable",
    message: `A lock in the database is held by ${bound(blockers)}. Work resumes automatically when that transaction ends.`,
  };
}

function isAboutSecret(error: unknown): error is KubeApiError | KubeUnreachableError {
  const isAnswer = error instanceof KubeApiError || error instanceof KubeUnreachableError;
  return isAnswer && error.path !== undefined && isSecretsPath(error.path);
}

/** Whether the Secret's name is taken, or the Secret has changed: looking at the Secret shows why that lasts. */
export function isSecretConflict(error: unknown): boolean {
  return isCode(error, 409) && isAboutSecret(error);
}

/** Enough for every sentence of ours around the API server's. */
const LONGEST_QUOTE = 700;

/** The error's text, or of a bug only its name: no message of an unexpected error is known to be free of secrets. */
function quote(error: unknown): string {
  const isOurs = [Fault, StaleViewError, UnsettledError, IssueRefusedError].some((kind) => error instanceof kind);
  const text = isOurs
    ? (error as Error).message
    : `an unexpected ${error instanceof Error ? error.constructor.name : "error"}, see the controller's log`;
  return bound(text);
}

function bound(text: string): string {
  return hideTokens(stripControls(text)).slice(0, LONGEST_QUOTE);
}
