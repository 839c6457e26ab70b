/** Whether a path of the API is that of Secrets: a namespace may be called "secrets" as well. */
export function isSecretsPath(path: string): boolean {
  return /^\/api\/v1\/(namespaces\/[^/]+\/)?secrets([/?]|$)/.test(path);
}

/** The API server refused a call. `code` is the HTTP status, `reason` the Status' machine-readable reason. */
export class KubeApiError extends Error {
  override readonly name = "KubeApiError";
  readonly code: number;
  readonly reason: string;
  readonly path: string;
  /** How long the server asks to wait before the next try. */
  readonly retryAfterMs: number | undefined;

  /** `detail` must not come from a Secret: the message is logged. */
  constructor(
    call: { method: string; path: string },
    answer: { code: number; reason: string; detail?: string; retryAfterMs?: number },
  ) {
    const detail = answer.detail === undefined ? "" : `: ${answer.detail}`;
    super(`${call.method} ${call.path} was answered with ${answer.code} ${answer.reason}${detail}`);
    this.code = answer.code;
    this.path = call.path;
    this.reason = answer.reason;
    this.retryAfterMs = answer.retryAfterMs;
  }
}

/** No answer came: the server cannot be reached, or took too long. Whether a write has happened is not known. */
export class KubeUnreachableError extends Error {
  override readonly name = "KubeUnreachableError";
}
