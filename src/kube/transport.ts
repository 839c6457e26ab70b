import { setTimeout as delay } from "node:timers/promises";
import { type Dispatcher, request as send } from "undici";
import { KubeApiError, KubeUnreachableError } from "./api-error.ts";
import { createCredentials, loadKubeConfig } from "./credentials.ts";
import { readJsonLines } from "./json-lines.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** Of the body; JSON by default. */
  readonly contentType?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** The stream counts as broken when nothing at all has come for so long. */
  readonly stallMs: number;
}

/** Calls to the Kubernetes API: plain JSON over connections that all calls share. */
export interface KubeTransport {
  /**
   * One call; resolves with the parsed answer. Throws a KubeApiError for an answer that is not 2xx, and a
   * KubeUnreachableError when there was none. A 429 is tried again as the server asks, within the call's time.
   */
  request<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** A watch: yields each line's object, and ends when the server ends the stream. Throws as `request` does. */
  watch<T>(path: string, query: Readonly<Record<string, string>>, options: WatchOptions): AsyncIterable<T>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly userAgent: string;
  /** A kubeconfig file; without it the pod's service account, or what kubectl would take. */
  readonly kubeconfigPath?: string;
  /** Must be shorter than the lease's renew deadline, or two could lead at once (kubernetes/kubernetes#44887). */
  readonly requestTimeoutMs?: number;
  readonly maxConnections?: number;
}

const RETRIES_OF_429 = 5;

/** Reads the kubeconfig; the first call opens the first connection. */
export async function createTransport(options: TransportOptions): Promise<KubeTransport> {
  const { userAgent, kubeconfigPath, requestTimeoutMs = 8_000, maxConnections = 32 } = options;
  const credentials = createCredentials(loadKubeConfig(kubeconfigPath), {
    maxConnections,
    connectTimeoutMs: requestTimeoutMs,
  });

  const sendOnce = async (method: Method, path: string, call: RequestOptions, timeoutMs: number, isWatch: boolean) => {
    const { headers, calls, watches } = await credentials.current();
    const timeout = isWatch ? [] : [AbortSignal.timeout(timeoutMs)];
    const hasBody = call.body !== undefined;
    return send(`${credentials.server}${path}${formatQuery(call.query)}`, {
      method,
      dispatcher: isWatch ? watches : calls,
      signal: AbortSignal.any([...timeout, ...(call.signal ? [call.signal] : [])]),
      headers: {
        ...headers,
        "user-agent": userAgent,
        accept: "application/json",
        ...(hasBody ? { "content-type": call.contentType ?? "application/json" } : {}),
      },
      body: hasBody ? JSON.stringify(call.body) : null,
    });
  };

  /** Credentials may have been rotated under us: one more try with those of now. */
  const sendAuthenticated: typeof sendOnce = async (...call) => {
    const answer = await sendOnce(...call);
    if (answer.statusCode !== 401) return answer;
    await answer.body.dump();
    credentials.refresh();
    return sendOnce(...call);
  };

  const attempt = async <T>(method: Method, path: string, call: RequestOptions, timeoutMs: number): Promise<T> => {
    try {
      const answer = await sendAuthenticated(method, path, call, timeoutMs, false);
      if (answer.statusCode >= 300) throw await readError(method, path, answer);
      return (await answer.body.json()) as T;
    } catch (error) {
      throw asUnreachable(error, method, path);
    }
  };

  return {
    async request<T>(method: Method, path: string, call: RequestOptions = {}): Promise<T> {
      const endsAtMs = performance.now() + (call.timeoutMs ?? requestTimeoutMs);
      for (let retry = 0; ; retry += 1) {
        try {
          return await attempt<T>(method, path, call, Math.max(1, Math.ceil(endsAtMs - performance.now())));
        } catch (error) {
          const waitMs =
            error instanceof KubeApiError && error.code === 429 ? (error.retryAfterMs ?? 1_000) : undefined;
          if (waitMs === undefined || retry >= RETRIES_OF_429 || performance.now() + waitMs >= endsAtMs) throw error;
          await delay(waitMs, undefined, call.signal ? { signal: call.signal } : {});
        }
      }
    },

    async *watch<T>(path: string, query: Readonly<Record<string, string>>, { signal, stallMs }: WatchOptions) {
      try {
        const answer = await sendAuthenticated("GET", path, { query: { ...query, watch: "true" }, signal }, 0, true);
        if (answer.statusCode >= 300) throw await readError("GET", path, answer);
        yield* readJsonLines<T>(answer.body, stallMs);
      } catch (error) {
        throw asUnreachable(error, "GET", path);
      }
    },

    close: () => credentials.close(),
  };
}

function formatQuery(query: Readonly<Record<string, string>> | undefined): string {
  return query === undefined ? "" : `?${new URLSearchParams(query)}`;
}

async function readError(method: string, path: string, answer: Dispatcher.ResponseData): Promise<KubeApiError> {
  const status = (await answer.body.json().catch(() => ({}))) as {
    reason?: string;
    message?: string;
    details?: { retryAfterSeconds?: number };
  };
  const seconds = Number(answer.headers["retry-after"] ?? status.details?.retryAfterSeconds ?? Number.NaN);
  // The server's message may quote the object that it refuses, and of Secrets nothing is quoted.
  const mayQuote = status.message !== undefined && !path.includes("/secrets");
  return new KubeApiError(
    { method, path },
    {
      code: answer.statusCode,
      reason: status.reason ?? "Unknown",
      ...(mayQuote ? { detail: String(status.message).slice(0, 500) } : {}),
      ...(Number.isFinite(seconds) ? { retryAfterMs: seconds * 1_000 } : {}),
    },
  );
}

function asUnreachable(error: unknown, method: string, path: string): unknown {
  if (error instanceof KubeApiError || error instanceof KubeUnreachableError) return error;
  return new KubeUnreachableError(`${method} ${path} got no answer`, { cause: error });
}
