/*
 * Every call to the Kubernetes API. The official client opens a TLS connection for each call, which takes ten times as
 * long as the call itself; here all calls share connections, have deadlines, and keep Secrets out of their errors.
 */
import { pipeline, type Readable } from "node:stream";
import { buffer, json } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import type { Dispatcher } from "undici";
import { isCode, isSecretsPath, KubeApiError, KubeUnreachableError } from "./api-error.ts";
import { type Access, createCredentials, type Lane } from "./credentials.ts";
import { type Fields, parseJson } from "./json-fields.ts";
import { readItems } from "./json-items.ts";
import { readJsonLines } from "./json-lines.ts";
import { loadKubeConfig } from "./kubeconfig.ts";
import { explainRefusal, findMissingRight, type RefusalStatus, readReason, readWords } from "./refusal.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface RequestOptions {
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  /** The type of the body; JSON by default. */
  readonly contentType?: string;
  /** The form of the answer that is asked for, such as a Table; plain JSON by default. */
  readonly accept?: string;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
  /** Which fields are read of an answer that is large, or of each item of a list; all if undefined. */
  readonly fields?: Fields;
  /**
   * Called with each item of a list as soon as it has arrived, so that never more than one is in memory. The answer has
   * what it returns in the item's place. An error that it throws counts as a broken connection.
   */
  readonly readItem?: (item: unknown) => unknown;
  /** Bypasses all calls that wait for a connection. For what must not be late, such as renewing a lease. */
  readonly isUrgent?: boolean;
}

export interface WatchOptions {
  readonly signal: AbortSignal;
  /** The stream counts as broken if nothing at all has arrived for this long. */
  readonly stallMs: number;
  /** Which fields are read of an object that is large; all if undefined. */
  readonly fields?: Fields;
}

/** Calls to the Kubernetes API: plain JSON over shared connections. */
export interface KubeTransport {
  /**
   * Makes one call and resolves with the parsed answer. Throws a KubeApiError if the answer is not 2xx, and a
   * KubeUnreachableError if there is none. Retries a 429 as the server asks, within the call's timeout.
   */
  request<T>(method: Method, path: string, options?: RequestOptions): Promise<T>;
  /** Watches: yields the object of each line, and ends when the server ends the stream. Throws like `request`. */
  watch<T>(path: string, query: Readonly<Record<string, string>>, options: WatchOptions): AsyncIterable<T>;
  close(): Promise<void>;
}

export interface TransportOptions {
  readonly userAgent: string;
  /** A kubeconfig file; without it, the pod's service account or what kubectl would use. */
  readonly kubeconfigPath?: string | undefined;
  /** The kubeconfig's context; the current one by default. */
  readonly context?: string | undefined;
  /** The user to act as (impersonation). */
  readonly impersonate?: string | undefined;
  /**
   * Must be shorter than the lease's renew deadline; otherwise two could lead at once (kubernetes/kubernetes#44887).
   */
  readonly requestTimeoutMs?: number;
  readonly maxConnections?: number;
  /** Asks for large answers in compressed form. On a slow network that is worth the work, in a cluster it is not. */
  readonly isCompressed?: boolean;
}

const RETRIES_OF_429 = 5;

/** Reads the kubeconfig, and throws if it is unusable. The first call opens the first connection. */
export async function createTransport(options: TransportOptions): Promise<KubeTransport> {
  const { userAgent, kubeconfigPath, context, impersonate, requestTimeoutMs = 8_000, maxConnections = 32 } = options;
  const limits = { maxConnections, connectTimeoutMs: requestTimeoutMs };
  const credentials = createCredentials(() => loadKubeConfig({ path: kubeconfigPath, context, impersonate }), limits);

  const sendOnce = async (access: Access, lane: Lane, method: Method, path: string, call: RequestOptions) => {
    const { origin, pathname, search } = new URL(`${access.server}${path}${formatQuery(call.query)}`);
    return access.lanes[lane].request({
      origin,
      path: `${pathname}${search}`,
      method,
      signal: call.signal ?? null,
      headers: {
        ...access.headers,
        "user-agent": userAgent,
        accept: call.accept ?? "application/json",
        ...(options.isCompressed && lane === "calls" ? { "accept-encoding": "gzip" } : {}),
        ...(call.body === undefined ? {} : { "content-type": call.contentType ?? "application/json" }),
      },
      body: call.body === undefined ? null : JSON.stringify(call.body),
    });
  };

  /** Sends one request; if the server no longer accepts our credentials, sends it once more with fresh ones. */
  const exchange = async (access: Access, ...call: [lane: Lane, Method, path: string, RequestOptions]) => {
    const answer = await sendOnce(access, ...call);
    if (answer.statusCode !== 401) return answer;
    await answer.body.dump();
    credentials.reject(access);
    return sendOnce(await credentials.current(), ...call);
  };

  const attempt = async <T>(method: Method, path: string, call: RequestOptions, endsAtMs: number): Promise<T> => {
    const timeout = new AbortController();
    const timer = setTimeout(() => timeout.abort(), Math.max(1, Math.ceil(endsAtMs - performance.now())));
    const signal = call.signal === undefined ? timeout.signal : AbortSignal.any([timeout.signal, call.signal]);
    let access: Access | undefined;
    try {
      access = await credentials.current();
      const answer = await exchange(access, call.isUrgent ? "urgent" : "calls", method, path, { ...call, signal });
      if (answer.statusCode >= 300) throw await readError(method, path, answer);
      return (await readAnswer(answer, call)) as T;
    } catch (error) {
      if (access !== undefined && timeout.signal.aborted) credentials.suspect(access);
      throw asUnreachable(error, path, `${method} ${path} got no answer`);
    } finally {
      clearTimeout(timer);
    }
  };

  return {
    async request<T>(method: Method, path: string, call: RequestOptions = {}): Promise<T> {
      const endsAtMs = performance.now() + (call.timeoutMs ?? requestTimeoutMs);
      for (let retry = 0; ; retry += 1) {
        try {
          return await attempt<T>(method, path, call, endsAtMs);
        } catch (error) {
          if (!isCode(error, 429) || retry >= RETRIES_OF_429) throw error;
          const waitMs = error.retryAfterMs ?? 1_000;
          if (performance.now() + waitMs >= endsAtMs) throw error;
          await delay(waitMs, undefined, call.signal ? { signal: call.signal } : {}).catch(() => {
            throw error;
          });
        }
      }
    },

    async *watch<T>(path: string, query: Readonly<Record<string, string>>, { signal, stallMs, fields }: WatchOptions) {
      try {
        const call = { query: { ...query, watch: "true" }, signal };
        const answer = await exchange(await credentials.current(), "watches", "GET", path, call);
        if (answer.statusCode >= 300) throw await readError("GET", path, answer);
        const inEvent = fields && ({ type: "whole", object: fields } as const);
        yield* readJsonLines<T>(answer.body, stallMs, inEvent);
      } catch (error) {
        throw asUnreachable(error, path, `the watch of ${path} broke off`);
      }
    },

    close: () => credentials.close(),
  };
}

function formatQuery(query: Readonly<Record<string, string>> | undefined): string {
  return query === undefined ? "" : `?${new URLSearchParams(query)}`;
}

async function readAnswer(answer: Dispatcher.ResponseData, { fields, readItem }: RequestOptions): Promise<unknown> {
  if (readItem === undefined) return parse(await readWhole(answer), fields);
  const items: unknown[] = [];
  const rest = await readItems(await unpack(answer), (text) => items.push(readItem(parse(text, fields))));
  const object = parse(rest);
  const isList = typeof object === "object" && object !== null && "items" in object;
  return isList ? { ...object, items } : object;
}

/** Without a Blob where it can be done: node:stream/consumers makes one of each answer, in memory outside of the heap. */
async function readWhole(answer: Dispatcher.ResponseData): Promise<Buffer> {
  const { headers, body } = answer;
  return headers["content-encoding"] === "gzip" ? buffer(await unpack(answer)) : Buffer.from(await body.arrayBuffer());
}

/** The answer as plain text, from which a broken connection is thrown. */
async function unpack({ headers, body }: Dispatcher.ResponseData): Promise<Readable> {
  if (headers["content-encoding"] !== "gzip") return body;
  const { createGunzip } = await import("node:zlib");
  const unpacked = createGunzip();
  // A failure of the connection ends the unpacked stream with the same error, where it is read.
  pipeline(body, unpacked, () => {});
  return unpacked;
}

/** The parser's own error would quote the text, which may come from a Secret. */
function parse(text: Buffer, fields?: Fields): unknown {
  try {
    return parseJson(text, fields);
  } catch {
    throw new SyntaxError("the answer is not JSON");
  }
}

async function readError(method: string, path: string, answer: Dispatcher.ResponseData): Promise<KubeApiError> {
  const body: unknown = await unpack(answer)
    .then(json)
    .catch(() => undefined);
  const status: RefusalStatus = typeof body === "object" && body !== null ? body : {};
  const seconds = Number(answer.headers["retry-after"] ?? status.details?.retryAfterSeconds ?? Number.NaN);
  const detail = explainRefusal(status, isSecretsPath(path));
  const words = readWords(status, isSecretsPath(path));
  const missingRight = answer.statusCode === 403 ? findMissingRight(status) : undefined;
  return new KubeApiError(
    { method, path },
    {
      code: answer.statusCode,
      reason: readReason(status),
      ...(detail === undefined ? {} : { detail }),
      ...(words === undefined ? {} : { answer: words }),
      ...(missingRight === undefined ? {} : { missingRight }),
      ...(Number.isFinite(seconds) ? { retryAfterMs: Math.max(0, seconds * 1_000) } : {}),
    },
  );
}

function asUnreachable(error: unknown, path: string, problem: string): unknown {
  if (error instanceof KubeApiError || error instanceof KubeUnreachableError) return error;
  return new KubeUnreachableError(problem, { cause: error, path });
}
