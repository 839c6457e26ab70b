/*
 * What the failures of a reflector mean: how long to wait before the next try, and which of them are worth a warning.
 * Healthy servers end watches all the time, so most are not.
 */
import type { Logger } from "../runtime/log.ts";
import { KubeApiError, KubeUnreachableError } from "./api-error.ts";
import { BrokenStreamError, SilentStreamError } from "./json-lines.ts";

/** What a reflector's options say about failures. */
export interface HealthOptions {
  /** The collection, such as /apis/apitoken.dev/v1alpha1/apitokens. */
  readonly path: string;
  readonly log: Logger;
  /** Called after every failed list or broken watch, with a short reason: an HTTP status, "expired", "silent" … */
  readonly onRestart?: (reason: string) => void;
  readonly backoff?: { readonly firstMs: number; readonly longestMs: number };
}

/** The server no longer has the version that a watch should continue from: only a new list helps. */
export class ExpiredError extends Error {
  override readonly name = "ExpiredError";
}

/** The server reported an error within the stream, closed it at once, or sent something unexpected. */
export class StreamError extends Error {
  override readonly name = "StreamError";
}

const BACKOFF = { firstMs: 100, longestMs: 30_000 };

/** Counts failures in a row, and logs them once for each new reason. */
export function createHealth({ log, path, onRestart, backoff = BACKOFF }: HealthOptions) {
  let failures = 0;
  let reported: string | undefined;
  return {
    get failures() {
      return failures;
    },
    onProgress() {
      if (reported !== undefined) log.info({ path }, "watch restored");
      failures = 0;
      reported = undefined;
    },
    /** Returns how long to wait before the next try. */
    onFailure(error: unknown): number {
      const reason = nameFailure(error);
      failures += 1;
      if (USUAL.includes(reason)) log.debug({ path, reason }, "watching again");
      else if (reason !== reported) {
        log.warn({ path, reason, err: error }, "list or watch failed; retrying");
        reported = reason;
      }
      try {
        onRestart?.(reason);
      } catch (hookError) {
        log.error({ path, err: hookError }, "restart handler failed");
      }
      const waitMs = Math.min(backoff.firstMs * 2 ** (failures - 1), backoff.longestMs) * (0.5 + Math.random() / 2);
      return Math.max(waitMs, error instanceof KubeApiError ? (error.retryAfterMs ?? 0) : 0);
    },
  };
}

/** Healthy servers cause these too: they drop old versions, and may have nothing to report for a long time. */
const USUAL = ["expired", "silent"];

function nameFailure(error: unknown): string {
  if (error instanceof KubeApiError) return String(error.code);
  if (error instanceof ExpiredError) return "expired";
  if (error instanceof KubeUnreachableError) {
    if (error.cause instanceof SilentStreamError) return "silent";
    return error.cause instanceof BrokenStreamError ? "broken_stream" : "unreachable";
  }
  return error instanceof StreamError ? "server_error" : "failed";
}
