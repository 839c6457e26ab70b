import { isSecretsPath, KubeApiError, KubeUnreachableError } from "../../kube/api-error.ts";
import { DatabaseUnavailableError, FencedError, sqlState } from "../../postgres/errors.ts";
import { StaleViewError } from "./secret-writes.ts";

/** A write was about to be made by a replica whose lease may have run out. Nothing was sent. */
export class NotLeadingError extends Error {
  override readonly name = "NotLeadingError";
}

/** What kind of failure ended a pass, in a word: the metric's label, and what the log says. */
export function classifyFailure(error: unknown): string {
  if (error instanceof DatabaseUnavailableError) return "database_unavailable";
  if (error instanceof NotLeadingError) return "not_leading";
  // With a lease in hand this says that another controller of this cluster goes by another Lease.
  if (error instanceof FencedError) return "fenced";
  if (error instanceof StaleViewError) return "conflict";
  if (error instanceof KubeUnreachableError) return "api_unreachable";
  if (error instanceof KubeApiError) return error.code === 409 ? "conflict" : "api_error";
  return "failed";
}

/** What a failure is called on the resource. */
export interface ReportedFailure {
  readonly reason: "DatabaseUnavailable" | "DatabaseRefused" | "SecretRefused";
  readonly message: string;
}

/** A failure of this kind that passes by itself is not worth a status: it is told from this many in a row on. */
const TOLD_FROM = 3;

/** What a user is told of a failure, the n-th in a row; undefined where it passes by itself, or is none of theirs. */
export function describeFailure(error: unknown, failures: number): ReportedFailure | undefined {
  if (error instanceof DatabaseUnavailableError) {
    return {
      reason: "DatabaseUnavailable",
      message: "The database is not available. This goes on by itself once it is back.",
    };
  }
  if (failures < TOLD_FROM) return undefined;
  const state = sqlState(error);
  if (state !== undefined) {
    return {
      reason: "DatabaseRefused",
      message: `The database refuses the work (SQLSTATE ${state}); the controller's log says more. It is tried again.`,
    };
  }
  const isRefusal = error instanceof KubeApiError && error.code < 500 && ![404, 409, 429].includes(error.code);
  if (!isRefusal || !isSecretsPath(error.path)) return undefined;
  return {
    reason: "SecretRefused",
    message: `The API server refuses the Secret: ${error.message}. It is tried again.`,
  };
}
