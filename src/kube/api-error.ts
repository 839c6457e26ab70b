/*
 * Callers decide by HTTP status or by the lack of an answer, never by text, and an error's message ends up in logs. So
 * these errors carry fields, and nothing that the server may have quoted from a Secret.
 */
import { Fault } from "../runtime/fault.ts";
import type { MissingRight } from "./refusal.ts";

/**
 * Whether a path of the API is one of Secrets. A namespace may be called "secrets" too, so this looks at the position.
 */
export function isSecretsPath(path: string): boolean {
  return /^\/api\/v1\/(namespaces\/[^/]+\/)?secrets([/?]|$)/.test(path);
}

/** The API server rejected a call. `code` is the HTTP status, `reason` the machine-readable reason in the Status. */
export class KubeApiError extends Fault {
  override readonly name = "KubeApiError";
  readonly code: number;
  readonly reason: string;
  readonly path: string;
  /** How long the server asks to wait before the next try; undefined if it does not ask. */
  readonly retryAfterMs: number | undefined;
  /** The server's own words, unless they may quote a Secret. */
  readonly answer: string | undefined;
  /** The right that the caller lacks, if the server refused the call for that. */
  readonly missingRight: MissingRight | undefined;

  /** `detail` must not come from a Secret: the message is logged. */
  constructor(
    call: { method: string; path: string },
    answer: {
      code: number;
      reason: string;
      detail?: string;
      answer?: string;
      retryAfterMs?: number;
      missingRight?: MissingRight;
    },
  ) {
    const detail = answer.detail === undefined ? "" : `: ${answer.detail}`;
    super({
      faultCode: "APITOKEN_E_API_REFUSED",
      problem: `${call.method} ${call.path} was answered with ${answer.code} ${answer.reason}${detail}`,
    });
    this.code = answer.code;
    this.path = call.path;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
    this.answer = answer.answer;
    this.missingRight = answer.missingRight;
  }
}

/** The server could not be reached or took too long. A write may or may not have happened. */
export class KubeUnreachableError extends Fault {
  override readonly name = "KubeUnreachableError";
  /** The path of the call, if there was one. */
  readonly path: string | undefined;

  constructor(problem: string, { path, ...options }: ErrorOptions & { readonly path?: string } = {}) {
    super({ faultCode: "APITOKEN_E_API_UNREACHABLE", problem }, options);
    this.path = path;
  }
}

/** Whether the API server rejected a call with one of these HTTP statuses. */
export function isCode(error: unknown, ...codes: readonly number[]): error is KubeApiError {
  return error instanceof KubeApiError && codes.includes(error.code);
}

/** For the `catch` of a call: undefined if the object does not exist. Throws every other error again. */
export function undefinedIfMissing(error: unknown): undefined {
  if (!isCode(error, 404)) throw error;
}
